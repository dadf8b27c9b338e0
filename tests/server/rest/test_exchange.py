"""Exports and imports over HTTP: streamed both ways, one conversation after the other, again and again."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trio
from rest import Server, serve
from talking import make, note, talked, texts

from trialogue import new_id
from trialogue.testing import Fault, MemoryStore


@pytest.fixture
async def server(tmp_path: Path) -> AsyncGenerator[Server]:
    """A server that takes imports."""
    async with serve(files=tmp_path) as server:
        yield server


async def send(client: httpx2.AsyncClient, data: bytes, kind: str = "application/json") -> dict[str, Any]:
    """Import ``data``, and wait until it is over."""
    answer = await client.post("/api/import", content=data, headers={"Content-Type": kind})
    assert answer.status_code == 202, answer.text
    return await ended(client, answer.headers["location"])


async def ended(client: httpx2.AsyncClient, url: str) -> dict[str, Any]:
    with trio.fail_after(10):
        while True:
            job: dict[str, Any] = (await client.get(url)).json()
            if job["state"] not in ("waiting", "running"):
                return job
            await trio.sleep(0.01)  # It is asked, as a page would.


def chats(count: int, text: str = "Hi") -> bytes:
    """A ChatGPT export of so many conversations."""
    return json.dumps(
        [
            {
                "title": f"Chat {number}",
                "create_time": 1_700_000_000 + number,
                "update_time": 1_700_000_000 + number,
                "conversation_id": f"c{number}",
                "current_node": "a",
                "mapping": {
                    "u": {"message": {"author": {"role": "user"}, "content": {"parts": [text]}}, "parent": None},
                    "a": {"message": {"author": {"role": "assistant"}, "content": {"parts": ["Yo"]}}, "parent": "u"},
                },
            }
            for number in range(count)
        ]
    ).encode()


# --- out ---------------------------------------------------------------------------------------------------------


async def test_export_is_a_document_to_keep(ada: httpx2.AsyncClient, eve: httpx2.AsyncClient) -> None:
    url = await make(ada, title="Tea")
    await talked(ada, url, "one")
    answer = await ada.get(f"{url}/export")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith('attachment; filename="conversation-')
    (one,) = answer.json()["conversations"]
    assert (one["conversation"]["title"], len(one["messages"])) == ("Tea", 2)
    assert "owner" not in one["conversation"]
    text = await ada.get(f"{url}/export", params={"format": "markdown"})
    assert text.headers["content-type"] == "text/markdown; charset=utf-8"
    assert text.text.startswith("# Tea\n")
    assert (await eve.get(f"{url}/export")).status_code == 404
    assert (await ada.get(f"{url}/export", params={"format": "pdf"})).status_code == 422
    head = await ada.head(f"{url}/export")
    assert (head.status_code, head.content) == (200, b"")


async def test_export_of_all_is_of_ones_own_and_of_the_trash_too(
    ada: httpx2.AsyncClient, eve: httpx2.AsyncClient
) -> None:
    urls = [await make(ada, title=title) for title in ("kept", "archived", "gone")]
    await make(eve, title="another's")
    await ada.patch(urls[1], json={"archived": True})
    await ada.delete(urls[2])
    document = (await ada.get("/api/export")).json()
    titles = [one["conversation"]["title"] for one in document["conversations"]]
    assert sorted(titles) == ["archived", "gone", "kept"]
    assert titles[-1] == "gone"
    assert (document["format"], document["version"]) == ("trialogue", 1)


async def test_export_of_nothing(ada: httpx2.AsyncClient) -> None:
    assert (await ada.get("/api/export")).json()["conversations"] == []
    assert (await ada.get("/api/export", params={"format": "markdown"})).text == ""


class Waiting(MemoryStore):
    """Tells when its list of conversations is first asked for, and gives it when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.let = trio.Event(), trio.Event()

    async def conversations(self, *args: Any, **options: Any) -> Any:  # Handed on as they are.
        self.asked.set()
        await self.let.wait()
        return await super().conversations(*args, **options)


async def test_exports_at_a_time_are_limited() -> None:
    store = Waiting()
    async with serve(store=store, exports_per_user=1) as server, server.user() as ada:
        await make(ada)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ada.get, "/api/export")
            await store.asked.wait()
            second = await ada.get("/api/export")
            store.let.set()
        assert (second.status_code, "exports_per_user" in second.json()["detail"]) == (429, True)
        assert (await ada.get("/api/export")).status_code == 200


async def test_export_breaks_rather_than_ending_early() -> None:
    store = MemoryStore()
    async with serve(store=store) as server, server.user() as ada:
        urls = [await make(ada, title=str(number)) for number in range(3)]
        for url in urls:
            for number in range(40):
                await note(ada, url, f"{number} " + "x" * 4_000)
        # The store fails in the midst of it: what came must not look whole.
        store.faults.next("tree", *(Fault() for _ in range(4)), Fault(fail="before"))
        with pytest.raises(httpx2.RemoteProtocolError):
            await ada.get("/api/export")
        assert (await ada.get("/api/export")).status_code == 200


# --- in ----------------------------------------------------------------------------------------------------------


async def test_own_export_comes_back(ada: httpx2.AsyncClient, eve: httpx2.AsyncClient, tmp_path: Path) -> None:
    url = await make(ada, title="Tea")
    await talked(ada, url, "one")
    document = (await ada.get("/api/export")).content
    again = await send(ada, document)
    assert (again["state"], again["added"], again["present"], again["source"]) == ("done", 0, 1, "trialogue")
    # Somebody else's ids are taken: the same conversation, under ids of one's own.
    hers = await send(eve, document)
    assert (hers["added"], hers["messages"], hers["total"]) == (1, 2, 1)
    (copy,) = (await eve.get("/api/conversations")).json()["conversations"]
    assert (copy["title"], f"/api/conversations/{copy['id']}" == url) == ("Tea", False)
    assert (await send(eve, document))["present"] == 1
    assert (await ada.get(url)).json()["conversation"]["title"] == "Tea"
    async with serve(files=tmp_path / "other") as other, other.user("bob") as bob:
        assert (await send(bob, document))["added"] == 1
        assert (await bob.get("/api/export")).content == document


async def test_chatgpt_export_is_taken_in_once(ada: httpx2.AsyncClient) -> None:
    first = await send(ada, chats(5))
    assert (first["added"], first["total"], first["messages"], first["source"]) == (5, 5, 10, "chatgpt")
    again = await send(ada, chats(7))
    assert (again["added"], again["present"], again["total"]) == (2, 5, 7)
    listed = (await ada.get("/api/conversations")).json()["conversations"]
    assert [one["title"] for one in listed] == [f"Chat {number}" for number in reversed(range(7))]
    found = (await ada.get(f"/api/conversations/{listed[0]['id']}")).json()
    assert [message["role"] for message in found["messages"]] == ["user", "assistant"]
    await talked(ada, f"/api/conversations/{listed[0]['id']}", "go on")
    assert len((await ada.get(f"/api/conversations/{listed[0]['id']}")).json()["messages"]) == 4


async def test_zip_is_taken_in(ada: httpx2.AsyncClient) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("user.json", b"{}")
        archive.writestr("conversations.json", chats(3))
    job = await send(ada, file.getvalue(), "application/zip")
    assert (job["state"], job["added"]) == ("done", 3)


async def test_what_cannot_be_taken_in_is_told(ada: httpx2.AsyncClient) -> None:
    data = b"[" + chats(1)[1:-1] + b', {"mapping": 3}, 17, ' + chats(2)[1:-1] + b"]"
    job = await send(ada, data)
    assert (job["state"], job["added"], job["present"], job["failed"], job["total"]) == ("done", 2, 1, 2, 5)
    assert [one["place"] for one in job["skipped"]] == [1, 2]
    assert all(one["detail"] for one in job["skipped"])


@pytest.mark.parametrize("data", [b"nonsense", b"PK\x03\x04nonsense", b"[", b'[{"mapping": {}'])
async def test_what_is_no_export_fails_in_words(ada: httpx2.AsyncClient, data: bytes) -> None:
    job = await send(ada, data)
    assert (job["state"], job["added"]) == ("failed", 0)
    assert job["detail"]


async def test_import_of_nonsense_is_given_up(tmp_path: Path) -> None:
    async with serve(files=tmp_path, import_max_failures=2) as server, server.user() as ada:
        job = await send(ada, b"[" + b"{}," * 10_000 + chats(1)[1:])
        assert (job["state"], job["failed"], job["added"]) == ("failed", 3, 0)
        assert "import_max_failures" in job["detail"]


async def test_too_long_a_history_is_told(tmp_path: Path) -> None:
    nodes = {str(n): {"message": {"author": {"role": "user"}, "content": {"parts": ["x"]}}, "parent": str(n - 1)}
             for n in range(10_001)}  # fmt: skip
    async with serve(files=tmp_path) as server, server.user() as ada:
        job = await send(ada, json.dumps([{"mapping": nodes, "title": "Long"}]).encode())
        assert (job["state"], job["failed"]) == ("done", 1)
        assert "history_messages" in job["skipped"][0]["detail"]
        assert job["skipped"][0]["title"] == "Long"


async def test_upload_is_limited(tmp_path: Path) -> None:
    async with serve(files=tmp_path, import_max_bytes=2_000) as server, server.user() as ada:
        for headers in ({}, {"transfer-encoding": "chunked"}):

            async def pieces() -> AsyncGenerator[bytes]:
                for _ in range(5):
                    yield b"x" * 1_000

            content: Any = pieces() if headers else b"x" * 5_000
            answer = await ada.post("/api/import", content=content)
            assert (answer.status_code, answer.json()["code"]) == (413, "limit")
            assert "import_max_bytes" in answer.json()["detail"]
        empty = await ada.post("/api/import", content=b"")
        assert empty.status_code == 422
        form = await ada.post("/api/import", files={"file": b"x"})
        assert form.status_code == 415
        assert not list((tmp_path / "imports").glob("*"))
        assert (await ada.get("/api/import")).json()["imports"] == []


async def test_upload_that_is_cut_off_leaves_nothing(server: Server, ada: httpx2.AsyncClient, tmp_path: Path) -> None:
    cookies = "; ".join(f"{name}={value}" for name, value in ada.cookies.items())
    head = f"POST /api/import HTTP/1.1\r\nHost: x\r\nCookie: {cookies}\r\nContent-Length: 5000\r\n\r\n[{{"
    await server.raw(head.encode())
    assert (await ada.get("/api/import")).json()["imports"] == []
    with trio.fail_after(5):
        while list((tmp_path / "imports").glob("*")):  # noqa: ASYNC110 - the disk tells nobody
            await trio.sleep(0.01)


async def test_imports_are_ones_own(ada: httpx2.AsyncClient, eve: httpx2.AsyncClient) -> None:
    job = await send(ada, chats(1))
    assert (await ada.get("/api/import")).json()["imports"] == [job]
    assert (await eve.get("/api/import")).json()["imports"] == []
    for name in (job["id"], new_id(), "x"):
        assert (await eve.get(f"/api/import/{name}")).status_code == 404
        assert (await eve.delete(f"/api/import/{name}")).status_code == 404
    assert (await ada.delete(f"/api/import/{job['id']}")).status_code == 204
    assert (await ada.get(f"/api/import/{job['id']}")).json() == job  # It was over.


async def test_import_is_cancelled(tmp_path: Path) -> None:
    store = MemoryStore()
    async with serve(store=store, files=tmp_path, imports_per_user=1) as server, server.user() as ada:
        store.faults.next("create", *(Fault(delay=0.05) for _ in range(500)))
        answer = await ada.post("/api/import", content=chats(500))
        full = await ada.post("/api/import", content=chats(1))
        assert (full.status_code, "imports_per_user" in full.json()["detail"]) == (429, True)
        assert (await ada.delete(answer.headers["location"])).status_code == 204
        job = (await ada.get(answer.headers["location"])).json()
        assert job["state"] == "cancelled"
        assert job["added"] < 400
        count = len((await ada.get("/api/conversations", params={"limit": 100})).json()["conversations"])
        await trio.sleep(0.2)
        after = len((await ada.get("/api/conversations", params={"limit": 100})).json()["conversations"])
        assert after - count <= 1
        assert not list((tmp_path / "imports").glob("*"))


async def test_server_without_imports_says_so() -> None:
    async with serve() as server, server.user() as ada:
        assert (await ada.post("/api/import", content=b"[]")).status_code == 404


async def test_document_cannot_name_anothers_file(
    server: Server, ada: httpx2.AsyncClient, eve: httpx2.AsyncClient
) -> None:
    upload = await ada.post("/api/upload", files={"file": ("secret.txt", b"secret")})
    name = upload.json()["files"][0]["id"]
    url = await make(ada)
    parts = [{"type": "file", "file": name}]
    await ada.post(f"{url}/messages", json={"parts": parts, "respond": False})
    await send(eve, (await ada.get(f"{url}/export")).content)
    (copy,) = (await eve.get("/api/conversations")).json()["conversations"]
    (message,) = (await eve.get(f"/api/conversations/{copy['id']}")).json()["messages"]
    assert message["parts"][0]["name"] == "secret.txt"
    assert message["parts"][0]["file"] != name
    made = (await eve.post(f"/api/conversations/{copy['id']}/share")).json()
    for file in (name, message["parts"][0]["file"]):
        assert (await eve.get(f"/api/shared/{made['token']}/files/{file}")).status_code == 404
    await eve.delete(f"/api/conversations/{copy['id']}", params={"purge": "true"})
    assert (await ada.get(f"/api/files/{name}")).content == b"secret"


async def test_imports_go_with_the_account(server: Server, ada: httpx2.AsyncClient, eve: httpx2.AsyncClient) -> None:
    job = await send(eve, chats(2))
    gone = await eve.request("DELETE", "/api/auth/me", json={"password": "correct horse"})
    assert gone.status_code == 204, gone.text
    with trio.fail_after(5):
        while await server.engine.store.imports.get(job["id"]) is not None:  # noqa: ASYNC110 - it goes by itself
            await trio.sleep(0.01)


async def uploaded(client: httpx2.AsyncClient, name: str, content: bytes) -> str:
    answer = await client.post("/api/upload", files={"file": (name, content)})
    assert answer.status_code == 201, answer.text
    made: str = answer.json()["files"][0]["id"]
    return made


async def test_zip_holds_the_files_and_gives_them_back(server: Server, ada: httpx2.AsyncClient, tmp_path: Path) -> None:
    large = b"".join(b"%d" % number for number in range(200_000))
    names = [await uploaded(ada, "large.bin", large), await uploaded(ada, "empty", b"")]
    url = await make(ada, title="Tea")
    for name in names:
        await ada.post(f"{url}/messages", json={"parts": [{"type": "file", "file": name}], "respond": False})
    answer = await ada.get("/api/export", params={"format": "zip"})
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert archive.read(f"files/{names[0]}") == large
        assert archive.read("conversations.json") == (await ada.get("/api/export")).content
    assert (await ada.get("/api/export", params={"format": "zip"})).content == answer.content
    async with serve(files=tmp_path / "other") as other, other.user("bob") as bob, other.user("cyd") as cyd:
        job = await send(bob, answer.content, "application/zip")
        assert (job["state"], job["added"], job["files"], job["skipped"]) == ("done", 1, 2, [])
        assert (await bob.get(f"/api/files/{names[0]}")).content == large
        assert (await bob.get("/api/export")).content == (await ada.get("/api/export")).content
        again = await send(bob, answer.content)
        assert (again["present"], again["files"]) == (1, 0)
        # Taken: hers have other ids, in the messages too.
        hers = await send(cyd, answer.content)
        assert (hers["added"], hers["files"]) == (1, 2)
        listed = {file["name"]: file["id"] for file in (await cyd.get("/api/files")).json()["files"]}
        assert (await cyd.get(f"/api/files/{listed['large.bin']}")).content == large
        (copy,) = (await cyd.get("/api/conversations")).json()["conversations"]
        shown = (await cyd.get(f"/api/conversations/{copy['id']}")).json()["messages"]
        assert [message["parts"][0]["file"] for message in shown] == [listed["large.bin"], listed["empty"]]
        assert (await send(cyd, answer.content))["files"] == 0


def packed(archive: bytes) -> bytes:
    """The same, as small as it goes."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as before, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as after:
        for name in before.namelist():
            after.writestr(name, before.read(name))
    return made.getvalue()


async def used(server: Server, client: httpx2.AsyncClient) -> tuple[int, int]:
    """What the caller's files take, and what is set aside."""
    me = (await client.get("/api/auth/me")).json()["id"]
    space = await server.engine.store.files.space(me, datetime.now(UTC))
    return space.used, space.reserved


async def test_upload_takes_room_until_it_is_over(tmp_path: Path) -> None:
    store = MemoryStore()
    document = chats(300)
    async with (
        serve(store=store, files=tmp_path, files_quota_bytes=len(document) + 100) as server,
        server.user() as ada,
    ):
        store.faults.next("create", *(Fault(delay=0.01) for _ in range(300)))
        first = await ada.post("/api/import", content=document)
        assert (first.status_code, await used(server, ada)) == (202, (0, len(document)))
        for path, body in (
            ("/api/import", {"content": b" " * 200}),
            ("/api/import", {"content": pieces(b" " * 200)}),
            ("/api/upload", {"files": {"file": b"x" * 200}}),
        ):
            full = await ada.post(path, **body)
            assert full.status_code == 413, full.text
            assert "files_quota_bytes" in full.json()["detail"]
        assert await used(server, ada) == (0, len(document))
        assert (await ended(ada, first.headers["location"]))["state"] == "done"
        assert await used(server, ada) == (0, 0)
        second = await ada.post("/api/import", content=document)
        assert (await ada.delete(second.headers["location"])).status_code == 204
        assert await used(server, ada) == (0, 0)
        assert (await send(ada, b"nonsense"))["state"] == "failed"
        assert await used(server, ada) == (0, 0)
        assert not list((tmp_path / "imports").glob("*"))


async def pieces(data: bytes) -> AsyncGenerator[bytes]:
    """A body whose length nobody is told beforehand."""
    yield data


async def test_files_of_an_import_need_no_room_twice(ada: httpx2.AsyncClient, tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        await uploaded(ada, name, name[:1].encode() * 50_000)
    await make(ada, title="Tea")
    document = (await ada.get("/api/export", params={"format": "zip"})).content
    async with serve(files=tmp_path / "other", files_quota_bytes=len(document)) as other, other.user("bob") as bob:
        job = await send(bob, document)
        assert (job["state"], job["files"], job["skipped"]) == ("done", 3, [])
        assert await used(other, bob) == (150_000, 0)


async def test_files_beyond_the_quota_are_told_and_the_rest_goes_in(ada: httpx2.AsyncClient, tmp_path: Path) -> None:
    for name, size in (("small", 10), ("large", 50_000)):
        await uploaded(ada, name, b"x" * size)
    await make(ada, title="Tea")
    document = packed((await ada.get("/api/export", params={"format": "zip"})).content)
    async with serve(files=tmp_path / "other", files_quota_bytes=20_000) as other, other.user("bob") as bob:
        job = await send(bob, document)
        assert (job["state"], job["added"], job["files"]) == ("done", 1, 1)
        assert [(one["place"], one["title"]) for one in job["skipped"]] == [(-1, "large")]


def grown(*said: tuple[str, str, str | None], current: str) -> bytes:
    """A ChatGPT export of one conversation: id, text and parent of each message."""
    mapping = {
        name: {"message": {"author": {"role": "user"}, "content": {"parts": [text]}}, "parent": parent}
        for name, text, parent in said
    }
    return json.dumps([{"title": "T", "conversation_id": "g", "current_node": current, "mapping": mapping}]).encode()


async def test_conversation_that_grew_at_its_source_grows_here(ada: httpx2.AsyncClient) -> None:
    await send(ada, grown(("a", "a", None), ("b", "b", "a"), current="b"))
    (header,) = (await ada.get("/api/conversations")).json()["conversations"]
    url = f"/api/conversations/{header['id']}"
    longer = (("a", "a", None), ("b", "b", "a"), ("c", "c", "b"), ("d", "d", "a"))
    job = await send(ada, grown(*longer, current="c"))
    assert (job["added"], job["present"], job["grown"], job["messages"]) == (0, 1, 1, 2)
    shown = (await ada.get(url)).json()
    assert texts(shown["messages"]) == ["a", "b", "c"]
    assert len((await ada.get(url, params={"tree": "true"})).json()["messages"]) == 4
    assert (await send(ada, grown(*longer, current="c")))["grown"] == 0
    # Removed here, it does not come back, nor what is new below it; and who went on here stays there.
    await ada.delete(f"/api/messages/{shown['messages'][2]['id']}")
    mine = await note(ada, url, "mine")
    job = await send(ada, grown(*longer, ("e", "e", "c"), ("f", "f", "d"), current="e"))
    assert (job["grown"], job["messages"], job["failed"]) == (1, 1, 0)
    shown = (await ada.get(url)).json()
    assert texts(shown["messages"]) == ["a", "b", "mine"]
    assert shown["conversation"]["head"] == mine
    tree = (await ada.get(url, params={"tree": "true"})).json()["messages"]
    assert sorted(texts(tree)) == ["a", "b", "d", "f", "mine"]
    await ada.delete(url)
    job = await send(ada, grown(*longer, ("g", "g", "a"), current="g"))
    assert (job["present"], job["grown"]) == (1, 0)
