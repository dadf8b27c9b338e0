"""The transport over stdio: a process of its own behind a warden, and a JSON message a line in each direction.

The package's own reads lines of any length, which costs the square of it, and its processes outlive a server that is
killed. What is no message is logged and passed over, as many servers print what they should not; of a message that is
too long only its id is looked at, so that whoever waits for it learns of it.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import anyio
import mcp_types as types
import trio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage

from trialogue_mcp._lines import Line, Lines
from trialogue_mcp._saying import Saying
from trialogue_mcp._specs import McpServer

Streams: TypeAlias = tuple[
    MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[SessionMessage]
]

#: Lines that are no messages, after which what speaks is no MCP server.
MOST_GARBAGE = 1_000
#: Seconds for a server to end by itself when its input is closed; then for it to heed SIGTERM.
_PATIENCE, _LAST_PATIENCE = 0.5, 1.0

_WARDEN = Path(__file__).with_name("_warden.py")
#: Variables that a command gets without asking.
_HARMLESS = ("HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER")
_FIRST_ID = re.compile(rb'^\s*\{(?:\s*"jsonrpc"\s*:\s*"2\.0"\s*,)?\s*"id"\s*:\s*(\d{1,18})\s*,')
_LAST_ID = re.compile(rb'[,{]\s*"id"\s*:\s*(\d{1,18})\s*\}\s*$')
_log = logging.getLogger("trialogue.mcp")


@asynccontextmanager
async def open_stdio(server: McpServer) -> AsyncGenerator[Streams]:
    """Start the command; its messages in and out. The stream in ends when the process does. Raises ``OSError``."""
    async with _process(server) as process, trio.open_nursery() as nursery:
        # Made now: one that is told to end while its process is being started leaves none of them open.
        incoming, received = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        sent, outgoing = anyio.create_memory_object_stream[SessionMessage](0)
        async with incoming, received, sent, outgoing:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            saying = Saying(server)
            nursery.start_soon(saying.listen, process.stderr)
            nursery.start_soon(_read, server, Lines(process.stdout, server.message_bytes), incoming, saying)
            nursery.start_soon(_write, process.stdin, outgoing)
            try:
                yield received, sent
            finally:
                nursery.cancel_scope.cancel()


@asynccontextmanager
async def _process(server: McpServer) -> AsyncGenerator[trio.Process]:
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            process = await trio.lowlevel.open_process(
                [sys.executable, "-I", "-S", str(_WARDEN), str(theirs.fileno()), str(_LAST_PATIENCE), *server.command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                cwd=server.folder,
                env={**{name: os.environ[name] for name in _HARMLESS if name in os.environ}, **server.env},
            )
        try:
            yield process
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 2 * (_PATIENCE + _LAST_PATIENCE)):
                await _end(process, ours)


async def _end(process: trio.Process, control: socket.socket) -> None:
    """Ask by closing its input, then by way of the warden, who does not let it off."""
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            await stream.aclose()
    with trio.move_on_after(_PATIENCE):
        await process.wait()
    control.close()
    await process.wait()


async def _read(
    server: McpServer, lines: Lines, incoming: MemoryObjectSendStream[SessionMessage | Exception], saying: Saying
) -> None:
    garbage = 0
    async with incoming:
        try:
            while (line := await lines.next()) is not None and garbage < MOST_GARBAGE:
                message = _message(line, server.message_bytes)
                if message is not None:
                    await incoming.send(SessionMessage(message))
                elif line.text.strip():
                    garbage += 1
                    saying.say(f"(no message) {line.text[:200].decode(errors='replace')}")
                    await trio.lowlevel.checkpoint()
        except (trio.BrokenResourceError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            return
    if garbage >= MOST_GARBAGE:
        _log.warning("%s writes what is no MCP into its standard output: left alone", server.name)


def _message(line: Line, limit: int) -> types.JSONRPCMessage | None:
    if line.is_whole:
        try:
            return types.jsonrpc_message_adapter.validate_json(line.text, by_name=False)
        except ValueError:
            return None
    found = _FIRST_ID.search(line.text) or _LAST_ID.search(line.tail)
    if found is None:
        return None
    words = f"the answer has {line.size} bytes, and more than {limit} are not read (message_bytes)"
    error = types.ErrorData(code=types.INTERNAL_ERROR, message=words)
    return types.JSONRPCError(jsonrpc="2.0", id=int(found[1]), error=error)


async def _write(stdin: trio.abc.SendStream, outgoing: MemoryObjectReceiveStream[SessionMessage]) -> None:
    async with outgoing:
        try:
            async for message in outgoing:
                text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                await stdin.send_all(f"{text}\n".encode())
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            # It has ended, or is about to be found to have.
            return
