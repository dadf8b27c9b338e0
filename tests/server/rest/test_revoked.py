"""What takes long ends with the session or the key it was begun with, soon, and never looks complete."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest
import trio
from rest import Server, serve
from talking import make, note

from trialogue.testing import MemoryStore
from trialogue_server._http.uploads import Pace

HEAD = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
UPLOADS = {"/api/upload": ("multipart/form-data; boundary=b", HEAD), "/api/import": ("application/json", b'{"a": "')}
#: More than the buffers between a server and a client that does not read.
LARGE = 32 * 1024 * 1024


class Programs(NamedTuple):
    """A user's browser, and a program with a key of theirs."""

    server: Server
    ada: httpx2.AsyncClient
    program: httpx2.AsyncClient
    key: str
    token: str

    async def revoke(self) -> None:
        assert (await self.ada.delete(f"/api/auth/keys/{self.key}")).status_code == 204


@pytest.fixture
async def programs(tmp_path: Path) -> AsyncIterator[Programs]:
    async with serve(files=tmp_path) as server, server.user() as ada:
        made = (await ada.post("/api/auth/keys", json={"name": "k", "scopes": ["read", "write"]})).json()
        # Not held against the routes' shapes: an answer that breaks off has none.
        headers = {"Authorization": f"Bearer {made['token']}"}
        async with httpx2.AsyncClient(base_url=server.url, headers=headers, timeout=10, trust_env=False) as program:
            yield Programs(server, ada, program, made["key"]["id"], made["token"])


@pytest.mark.parametrize("path", UPLOADS)
async def test_upload_ends_with_its_key(programs: Programs, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    under_way, real = trio.Event(), Pace.next

    async def watched(self: Pace, receive: object) -> object:
        piece = await real(self, receive)  # type: ignore[arg-type]
        under_way.set()
        return piece

    monkeypatch.setattr(Pace, "next", watched)
    media_type, begin = UPLOADS[path]

    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {programs.token}\r\nContent-Type: {media_type}\r\n"
    )
    with trio.fail_after(5):
        async with await trio.open_tcp_stream(*programs.server.address) as stream:
            await stream.send_all(f"{head}Content-Length: {LARGE}\r\n\r\n".encode() + begin + b"x" * 1000)
            await under_way.wait()
            await programs.revoke()
            answer = b"".join([piece async for piece in stream])
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"in the midst" in answer
    assert (await programs.ada.get("/api/files")).json()["files"] == []
    assert (await programs.ada.get("/api/import")).json()["imports"] == []


@asynccontextmanager
async def half_read(client: httpx2.AsyncClient, path: str) -> AsyncGenerator[AsyncIterator[bytes]]:
    async with client.stream("GET", path) as answer:
        assert answer.status_code == 200
        pieces = answer.aiter_raw(65_536)
        assert await anext(pieces)
        yield pieces


async def test_download_ends_with_its_key(programs: Programs) -> None:
    await _breaks_off(programs, f"/api/files/{await uploaded(programs.ada)}")


async def test_export_ends_with_its_key(programs: Programs) -> None:
    url = await make(programs.ada)
    for _ in range(LARGE // 1_000_000):
        await note(programs.ada, url, "x" * 1_000_000)
    await _breaks_off(programs, f"{url}/export")


async def _breaks_off(programs: Programs, path: str) -> None:
    with trio.fail_after(5):
        async with half_read(programs.program, path) as pieces:
            await programs.revoke()
            await expect_break(pieces)


async def uploaded(ada: httpx2.AsyncClient) -> str:
    content = HEAD + b"x" * LARGE + b"\r\n--b--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    (file,) = (await ada.post("/api/upload", content=content, headers=headers)).json()["files"]
    name: str = file["id"]
    return name


@asynccontextmanager
async def half_read_by_link(
    programs: Programs, **link: Any
) -> AsyncGenerator[tuple[str, list[str], AsyncIterator[bytes]]]:
    """A conversation's address, the addresses of two links to it, and a file that is being read by the first."""
    ada, file = programs.ada, await uploaded(programs.ada)
    url = await make(ada)
    await note(ada, url, "see", files=[file])
    made = [(await ada.post(f"{url}/share", json=body)).json() for body in (link, {})]
    async with (
        httpx2.AsyncClient(base_url=programs.server.url, timeout=10, trust_env=False) as reader,
        half_read(reader, f"/api/shared/{made[0]['token']}/files/{file}") as pieces,
    ):
        yield url, [f"{url}/share/{one['id']}" for one in made], pieces


async def expect_break(pieces: AsyncIterator[bytes]) -> None:
    with pytest.raises(httpx2.TransportError):
        async for _ in pieces:
            pass


async def test_download_by_a_link_ends_with_it(programs: Programs) -> None:
    with trio.fail_after(20):
        async with half_read_by_link(programs) as (_, links, pieces):
            assert (await programs.ada.delete(links[0])).status_code == 204
            await expect_break(pieces)


@pytest.mark.parametrize("how", ["link", "trash", "purge", "account"])
async def test_download_by_a_link_ends_at_another_node_as_well(tmp_path: Path, how: str) -> None:
    store = MemoryStore()

    def node(name: str) -> AbstractAsyncContextManager[Server]:
        return serve(None, store, files=tmp_path, clustered=True, cluster_secret="a-secret-of-nodes", node_name=name)

    with trio.fail_after(20):
        async with node("one") as one, node("two") as other, one.user("boss"), one.user() as ada:
            programs = Programs(other, ada, ada, "", "")
            async with half_read_by_link(programs) as (url, links, pieces):
                if how == "account":
                    ended = await ada.request("DELETE", "/api/auth/me", json={"password": "correct horse"})
                else:
                    path = links[0] if how == "link" else url
                    ended = await ada.delete(path, params={"purge": "true"} if how == "purge" else {})
                assert ended.status_code == 204
                # The other node hears of it within a second or two; whoever reads on at once has everything before.
                while not all(scope.cancel_called for scope in other.hub._held):  # noqa: ASYNC110 - no event tells
                    await trio.sleep(0.005)
                await expect_break(pieces)


@pytest.mark.parametrize("purge", [False, True])
async def test_download_by_a_link_ends_with_its_conversation(programs: Programs, purge: bool) -> None:
    with trio.fail_after(20):
        async with half_read_by_link(programs) as (url, _, pieces):
            assert (await programs.ada.delete(url, params={"purge": purge})).status_code == 204
            await expect_break(pieces)


async def test_download_by_a_link_ends_at_its_time(programs: Programs) -> None:
    expires = datetime.now(UTC) + timedelta(seconds=3)
    with trio.fail_after(20):
        async with half_read_by_link(programs, expires=expires.isoformat()) as (_, _, pieces):
            await trio.sleep_until(trio.current_time() + (expires - datetime.now(UTC)).total_seconds() + 0.2)
            await expect_break(pieces)


async def test_download_by_a_link_goes_on_when_others_end(programs: Programs) -> None:
    with trio.fail_after(20):
        async with half_read_by_link(programs) as (_, links, pieces):
            assert (await programs.ada.delete(links[1])).status_code == 204
            await programs.revoke()
            assert sum([len(piece) async for piece in pieces]) > LARGE - 2**20
