"""Inside the machine: two nodes, each with a mount of its own, and what one does with files that the other has too."""

from __future__ import annotations

import hashlib
import os
import threading
from typing import Any

from nfs.nodes import Node
from nfs.shares import OPTIONS, Host, contents, incoming, make_export, note, run, until

#: By the older version, with what a careless administrator leaves out.
OLD = OPTIONS.replace("vers=4.2", "vers=3,nolock").replace("lookupcache=positive,", "")
A, B = Node(Host("a", 1), 4601), Node(Host("b", 2), 4602)
BIG = os.urandom(3_000_000)


def machine_has_two_hosts() -> None:
    make_export(256)
    for node in (A, B):
        node.host.connect()
    A.host.mount()
    B.host.mount(OLD)
    run("su", "postgres", "-c", "createuser trialogue && createdb -O trialogue trialogue")


def both_serve() -> None:
    note(f"a serves after {A.start():.0f} s")
    note(f"b serves after {B.start():.0f} s")
    A.register()
    assert A.check("files") == (200, True)
    assert B.check("files") == (200, True)


def option_that_is_missing_is_told() -> None:
    assert "without lookupcache=positive" in B.log(), B.log()
    assert "lookupcache" not in A.log(), A.log()


def what_one_takes_the_other_sends_at_once() -> None:
    status, file = A.upload(BIG)
    assert status == 201, file
    assert file["sha256"] == hashlib.sha256(BIG).hexdigest()
    status, body, headers = B.fetch(file["id"])
    assert (status, body) == (200, BIG)
    tag = str(headers["etag"])
    assert B.fetch(file["id"], if_none_match=tag)[0] == 304
    status, body, headers = B.fetch(file["id"], range="bytes=1000000-1999999")
    assert (status, body) == (206, BIG[1000000:2000000])
    assert headers["content-range"] == "bytes 1000000-1999999/3000000"
    status, body, headers = B.fetch(file["id"], range="bytes=0-9,-10")
    assert status == 206
    assert BIG[:10] in body
    assert BIG[-10:] in body
    assert B.fetch(file["id"], range="bytes=3000000-")[0] == 416


def many_come_and_go_on_both_at_once() -> None:
    """One folder after the other is made by whoever is first, and known to the other then."""
    files: dict[str, Any] = {}

    def feed(node: Node) -> None:
        for number in range(12):
            content = f"{node.host.name} {number}".encode()
            status, file = node.upload(content)
            files[f"{node.host.name}{number}"] = (status, file, content)

    threads = [threading.Thread(target=feed, args=(node,)) for node in (A, B)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(files) == 24
    for name, (status, file, content) in files.items():
        assert status == 201, file
        other = B if name.startswith("a") else A
        assert other.fetch(file["id"])[:2] == (200, content)
    assert incoming() == []


def same_content_on_both_at_once_is_kept_once() -> None:
    content = os.urandom(2_000_000)
    found: list[tuple[int, Any]] = []

    def send(node: Node) -> None:
        found.append(node.upload(content))

    threads = [threading.Thread(target=send, args=(node,)) for node in (A, B, A, B)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [status for status, _ in found] == [201] * 4, found
    assert contents().count(hashlib.sha256(content).hexdigest()) == 1
    assert all(A.fetch(file["id"])[1] == content for _, file in found)
    assert incoming() == []


def what_one_removes_the_other_has_no_more() -> None:
    _, file = A.upload(b"to be removed")
    assert B.fetch(file["id"])[0] == 200
    assert A.ask("DELETE", f"/api/files/{file['id']}")[0] == 204
    assert B.fetch(file["id"])[0] == 404
    note(f"its content went after {until(lambda: file['sha256'] not in contents(), 400):.0f} s")


CHECKS = (
    machine_has_two_hosts,
    both_serve,
    option_that_is_missing_is_told,
    what_one_takes_the_other_sends_at_once,
    many_come_and_go_on_both_at_once,
    same_content_on_both_at_once_is_kept_once,
    what_one_removes_the_other_has_no_more,
)
