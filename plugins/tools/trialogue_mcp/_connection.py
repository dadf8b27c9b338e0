"""One connection to an MCP server: handshake, its tools as they change, calls, and how it is found to have ended.

Everything of the package ``mcp`` that has a scope is entered and left in the task that opens the connection. Calls are
made in tasks of the connection, so that who asked is free at once when it gives up: that a call is taken back is told to
the server, but nobody waits for a server that does not read.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import mcp_types as types
import trio
from mcp import ClientSession, MCPError
from mcp.client.session import IncomingMessage

from trialogue_mcp._specs import McpServer
from trialogue_mcp._stdio import open_stdio
from trialogue_mcp._web import open_web

#: Tools of one server, and pages in which it may list them.
MOST_TOOLS, MOST_PAGES = 200, 20
#: Seconds between two looks whether it is still there, and for its answer; and the least between two lists.
PING, PONG, RELIST = 30.0, 10.0, 1.0


class EndedError(Exception):
    """The connection has ended; the words say how."""


class Connection:
    """A connection that is up. Made by ``open_connection``."""

    def __init__(self, session: ClientSession, nursery: trio.Nursery) -> None:
        self.ended = trio.Event()
        self.reason = "the connection has ended"
        #: Wakes who looks whether it is still there, and who lists the tools anew.
        self._doubt, self._changed = trio.Event(), trio.Event()
        self._session = session
        self._nursery = nursery

    async def call(self, name: str, arguments: dict[str, Any]) -> types.CallToolResult:  # Any: a model's, any JSON.
        """Call a tool. Raises ``MCPError``, ``EndedError``, and whatever the package thinks of the result."""
        answer: list[types.CallToolResult | Exception] = []
        done, scope = trio.Event(), trio.CancelScope()

        async def make() -> None:
            try:
                with scope:
                    answer.append(await self._session.call_tool(name, arguments))
            except Exception as error:
                answer.append(error)
                self._doubt.set()
            finally:
                done.set()

        if self.ended.is_set():
            raise EndedError(self.reason)
        self._nursery.start_soon(make)
        try:
            await done.wait()
        finally:
            scope.cancel()
        match answer:
            case [types.CallToolResult() as result]:
                return result
            case [MCPError(code=types.CONNECTION_CLOSED)] | []:
                raise EndedError(self.reason)
            case [Exception() as error]:
                raise error
            case _:
                raise AssertionError(answer)

    async def tools(self) -> list[types.Tool]:
        """All tools that it lists, up to ``MOST_TOOLS``."""
        found: list[types.Tool] = []
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            page = await self._session.list_tools(params=types.PaginatedRequestParams(cursor=cursor))
            found += page.tools
            cursor = page.next_cursor
            if cursor is None or len(found) >= MOST_TOOLS:
                break
        return found[:MOST_TOOLS]

    async def hear(self, message: IncomingMessage) -> None:
        """What the server says unasked."""
        await trio.lowlevel.checkpoint()
        if isinstance(message, types.ToolListChangedNotification):
            self._changed.set()

    def end(self, reason: str) -> None:
        """It has ended, if it had not."""
        if not self.ended.is_set():
            self.reason = reason
            self.ended.set()

    async def watch(self) -> None:
        """Ask from time to time whether it is still there, and at once when a call failed."""
        while True:
            with trio.move_on_after(PING):
                await self._doubt.wait()
            self._doubt = trio.Event()
            try:
                with trio.fail_after(PONG):
                    await self._session.send_ping()
            except MCPError as error:
                if error.code != types.METHOD_NOT_FOUND:
                    self.end(f"it answers no more: {error.message}")
            except trio.TooSlowError:
                self.end(f"it has not answered within {PONG:g} s")

    async def follow(self, told: Callable[[Sequence[types.Tool]], None]) -> None:
        """List the tools anew whenever they have changed, but not all the time."""
        while True:
            await self._changed.wait()
            self._changed = trio.Event()
            try:
                told(await self.tools())
            except MCPError:
                self._doubt.set()
            await trio.sleep(RELIST)


@asynccontextmanager
async def open_connection(
    server: McpServer, told: Callable[[Sequence[types.Tool]], None]
) -> AsyncGenerator[Connection]:
    """A connection after its handshake; ``told`` is called with its tools, first of all and whenever they change.

    Raises ``TimeoutError`` (no handshake within ``start_timeout``), ``MCPError``, ``OSError``, and what the package raises.
    """
    transport = open_stdio(server) if server.command else open_web(server)
    client = types.Implementation(name="trialogue", version=version("trialogue"))
    # Lasts for as long as the handshake; a deadline of the block it encloses would be the connection's.
    with trio.CancelScope(deadline=trio.current_time() + server.start_timeout) as handshake:
        async with transport as (received, sent):
            relay = _Relay()
            session = ClientSession(received, sent, message_handler=relay, client_info=client)
            async with trio.open_nursery() as nursery, session:
                connection = relay.connection = Connection(session, nursery)
                await _shake_hands(session, connection, told)
                handshake.deadline = math.inf
                nursery.start_soon(connection.watch)
                nursery.start_soon(connection.follow, told)
                try:
                    yield connection
                finally:
                    connection.end("the connection was closed")
                    nursery.cancel_scope.cancel()
    if handshake.cancelled_caught:
        raise TimeoutError(f"no handshake within {server.start_timeout:g} s (start_timeout)")


async def _shake_hands(
    session: ClientSession, connection: Connection, told: Callable[[Sequence[types.Tool]], None]
) -> None:
    try:
        await _negotiate(session)
        told(await connection.tools())
    except MCPError as error:
        if error.code != types.CONNECTION_CLOSED:
            raise
        raise EndedError("it ended before the handshake; what it said of that stands in the log") from error


async def _negotiate(session: ClientSession) -> None:
    """Agree on a version: by the handshake, which nearly all servers know; with those that know none any more, without."""
    try:
        await session.initialize()
    except MCPError as error:
        if error.code not in (types.METHOD_NOT_FOUND, types.UNSUPPORTED_PROTOCOL_VERSION):
            raise
        await session.discover()


class _Relay:
    """Hands on what a session hears, which needs its handler before there is a connection."""

    connection: Connection | None = None

    async def __call__(self, message: IncomingMessage) -> None:
        if self.connection is not None:
            await self.connection.hear(message)
