"""Files over HTTP: what goes in comes out, to its owner alone, whole or in parts, and nothing half of it stays."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2
import trio
from PIL import Image
from rest import Server, open_stream, read_events, serve

import trialogue_documents
from trialogue import text_of
from trialogue.testing import MemoryStore

BOUNDARY = "b0undary"


def part(content: bytes, name: str = "note.txt", field: str = "file") -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    return head.encode() + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


HEADERS = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


async def upload(client: httpx2.AsyncClient, *parts: bytes) -> list[dict[str, Any]]:
    answer = await client.post("/api/upload", content=form(*parts), headers=HEADERS)
    assert answer.status_code == 201, answer.text
    files: list[dict[str, Any]] = answer.json()["files"]
    return files


def on_disk(folder: Path) -> list[str]:
    """Every file in the folder but the one that says whose it is."""
    return sorted(p.name for p in folder.rglob("*") if p.is_file() and p.name != "trialogue-files.json")


@asynccontextmanager
async def served(folder: Path, **settings: Any) -> AsyncGenerator[tuple[Server, httpx2.AsyncClient]]:
    async with serve(files=folder, **settings) as server, server.user() as client:
        yield server, client


async def test_file_comes_back_as_it_went_in(tmp_path: Path) -> None:
    content = bytes(range(256)) * 4_000
    async with served(tmp_path) as (_, client):
        (file,) = await upload(client, part(content, "data.bin"))
        assert (file["name"], file["size"], file["media_type"]) == (
            "data.bin",
            len(content),
            "application/octet-stream",
        )
        answer = await client.get(f"/api/files/{file['id']}")
        assert answer.content == content
        assert answer.headers["etag"] == f'"{file["sha256"]}"'
        assert answer.headers["content-disposition"].startswith('attachment; filename="data.bin"')
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]
        assert (await client.get(f"/api/files/{file['id']}/info")).json() == file


async def test_many_files_keep_their_order(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, client):
        files = await upload(client, *(part(f"{n}".encode(), f"{n}.txt", f"f{n}") for n in range(5)))
        assert [file["name"] for file in files] == [f"{n}.txt" for n in range(5)]
        for n, file in enumerate(files):
            assert (await client.get(f"/api/files/{file['id']}")).text == str(n)


async def test_upload_larger_than_a_body_may_be_goes_through(tmp_path: Path) -> None:
    async with served(tmp_path, max_body_bytes=1024) as (_, client):
        (file,) = await upload(client, part(b"x" * 100_000))
        assert file["size"] == 100_000


async def test_list_is_paged_and_filtered(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, client):
        await upload(client, *(part(b"text", f"note {n}.txt") for n in range(3)), part(b"GIF89a....", "p.gif"))
        first = (await client.get("/api/files?limit=3")).json()
        assert first["has_more"]
        rest = (await client.get("/api/files", params={"limit": 3, "cursor": first["cursor"]})).json()
        assert len({file["id"] for file in first["files"] + rest["files"]}) == 4
        assert not rest["has_more"]
        assert len((await client.get("/api/files?q=NOTE")).json()["files"]) == 3
        assert [f["name"] for f in (await client.get("/api/files?type=image")).json()["files"]] == ["p.gif"]
        assert (await client.get("/api/files?type=%2F")).status_code == 422
        assert (await client.get("/api/files?cursor=nonsense")).status_code == 422


async def test_anothers_file_does_not_exist(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, client), server.user("eve") as eve:
        (file,) = await upload(client, part(b"secret"))
        path = f"/api/files/{file['id']}"
        answers = [await eve.get(path), await eve.get(path + "/info"), await eve.delete(path), await eve.head(path)]
        assert [answer.status_code for answer in answers] == [404] * 4
        assert (await eve.get("/api/files")).json()["files"] == []
        assert (await client.get(path)).text == "secret"
        async with server.client() as nobody:
            assert (await nobody.get(path)).status_code == 401
            assert (await nobody.post("/api/upload", content=form(part(b"x")), headers=HEADERS)).status_code == 401


async def test_removed_file_is_gone_with_its_content(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, client):
        first, second = await upload(client, part(b"same"), part(b"same"))
        library = server.engine.library
        assert library is not None
        assert (await client.delete(f"/api/files/{first['id']}")).status_code == 204
        assert (await client.delete(f"/api/files/{first['id']}")).status_code == 404
        await library.sweep()
        assert (await client.get(f"/api/files/{second['id']}")).text == "same"
        await client.delete(f"/api/files/{second['id']}")
        async with server.user("eve"):  # Content is kept for a while for uploads under way.
            await server.engine.store.files.keep([], server.engine._node.now())
        assert on_disk(tmp_path) == [first["sha256"]]


# --- what is refused, and leaves nothing behind ------------------------------------------------------------------


async def refused(client: httpx2.AsyncClient, body: bytes, folder: Path, **headers: str) -> dict[str, Any]:
    """The problem that a body is answered with; nothing of it is left."""
    answer = await client.post("/api/upload", content=body, headers=HEADERS | headers)
    assert answer.headers["content-type"] == "application/problem+json"
    assert on_disk(folder) == []
    assert (await client.get("/api/files")).json()["files"] == []
    problem: dict[str, Any] = answer.json()
    return problem


REFUSED = [
    (b"", 400, "not multipart"),
    (b"hello", 400, "not multipart"),
    (part(b"cut off")[:-9], 400, "not multipart"),
    (part(b"without an end"), 400, "not multipart"),
    (form(), 422, "no file"),
    (form(b'--b0undary\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'), 422, "'a' is no file"),
    (form(part(b"good"), b'--b0undary\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'), 422, "is no file"),
    (form(b"--b0undary\r\nX: " + b"y" * 10_000 + b"\r\n\r\n1\r\n"), 413, "header"),
    (form(b"--b0undary\r\n" + b"X: y\r\n" * 50 + b"\r\n1\r\n"), 413, "header"),
    (form(b"--b0undary\r\n\r\n1\r\n"), 400, "not multipart"),
    (form(*(part(b"") for _ in range(21))), 413, "files_per_upload"),
    (form(part(b"good"), part(b"x" * 1_001)), 413, "file_max_bytes"),
]


async def test_refused_upload_leaves_nothing(tmp_path: Path) -> None:
    async with served(tmp_path, file_max_bytes=1_000) as (_, client):
        for body, status, words in REFUSED:
            problem = await refused(client, body, tmp_path)
            assert (problem["status"], words in problem["detail"]) == (status, True), problem


OTHER_TYPES = [
    ("application/json", 415),
    ("multipart/form-data", 415),
    ("multipart/mixed; boundary=b0undary", 415),
    (f"multipart/form-data; boundary={'x' * 300}", 415),
    ("multipart/form-data; boundary=other", 400),
]


async def test_other_types_of_body_are_refused(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, client):
        for media_type, status in OTHER_TYPES:
            problem = await refused(client, form(part(b"x")), tmp_path, **{"Content-Type": media_type})
            assert problem["status"] == status, media_type


async def test_every_cut_of_a_form_is_the_same_form(tmp_path: Path) -> None:
    """However the network divides it; the cuts are those that a parser could mind."""
    body = form(part(b"first\r\n--b0undar", "a"), part(b"\r\n\r\n", "b"))
    async with served(tmp_path) as (_, client):
        seen: set[str] = set()
        for cut in (*range(1, len(body), 5), *range(len(body) - 20, len(body))):
            pieces = [body[:cut], body[cut:]]

            async def sent(pieces: list[bytes] = pieces) -> AsyncIterator[bytes]:
                for piece in pieces:
                    yield piece
                    await trio.lowlevel.checkpoint()

            answer = await client.post("/api/upload", content=sent(), headers=HEADERS)
            assert answer.status_code == 201, (cut, answer.text)
            seen.add(json.dumps([file["sha256"] for file in answer.json()["files"]]))
        assert len(seen) == 1


async def test_body_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, client):
        cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        head = (
            f"POST /api/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookies}\r\n"
            f"Content-Type: {HEADERS['Content-Type']}\r\nContent-Length: 9000000\r\n\r\n"
        ).encode()
        stream = await trio.open_tcp_stream(*server.address)
        await stream.send_all(head + part(b"x" * 2_000_000)[:-2])
        files = server.engine.store.files
        user = (await client.get("/api/auth/me")).json()["id"]
        with trio.fail_after(5):
            while not on_disk(tmp_path):  # noqa: ASYNC110 - the server writes in threads of its own
                await trio.sleep(0.01)
            assert (await files.space(user, server.engine._node.now())).reserved > 0
            await stream.aclose()
            while on_disk(tmp_path):  # noqa: ASYNC110 - as above
                await trio.sleep(0.01)
            while (await files.space(user, server.engine._node.now())).reserved:  # noqa: ASYNC110 - as above
                await trio.sleep(0.01)
        assert (await client.get("/api/files")).json()["files"] == []


async def test_upload_that_stalls_is_given_up(tmp_path: Path) -> None:
    async with served(tmp_path, upload_stall_seconds=0.2) as (server, client):
        cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        head = (
            f"POST /api/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookies}\r\n"
            f"Content-Type: {HEADERS['Content-Type']}\r\nContent-Length: 9000000\r\n\r\n"
        ).encode()
        answer = await server.raw(head + part(b"x" * 100), end=False)
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"upload_stall_seconds" in answer
        assert on_disk(tmp_path) == []


# --- quota -------------------------------------------------------------------------------------------------------


async def test_quota_is_exact(tmp_path: Path) -> None:
    async with served(tmp_path, files_quota_bytes=3_000) as (_, client):
        await upload(client, part(b"x" * 2_999))
        answer = await client.post("/api/upload", content=form(part(b"yy")), headers=HEADERS)
        assert (answer.status_code, answer.json()["code"]) == (413, "quota")
        (file,) = await upload(client, part(b"y"))
        await client.delete(f"/api/files/{file['id']}")
        await upload(client, part(b"z"))


async def test_quota_holds_in_a_race(tmp_path: Path) -> None:
    async with served(tmp_path, files_quota_bytes=5_000, uploads_per_user=50) as (_, client):
        statuses: list[int] = []

        async def send(number: int) -> None:
            body = form(part(bytes([number]) * 1_000))
            statuses.append((await client.post("/api/upload", content=body, headers=HEADERS)).status_code)

        async with trio.open_nursery() as nursery:
            for number in range(12):
                nursery.start_soon(send, number)
        assert sorted(statuses) == [201] * 5 + [413] * 7
        assert len((await client.get("/api/files")).json()["files"]) == 5


async def test_what_is_surely_too_much_is_refused_before_it_comes(tmp_path: Path) -> None:
    async with served(tmp_path, files_quota_bytes=1_000) as (server, client):
        cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        head = (
            f"POST /api/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookies}\r\n"
            f"Content-Type: {HEADERS['Content-Type']}\r\nContent-Length: 90000000\r\n\r\n"
        ).encode()
        assert (await server.raw(head, end=False)).startswith(b"HTTP/1.1 413")


async def test_uploads_at_a_time_are_bounded(tmp_path: Path) -> None:
    async with served(tmp_path, uploads_per_user=1) as (server, client):
        cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        head = (
            f"POST /api/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookies}\r\n"
            f"Content-Type: {HEADERS['Content-Type']}\r\nContent-Length: 90000\r\n\r\n"
        ).encode()
        stream = await trio.open_tcp_stream(*server.address)
        async with stream:
            await stream.send_all(head)
            with trio.fail_after(5):
                while True:
                    answer = await client.post("/api/upload", content=form(part(b"x")), headers=HEADERS)
                    if answer.status_code == 429:
                        break
        assert "uploads_per_user" in answer.json()["detail"]


async def test_full_disk_is_told(tmp_path: Path) -> None:
    store = MemoryStore()
    async with serve(files=tmp_path, store=store) as server, server.user() as client:
        store.faults.full = True
        answer = await client.post("/api/upload", content=form(part(b"x")), headers=HEADERS)
        assert answer.status_code == 503
        store.faults.full = False
        await upload(client, part(b"x"))


# --- names -------------------------------------------------------------------------------------------------------


NAMES = [
    ("../../etc/passwd", "passwd"),
    ("C:\\temp\\a.txt", "a.txt"),
    ("a%0D%0ASet-Cookie: x=y", "a Set-Cookie: x=y"),
    ("%22quoted%22.txt", '"quoted".txt'),
    ("\u202egpj.exe", "gpj.exe"),
    ("tab\tname", "tab name"),
    ("..", "file"),
    ("", "file"),
    ("e\u0301t\u00e9.txt", "\u00e9t\u00e9.txt"),
    ("\U0001f469\u200d\U0001f52c.png", "\U0001f469\u200d\U0001f52c.png"),
    ("x" * 300 + ".txt", "x" * 196 + ".txt"),
]


async def test_names_are_cleaned(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, client):
        for sent, kept in NAMES:
            (file,) = await upload(client, part(b"x", sent))
            assert file["name"] == kept
            header = (await client.get(f"/api/files/{file['id']}")).headers["content-disposition"]
            assert header.isascii()
            assert not set("\r\n") & set(header)


async def test_page_in_disguise_is_never_shown(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, client):
        for content in (
            b"<html><script>alert(1)</script>",
            b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        ):
            (file,) = await upload(client, part(content, "innocent.png"))
            answer = await client.get(f"/api/files/{file['id']}")
            assert answer.headers["content-disposition"].startswith("attachment")
            assert file["media_type"] in ("text/html", "image/svg+xml")


# --- parts and conditions ----------------------------------------------------------------------------------------


async def test_parts_of_a_file(tmp_path: Path) -> None:
    content = bytes(range(100))
    async with served(tmp_path) as (_, client):
        (file,) = await upload(client, part(content))
        path = f"/api/files/{file['id']}"
        answer = await client.get(path, headers={"Range": "bytes=10-19"})
        assert (answer.status_code, answer.content) == (206, content[10:20])
        assert answer.headers["content-range"] == "bytes 10-19/100"
        answer = await client.get(path, headers={"Range": "bytes=-5"})
        assert answer.content == content[-5:]
        answer = await client.get(path, headers={"Range": "bytes=100-"})
        assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */100")
        answer = await client.get(path, headers={"Range": "pages=1-2"})
        assert (answer.status_code, answer.content) == (200, content)


async def test_several_parts_come_in_one_answer(tmp_path: Path) -> None:
    content = bytes(range(100))
    async with served(tmp_path) as (_, client):
        (file,) = await upload(client, part(content))
        answer = await client.get(f"/api/files/{file['id']}", headers={"Range": "bytes=0-9,50-59"})
        assert answer.status_code == 206
        media_type, _, boundary = answer.headers["content-type"].partition("; boundary=")
        assert media_type == "multipart/byteranges"
        _, first, second, end = answer.content.split(f"--{boundary}".encode())
        assert b"content-range: bytes 0-9/100" in first
        assert first.endswith(b"\r\n\r\n" + content[0:10] + b"\r\n")
        assert b"content-range: bytes 50-59/100" in second
        assert second.endswith(b"\r\n\r\n" + content[50:60] + b"\r\n")
        assert end == b"--\r\n"


async def test_conditions(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, client):
        (file,) = await upload(client, part(b"0123456789"))
        path, tag = f"/api/files/{file['id']}", f'"{file["sha256"]}"'
        for wanted in (tag, f"W/{tag}", f'"x", {tag}', "*"):
            answer = await client.get(path, headers={"If-None-Match": wanted})
            assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
        assert (await client.get(path, headers={"If-None-Match": '"x"'})).status_code == 200
        assert (await client.get(path, headers={"If-Match": '"x"'})).status_code == 412
        assert (await client.get(path, headers={"If-Match": tag})).status_code == 200
        part_of = {"Range": "bytes=0-1"}
        assert (await client.get(path, headers=part_of | {"If-Range": tag})).status_code == 206
        for other in ('"x"', f"W/{tag}", "Tue, 24 Nov 2026 08:00:00 GMT"):
            assert (await client.get(path, headers=part_of | {"If-Range": other})).status_code == 200


async def test_head_says_what_get_would(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, client):
        (file,) = await upload(client, part(b"x" * 1_000_000))
        path = f"/api/files/{file['id']}"
        got, head = await client.get(path), await client.head(path, headers={"Range": "bytes=0-1"})
        assert (head.status_code, head.content) == (200, b"")
        for name in ("content-length", "content-type", "etag", "content-disposition"):
            assert head.headers[name] == got.headers[name]


async def test_content_that_is_missing_is_told_and_not_sent(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, client):
        (file,) = await upload(client, part(b"x"))
        library = server.engine.library
        assert library is not None
        library.blobs.path(file["sha256"]).unlink()
        assert (await client.get(f"/api/files/{file['id']}")).status_code == 404
        (file,) = await upload(client, part(b"yy"))
        library.blobs.path(file["sha256"]).write_bytes(b"y")
        answer = await client.get(f"/api/files/{file['id']}")
        assert (answer.status_code, answer.json()["code"]) == (503, "storage")


async def test_download_whose_client_leaves_is_given_up(tmp_path: Path) -> None:
    """Nothing more is read than what was on its way."""
    async with served(tmp_path) as (server, client):
        (file,) = await upload(client, part(b"x" * 40_000_000))
        library = server.engine.library
        assert library is not None
        disk, read = library.blobs.disk, 0
        right = disk.pread

        def pread(descriptor: int, size: int, offset: int) -> bytes:
            nonlocal read
            read += size
            return right(descriptor, size, offset)

        disk.pread = pread  # type: ignore[method-assign]
        cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        stream = await trio.open_tcp_stream(*server.address)
        request = f"GET /api/files/{file['id']} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookies}\r\n\r\n"
        await stream.send_all(request.encode())
        await stream.receive_some(1000)
        await stream.aclose()
        (other,) = await upload(client, part(b"y" * 100_000))
        with trio.fail_after(5):
            while library.blobs.statistics()["busy"]:  # noqa: ASYNC110 - the thread tells nobody
                await trio.sleep(0.01)
        assert (await client.get(f"/api/files/{other['id']}")).status_code == 200
        assert read < 30_000_000


# --- in messages -------------------------------------------------------------------------------------------------


async def conversation(client: httpx2.AsyncClient) -> str:
    return str((await client.post("/api/conversations", json={})).json()["id"])


async def test_message_names_files_which_we_describe(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, client):
        first, second = await upload(client, part(b"1", "one.txt"), part(b"2", "two.txt"))
        path = f"/api/conversations/{await conversation(client)}"
        parts = [
            {"type": "text", "text": "See"},
            {"type": "file", "file": first["id"], "name": "lie", "media_type": "x/y"},
        ]
        answer = await client.post(path + "/messages", json={"parts": parts, "files": [second["id"]]})
        assert answer.status_code == 202, answer.text
        await read_events(client, path + "/events", "run.completed", count=0)
        message = (await client.get(path)).json()["messages"][0]
        assert message["parts"] == [
            {"type": "text", "text": "See"},
            {"type": "file", "file": first["id"], "name": "one.txt", "media_type": "text/plain"},
            {"type": "file", "file": second["id"], "name": "two.txt", "media_type": "text/plain"},
        ]
        (request,) = server.provider.requests
        assert "[file 'one.txt'" in text_of(request.messages[0].parts)


async def test_files_say_enough_without_words(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, client):
        (file,) = await upload(client, part(b"1"))
        path = f"/api/conversations/{await conversation(client)}/messages"
        for body in ({"files": [file["id"]]}, {"text": "", "files": [file["id"]]}):
            assert (await client.post(path, json=body)).status_code == 202
        assert (await client.post(path, json={"files": []})).status_code == 422


async def test_anothers_file_cannot_be_named(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, client), server.user("eve") as eve:
        (file,) = await upload(client, part(b"secret"))
        path = f"/api/conversations/{await conversation(eve)}/messages"
        for name in (file["id"], "no id", "01a20cf7-278d-7243-b023-de79c7398939"):
            for body in ({"files": [name]}, {"parts": [{"type": "file", "file": name}]}):
                answer = await eve.post(path, json=body)
                assert (answer.status_code, answer.json()["detail"]) == (404, f"there is no file {name!r}")
        assert (await eve.get(path)).json()["messages"] == []


async def test_edited_message_may_name_other_files(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, client):
        first, second = await upload(client, part(b"1", "one.txt"), part(b"2", "two.txt"))
        path = f"/api/conversations/{await conversation(client)}"
        posted = await client.post(path + "/messages", json={"files": [first["id"]], "respond": False})
        answer = await client.patch(
            f"/api/messages/{posted.json()['message']}", json={"files": [second["id"]], "regenerate": False}
        )
        assert answer.status_code == 202
        (message,) = (await client.get(path)).json()["messages"]
        assert [p["name"] for p in message["parts"]] == ["two.txt"]


async def test_conversation_that_is_purged_takes_its_files(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, client):
        mine, free = await upload(client, part(b"1"), part(b"2"))
        name = await conversation(client)
        await client.post(f"/api/conversations/{name}/messages", json={"files": [mine["id"]], "respond": False})
        assert (await client.delete(f"/api/conversations/{name}")).status_code == 204
        assert (await client.get(f"/api/files/{mine['id']}")).status_code == 200
        assert (await client.delete(f"/api/conversations/{name}?purge=true")).status_code == 204
        assert (await client.get(f"/api/files/{mine['id']}")).status_code == 404
        assert (await client.get(f"/api/files/{free['id']}")).status_code == 200


async def test_removed_file_leaves_its_name_in_the_message(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, client):
        (file,) = await upload(client, part(b"1", "one.txt"))
        path = f"/api/conversations/{await conversation(client)}"
        await client.post(path + "/messages", json={"files": [file["id"]], "respond": False})
        await client.delete(f"/api/files/{file['id']}")
        (message,) = (await client.get(path)).json()["messages"]
        assert message["parts"][0]["name"] == "one.txt"
        assert (await client.get(f"/api/files/{file['id']}/info")).status_code == 404


# --- what is read out of them ------------------------------------------------------------------------------------


async def test_photograph_is_read_and_shown_smaller(tmp_path: Path) -> None:
    out = BytesIO()
    Image.new("RGB", (1_000, 500), "red").save(out, "JPEG")
    extractors = trialogue_documents.trialogue_extractors()
    async with served(tmp_path, extractors=extractors) as (_, client), open_stream(client, "/api/events") as stream:
        assert (await stream.event() or {})["type"] == "snapshot"
        (file,) = await upload(client, part(out.getvalue(), "photo.gif"))
        assert file["text"]["state"] == "pending"
        path = f"/api/files/{file['id']}"
        small = await client.get(path + "?variant=thumbnail")
        assert (small.status_code, small.headers["content-type"]) == (200, "image/jpeg")
        assert small.headers["content-disposition"].startswith("inline")
        with Image.open(BytesIO(small.content)) as image:
            assert image.size == (320, 160)
        told = [await stream.event() or {} for _ in range(2)]
        assert [(one["type"], one["file"]["width"]) for one in told] == [
            ("file.updated", None),
            ("file.updated", 1_000),
        ]
        assert (await client.get(path + "/info")).json() == told[1]["file"]
        assert (await client.get(path + "?variant=huge")).status_code == 422
        (text,) = await upload(client, part(b"text"))
        assert (await client.get(f"/api/files/{text['id']}?variant=thumbnail")).status_code == 404
        await client.delete(path)
        kinds = [(await stream.event() or {})["type"] for _ in range(3)]
        assert kinds[-1] == "file.removed"
