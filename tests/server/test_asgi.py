"""The app under any ASGI server: it opens and closes with the lifespan. Hypercorn's own worker runs it for real."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trio

from trialogue import ConfigurationError
from trialogue_server import asgi, serve
from trialogue_server._http.call import Receive, Scope, Send
from trialogue_server.asgi import Lifespan
from trialogue_server.config import Config


class Server:
    """The other side of a lifespan."""

    def __init__(self) -> None:
        self.app = Lifespan()
        self._to_app = trio.open_memory_channel[MutableMapping[str, Any]](1)
        self._from_app = trio.open_memory_channel[MutableMapping[str, Any]](2)

    async def run(self) -> None:
        await self.app({"type": "lifespan"}, self._to_app[1].receive, self._from_app[0].send)

    async def tell(self, what: str) -> MutableMapping[str, Any]:
        await self._to_app[0].send({"type": f"lifespan.{what}"})
        return await self._from_app[1].receive()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happened to the app, which is replaced by one that says hello; no logging is set up."""
    happened: list[str] = []

    @asynccontextmanager
    async def open_app(config: Config) -> AsyncGenerator[Any]:
        if config.port == 1:
            raise ConfigurationError("port 1 is not for us")
        happened.append("opened")

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            happened.append(scope["path"])

        yield app
        happened.append("closed")
        if config.port == 2:
            raise OSError("the disk is gone")

    monkeypatch.setattr(serve, "open_app", open_app)
    monkeypatch.setattr("trialogue_server._process.logs.configure", lambda config: None)
    monkeypatch.chdir("/")
    return happened


async def test_app_lives_between_startup_and_shutdown(opened: list[str], nursery: trio.Nursery) -> None:
    server = Server()
    nursery.start_soon(server.run)
    assert await server.tell("startup") == {"type": "lifespan.startup.complete"}

    async def nothing(*_: Any) -> Any:
        raise AssertionError

    await server.app({"type": "http", "path": "/x"}, nothing, nothing)
    assert await server.tell("shutdown") == {"type": "lifespan.shutdown.complete"}
    assert opened == ["opened", "/x", "closed"]
    with pytest.raises(RuntimeError, match="lifespan"):
        await server.app({"type": "http", "path": "/x"}, nothing, nothing)


@pytest.mark.parametrize(("port", "phase"), [("1", "startup"), ("2", "shutdown")])
async def test_failure_is_told_to_the_server(
    opened: list[str], nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch, port: str, phase: str
) -> None:
    monkeypatch.setenv("TRIALOGUE_PORT", port)
    server = Server()
    nursery.start_soon(server.run)
    answer = await server.tell("startup")
    if phase == "shutdown":
        answer = await server.tell("shutdown")
    assert answer["type"] == f"lifespan.{phase}.failed"
    assert answer["message"]


async def test_wrong_setting_is_told_to_the_server(
    opened: list[str], nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIALOGUE_PORT", "many")
    server = Server()
    nursery.start_soon(server.run)
    answer = await server.tell("startup")
    assert (answer["type"], "TRIALOGUE_PORT" in answer["message"]) == ("lifespan.startup.failed", True)
    assert opened == []


async def test_hypercorns_own_worker_serves_it(tmp_path: Path) -> None:
    """The whole server with its storage, started as the documentation says, and stopped by a signal."""
    hypercorn = [sys.executable, "-m", "hypercorn", "-k", "trio", "-b", "127.0.0.1:0", "--error-logfile", "-"]
    process = await trio.lowlevel.open_process(
        [*hypercorn, "trialogue_server.asgi:app"],
        cwd=tmp_path,
        env={
            **os.environ,
            "TRIALOGUE_DATA_DIR": str(tmp_path / "data"),
            "TRIALOGUE_DEFAULT_MODEL": "echo:echo",
            "TRIALOGUE_CONNECTIONS_PER_ADDRESS": "2",
        },
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        with trio.fail_after(60):
            url = await _address(process)
            async with httpx2.AsyncClient(base_url=url, trust_env=False) as client:
                assert (await client.get("/readyz")).json()["status"] == "ok"
                account = {"email": "ada@example.org", "password": "correct horse"}
                assert (await client.post("/api/auth/register", json=account)).status_code == 201
                await _is_crowded(url)
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
    finally:
        process.kill()
        for pipe in (process.stderr, process.stdout):
            assert pipe is not None
            await pipe.aclose()
        await process.wait()
    assert asgi.app is not None


async def _is_crowded(url: str) -> None:
    """The client holds a connection; there is room for one more."""
    host, port = url.removeprefix("http://").split(":")
    async with await trio.open_tcp_stream(host, int(port)) as second:
        await second.send_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b" 200 " in await second.receive_some()
        async with await trio.open_tcp_stream(host, int(port)) as third:
            answer = b"".join([piece async for piece in third])
    assert b" 429 " in answer
    assert b"connections_per_address" in answer


async def _address(process: trio.Process) -> str:
    assert process.stderr is not None
    said = b""
    while b"Running on " not in said or b" (CTRL" not in said:
        piece = await process.stderr.receive_some()
        assert piece, said.decode()
        said += piece
    return said.partition(b"Running on ")[2].partition(b" ")[0].decode()
