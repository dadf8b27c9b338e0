"""An MCP server that is a process: what its tools return, how it fails, and that nothing of it stays behind."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from mcp_probe import CONTEXT, PATIENCE, Probe, serving, until

from trialogue import CitationPart, ToolError
from trialogue_mcp import McpServer, McpSource

SERVER = str(Path(__file__).with_name("stdio_server.py"))
RAW = str(Path(__file__).with_name("raw_server.py"))


@asynccontextmanager
async def open_probe(tmp_path: Path, **spec: Any) -> AsyncGenerator[Probe]:  # Any: each field's own.
    state = tmp_path / "state"
    env = {"STATE": str(state), "TOKEN": "abcdefgh-secret", **spec.pop("env", {})}
    spec = {"command": (sys.executable, SERVER), "start_timeout": PATIENCE, **spec}
    source = McpSource(McpServer(name="probe", env=env, **spec))
    async with serving(source, state) as probe:
        yield probe


def is_alive(pid: int) -> bool:
    """Whether there is such a process, one that is only still to be waited for not counted."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def gone(pid: int) -> None:
    async def look() -> bool | None:
        return None if is_alive(pid) else True

    await until(look)


async def test_results_of_every_kind(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "trialogue.mcp")
    async with open_probe(tmp_path, approval="hints") as probe:
        add = await probe.tool("add")
        assert (add.needs_approval, add.idempotent) == (False, True)
        assert (await probe.tool("boom")).needs_approval
        assert set(add.parameters["properties"]) == {"one", "two"}
        assert (await probe.call("add", one=2, two=3)).text == "5"
        boom = await probe.call("boom")
        assert boom.failed
        assert "there is no such city" in boom.text
        linked = await probe.call("linked")
        assert linked.text.startswith("The barn is old.")
        assert linked.citations == (CitationPart("https://example.org/barn", "barn"),)
        assert (await probe.call("add", one="x")).failed  # Arguments that do not fit are told to the model.
        assert "x" * 2000 in (await probe.call("big", size=100_000)).text
        assert "secret" not in repr(probe.source)
    assert "hello, secret is ***" in caplog.text
    assert "abcdefgh" not in caplog.text


async def test_pictures_are_files_of_the_result(tmp_path: Path) -> None:
    async with open_probe(tmp_path) as probe:
        drawn = await probe.call("picture")
        (file,) = drawn.files
        assert (file.name, file.media_type, file.data[:8]) == ("picture-1.png", "image/png", b"\x89PNG\r\n\x1a\n")
        assert drawn.text == "[the picture 'picture-1.png']"
        embedded = await probe.call("embedded")
        assert [one.name for one in embedded.files] == ["red.png"]
        assert embedded.text.startswith("See:\n[the file 'red.png'")
        assert embedded.citations == (CitationPart("memory://plots/red.png?at=1"),)
        for data in ("A", "AAA", "A A A A", "é" * 4, "", "-_-_"):
            with pytest.raises(ToolError, match=r"base64|empty"):
                await probe.call("picture", data=data)
        assert (await probe.call("picture", mime_type="image/x-none; a=b")).files[0].media_type == "image/x-none"


async def test_only_tools_that_are_wanted_and_what_is_too_long_is_said_to_be(tmp_path: Path) -> None:
    async with open_probe(tmp_path, tools=("big", "add", "nosuch"), message_bytes=100_000) as probe:
        await probe.tool("add")
        assert {one.name for one in await probe.source.tools()} == {"probe__add", "probe__big"}
        with pytest.raises(ToolError, match=r"has [0-9]+ bytes.*message_bytes"):
            await probe.call("big", size=50_000_000)
        # And the connection lives.
        assert (await probe.call("add", one=1, two=1)).text == "2"
        assert probe.source.connects == 1


async def test_server_that_dies_in_a_call_is_started_again(tmp_path: Path) -> None:
    async with open_probe(tmp_path) as probe:
        with pytest.raises(ToolError, match="nobody knows whether it had an effect"):
            await probe.call("die")

        # Its tools are known all the while, and a call waits a moment for it.
        async def added() -> str | None:
            try:
                return (await probe.call("add", one=1, two=2)).text
            except ToolError:
                return None

        assert await until(added) == "3"
        assert probe.source.connects >= 2


async def test_cancelled_call_is_free_at_once_and_the_server_told(tmp_path: Path) -> None:
    async with open_probe(tmp_path) as probe:
        wait = await probe.tool("wait")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait.call, {}, CONTEXT)
            await probe.noted("waiting")
            began = trio.current_time()
            nursery.cancel_scope.cancel()
        assert trio.current_time() - began < 5
        await probe.noted("cancelled")
        assert (await probe.call("add", one=1, two=1)).text == "2"


async def test_garbage_between_messages_is_passed_over_up_to_a_bound(tmp_path: Path) -> None:
    async with open_probe(tmp_path, command=(sys.executable, RAW), message_bytes=10_000) as probe:
        assert (await probe.call("garbage", lines=300)).text == "said"
        with pytest.raises(ToolError, match=r"has 2[0-9]{4} bytes"):
            await probe.call("long", lines=0)  # Its id comes last.
        assert (await probe.call("garbage", lines=300)).text == "said"
        with pytest.raises(ToolError, match="ended in the midst"):
            await probe.call("garbage", lines=2_000)


async def test_server_that_knows_no_handshake_any_more(tmp_path: Path) -> None:
    async with open_probe(tmp_path, command=(sys.executable, RAW), env={"MODERN": "yes"}) as probe:
        assert (await probe.call("garbage", lines=0)).text == "said"
        assert (await probe.call("garbage", lines=0)).text == "said"
        assert probe.source.connects == 1


async def test_server_that_does_not_read(tmp_path: Path) -> None:
    async with open_probe(tmp_path, command=(sys.executable, RAW)) as probe:
        await probe.call("deaf", lines=0)
        for _ in range(2):
            began = trio.current_time()
            with trio.move_on_after(0.3) as scope:
                await probe.call("garbage", lines=1, filling="x" * 1_000_000)
            assert scope.cancelled_caught
            assert trio.current_time() - began < 5


async def test_tools_that_change(tmp_path: Path) -> None:
    async with open_probe(tmp_path) as probe:
        await probe.call("grow")
        assert (await probe.call("grown")).text == "grown"
        assert (await probe.source._call("nosuch", {})).failed


async def test_nothing_outlives_it(tmp_path: Path) -> None:
    async with open_probe(tmp_path) as probe:
        child = int((await probe.call("spawn")).text)
        server = int((await probe.noted("started")).split()[1])
        assert is_alive(child)
    await gone(server)
    await gone(child)


async def test_nothing_outlives_us_when_we_are_killed(tmp_path: Path) -> None:
    code = (
        "import trio, sys; from trialogue_mcp import McpServer, McpSource\n"
        f"spec = McpServer(name='probe', command=({sys.executable!r}, {SERVER!r}),"
        f" env={{'STATE': {str(tmp_path / 'state')!r}, 'DEAF': '1'}})\n"
        "trio.run(McpSource(spec).serve)"
    )
    process = await trio.lowlevel.open_process([sys.executable, "-c", code])
    probe = Probe(McpSource(McpServer(name="probe", command=("none",))), tmp_path / "state")
    server = int((await probe.noted("started")).split()[1])
    process.kill()
    await process.wait()
    await gone(server)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("/no/such/program",), "ended before the handshake"),
        ((sys.executable, "-c", "print('hello')"), "ended before the handshake"),
        (("sleep", "100"), "no handshake within 0.5 s"),
        (("yes",), "ended before the handshake"),
        (("cat", "/dev/zero"), "no handshake within 0.5 s"),
    ],
)
async def test_what_is_no_server(tmp_path: Path, command: tuple[str, ...], words: str) -> None:
    async with open_probe(tmp_path, command=command, start_timeout=0.5) as probe:

        async def failed() -> bool | None:
            return True if probe.source.failures >= 2 else None

        await until(failed)
        assert await probe.source.tools() == ()
        assert words in repr(probe.source)
