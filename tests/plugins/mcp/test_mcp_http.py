"""An MCP server over Streamable HTTP: its tools, its end and return, and what is no such server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from mcp_probe import CONTEXT, PATIENCE, Probe, serving, until

from trialogue import ToolError
from trialogue_mcp import McpServer, McpSource, _connection, _web

SERVER = str(Path(__file__).with_name("http_server.py"))
HANGING = str(Path(__file__).with_name("hanging_server.py"))
#: The package leaves the generators of responses that it no longer reads to the garbage collector; the responses are closed.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator 'httpx2:ResourceWarning")

HEADERS = {"Authorization": "Bearer key-of-the-tests"}


@asynccontextmanager
async def open_server(state: Path, port: int = 0) -> AsyncGenerator[tuple[trio.Process, int]]:
    """A server in a process, and its port."""
    process = await trio.lowlevel.open_process(
        [sys.executable, SERVER, str(port)], env={**os.environ, "STATE": str(state)}
    )
    try:
        noted = await Probe(McpSource(McpServer()), state).noted("started")
        yield process, int(noted.split()[2])
    finally:
        with trio.CancelScope(shield=True):
            process.kill()
            await process.wait()


@asynccontextmanager
async def open_source(url: str, state: Path, **spec: Any) -> AsyncGenerator[Probe]:  # Any: each field's own.
    source = McpSource(McpServer(name="probe", url=url, **{"headers": HEADERS, **spec}))
    async with serving(source, state) as probe:
        yield probe


async def test_calls_and_changes(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with open_server(state) as (_, port), open_source(f"http://127.0.0.1:{port}/mcp", state) as probe:
        assert (await probe.call("add", one=2, two=3)).text == "5"
        await probe.call("grow")
        assert (await probe.call("grown")).text == "grown"
        assert probe.source.connects == 1


async def test_cancelled_call_is_free_at_once_and_the_server_told(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with open_server(state) as (_, port), open_source(f"http://127.0.0.1:{port}/mcp", state) as probe:
        wait = await probe.tool("wait")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait.call, {}, CONTEXT)
            await probe.noted("waiting")
            began = trio.current_time()
            nursery.cancel_scope.cancel()
        assert trio.current_time() - began < 5
        await probe.noted("cancelled")


async def test_answer_that_is_too_long(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with (
        open_server(state) as (_, port),
        open_source(f"http://127.0.0.1:{port}/mcp", state, message_bytes=100_000) as probe,
    ):
        with pytest.raises(ToolError):
            await probe.call("big", size=20_000_000)
        assert (await probe.call("add", one=2, two=3)).text == "5"


async def test_server_that_is_killed_in_a_call_and_comes_back(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    async with open_server(first) as (process, port), open_source(f"http://127.0.0.1:{port}/mcp", first) as probe:
        wait = await probe.tool("wait")

        async def kill() -> None:
            await probe.noted("waiting")
            process.kill()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(kill)
            with pytest.raises(ToolError), trio.fail_after(PATIENCE):
                await wait.call({}, CONTEXT)
        async with open_server(second, port):

            async def added() -> str | None:
                try:
                    return (await probe.call("add", one=1, two=2)).text
                except ToolError:
                    return None

            assert await until(added) == "3"


async def test_server_that_hangs_is_left_and_asked_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PING", "PONG"):
        monkeypatch.setattr(_connection, name, 0.3)
    monkeypatch.setattr(_web, "_FAREWELL", 0.3)
    process = await trio.lowlevel.open_process([sys.executable, HANGING], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        port = int(await process.stdout.receive_some())
        async with open_source(f"http://127.0.0.1:{port}/mcp", tmp_path / "state") as probe:

            async def again() -> bool | None:
                return True if probe.source.connects >= 2 else None

            await until(again)
    finally:
        with trio.CancelScope(shield=True):
            process.kill()
            await process.wait()
            await process.stdout.aclose()


@pytest.mark.parametrize("spec", [{"headers": {}}, {"url": "http://127.0.0.1:9/mcp"}, {"url": "/nosuch"}])
async def test_what_cannot_be_connected_to(tmp_path: Path, spec: dict[str, Any]) -> None:
    state = tmp_path / "state"
    async with open_server(state) as (_, port):
        url = spec.pop("url", "/mcp")
        url = url if url.startswith("http") else f"http://127.0.0.1:{port}{url}"
        async with open_source(url, state, **spec) as probe:

            async def failed() -> bool | None:
                return True if probe.source.failures >= 2 else None

            await until(failed)
            assert await probe.source.tools() == ()
            assert "key-of-the-tests" not in repr(probe.source)
