"""Inside the machine: the share full, gone, back, withdrawn, or with other files than before, while two nodes use it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nfs.nodes import Fetching, Node, Sending
from nfs.shared_checks import BIG, A, B
from nfs.shares import (
    EXPORT,
    contents,
    export_full,
    incoming,
    note,
    offer_export,
    run,
    until,
    withdraw_export,
)

#: Well beyond what a node waits for by itself.
AWAY = 20.0


def both_are_well() -> None:
    for node in (A, B):
        until(lambda node=node: node.check("files") == (200, True), 180)  # type: ignore[misc]  # lambda's default


class Beside:
    """Something that is done meanwhile, and what came of it."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.result: Any = None
        self._work = work
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.result = self._work()
        except Exception as error:
            self.result = error

    @property
    def is_over(self) -> bool:
        return not self._thread.is_alive()

    def wait(self, seconds: float = 240) -> Any:
        self._thread.join(seconds)
        assert self.is_over, "it has not ended"
        return self.result


def full_share_refuses_in_words_and_loses_nothing() -> None:
    _, kept = A.upload(BIG)
    with export_full():
        status, problem = A.upload(os.urandom(3_000_000))
        note(f"{status}: {problem.get('detail')}")
        assert status == 503, problem
        assert "make room" in problem["detail"], problem
        assert B.fetch(kept["id"])[:2] == (200, BIG)
        until(lambda: incoming() == [])
    status, file = A.upload(b"there is room")
    assert status == 201, file
    both_are_well()


def restarted_server_is_waited_for_by_an_upload() -> None:
    body = os.urandom(8_000_000)
    sending = Sending(A, body)
    sending.send(3_000_000)
    until(lambda: incoming() != [])
    began = time.monotonic()
    run("systemctl", "restart", "nfs-server")
    status, file = sending.finish()
    note(f"{status} {time.monotonic() - began:.0f} s after the restart began")
    assert status == 201, file
    assert B.fetch(file["id"])[:2] == (200, body)
    both_are_well()


def share_that_is_away_holds_files_and_nothing_else() -> None:
    body = os.urandom(4_000_000)
    with A.host.cut_off():
        began = time.monotonic()
        uploads = [Beside(lambda: A.upload(body, timeout=400)) for _ in range(3)]
        status, well = A.check("files")
        note(f"/readyz said {status} after {time.monotonic() - began:.1f} s")
        assert (status, well) == (503, False)
        assert A.ask("GET", "/healthz")[0] == 200
        note(f"a message was answered in {A.answers():.1f} s")
        assert B.upload(b"elsewhere it is there")[0] == 201
        time.sleep(max(0.0, AWAY - (time.monotonic() - began)))
        assert not any(upload.is_over for upload in uploads)
        back = time.monotonic()
    found = [upload.wait() for upload in uploads]
    note(f"uploads ended {time.monotonic() - back:.0f} s after it was back")
    assert [status for status, _ in found] == [201] * 3, found
    assert all(B.fetch(file["id"])[1] == body for _, file in found)
    both_are_well()


def stop_lets_go_of_a_share_that_is_away() -> None:
    """We do. The system may keep the process until it has written what was written to an open file."""
    sending = Sending(A, os.urandom(8_000_000))
    sending.send(2_000_000)
    until(lambda: incoming() != [])
    with A.host.cut_off():
        pushing = Beside(lambda: sending.send(6_000_000))
        time.sleep(2)
        began = time.monotonic()
        A.ask_to_stop()
        until(lambda: '"status":0,' in A.log().rpartition("stopping:")[2], 20)
        note(f"let go after {time.monotonic() - began:.1f} s, with 5 s of grace")
    sending.close()
    pushing.wait(30)
    A.ended(120)
    A.start()
    both_are_well()


def content_that_was_put_back_is_read_on() -> None:
    """Another file by the same name and of the same bytes: the handle is stale, the content is there."""
    for node, other in ((B, A), (A, B)):
        with half_read(node, other) as (answer, head, body, path):
            fresh = path.with_name("fresh")
            fresh.write_bytes(body)
            run("chown", "trialogue:trialogue", str(fresh))
            fresh.rename(path)
            _forget_opened(node)
            rest = answer.read(len(body))
            assert head + rest == body, (node.host.name, len(head), len(rest))


def content_that_was_lost_cuts_the_answer_off() -> None:
    """A client must see that it has not all of it."""
    for node, other in ((B, A), (A, B)):
        with half_read(node, other) as (answer, head, body, path):
            path.unlink()
            _forget_opened(node)
            rest = answer.read(len(body))
            note(f"{node.host.name}: cut off after {len(head) + len(rest)} bytes")
            assert body.startswith(head + rest)
            assert len(head) + len(rest) < len(body)


@contextmanager
def half_read(node: Node, other: Node) -> Generator[tuple[Fetching, bytes, bytes, Path]]:
    """A download from ``node`` of what ``other`` has taken: what has come, all there is, and where it stands."""
    body = os.urandom(12_000_000)
    status, file = other.upload(body)
    assert status == 201, file
    answer = Fetching(node, file["id"])
    yield answer, answer.read(500_000), body, next(EXPORT.glob(f"??/{file['sha256']}"))
    assert other.ask("DELETE", f"/api/files/{file['id']}")[0] == 204
    both_are_well()


def _forget_opened(node: Node) -> None:
    """By version 4 the server keeps a removed file for who has it open, until it is another server."""
    if node is A:
        run("systemctl", "restart", "nfs-server")


def withdrawn_share_is_told_and_comes_back() -> None:
    _, kept = A.upload(b"kept")
    withdraw_export()
    until(lambda: A.check("files") == (503, False), 60)
    upload = Beside(lambda: A.upload(b"not now"))
    time.sleep(5)
    offer_export()
    note(f"an upload meanwhile: {upload.wait()}")
    both_are_well()
    assert A.fetch(kept["id"])[:2] == (200, b"kept")
    assert A.upload(b"and again")[0] == 201


def killed_in_the_midst_of_an_upload_leaves_nothing_named() -> None:
    before, body = contents(), os.urandom(4_000_000)
    sending = Sending(A, body)
    sending.send(2_000_000)
    until(lambda: incoming() != [])
    A.kill()
    sending.close()
    assert contents() == before
    # What it left is nobody's for a day; the other takes the same content meanwhile.
    status, file = B.upload(body)
    assert status == 201, file
    note(f"a serves again after {A.start():.0f} s")
    assert A.fetch(file["id"])[:2] == (200, body)
    for name in incoming():
        os.utime(EXPORT / "incoming" / name, (0, 0))
    note(f"what it left went after {until(lambda: incoming() == [], 120):.0f} s")


def nothing_was_lost() -> None:
    """Every file that was acknowledged is whole, by its digest."""
    listed, cursor = 0, ""
    while True:
        page = A.call("GET", f"/api/files?limit=200{cursor}")
        there = contents()
        for file in page["files"]:
            assert file["sha256"] in there, file
            listed += 1
        if not page["has_more"]:
            break
        cursor = f"&cursor={page['cursor']}"
    note(f"{listed} files")
    for node in (A, B):
        node.stop(60)


CHECKS = (
    full_share_refuses_in_words_and_loses_nothing,
    restarted_server_is_waited_for_by_an_upload,
    share_that_is_away_holds_files_and_nothing_else,
    withdrawn_share_is_told_and_comes_back,
    content_that_was_put_back_is_read_on,
    content_that_was_lost_cuts_the_answer_off,
    stop_lets_go_of_a_share_that_is_away,
    killed_in_the_midst_of_an_upload_leaves_nothing_named,
    nothing_was_lost,
)
