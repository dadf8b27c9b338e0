"""A source of tools that is an MCP server: a connection that is kept in the background, and its tools, from memory.

    down -> connecting -> up -> down -> ...          with pauses that grow while it does not stay up

Nobody waits for it but a call, and that for a moment only. What it listed last is offered also while it is down, so that
a server that is restarted is no reason for a model to be told that its tools are gone.
"""

from __future__ import annotations

import importlib
import logging
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import trio

from trialogue import Tool, ToolError, ToolOutput, ToolSource
from trialogue_mcp._saying import masked
from trialogue_mcp._specs import McpServer
from trialogue_mcp._tool import McpTool

if TYPE_CHECKING:
    import mcp_types as types

    from trialogue_mcp._connection import Connection

#: The first pause before it is connected to again, and the longest; and how long it stays up before they begin anew.
FIRST_PAUSE, LONGEST_PAUSE, LONG = 0.5, 60.0, 60.0
#: How long a call waits for a connection.
PATIENCE = 5.0
#: Characters of what a server says of a failure.
WORDS = 500

_log = logging.getLogger("trialogue.mcp")


class McpSource(ToolSource):
    """One MCP server. Made from what the file says of it; ``serve`` keeps its connection."""

    def __init__(self, server: McpServer) -> None:
        self.name = server.name
        #: How often it was connected to, and how often in a row it did not stay up.
        self.connects, self.failures = 0, 0
        self._server = server
        self._tools: tuple[Tool, ...] = ()
        self._connection: Connection | None = None
        #: Set while there is a connection.
        self._up = trio.Event()
        self._reason = "it has not been connected to yet"

    def __repr__(self) -> str:
        state = "up" if self._up.is_set() else f"down: {self._reason}"
        return f"<McpSource {self.name!r} {state}, {len(self._tools)} tools>"

    async def tools(self) -> Sequence[Tool]:
        await trio.lowlevel.checkpoint()
        return self._tools

    # --- the connection ------------------------------------------------------------------------------------------

    async def serve(self) -> None:
        """Keep a connection, for ever."""
        while True:
            began = trio.current_time()
            self._reason = await self._connected()
            self.failures = 1 if trio.current_time() - began > LONG else self.failures + 1
            pause = min(FIRST_PAUSE * 2 ** min(self.failures - 1, 10), LONGEST_PAUSE) * random.uniform(0.75, 1.0)
            _log.warning("MCP server %r: %s; again in %.1f s", self.name, self._reason, pause)
            await trio.sleep(pause)

    async def _connected(self) -> str:
        """Be connected, until that ends; how it ended, in words."""
        try:
            # In a thread, since it takes a second the first time.
            module = await trio.to_thread.run_sync(importlib.import_module, "trialogue_mcp._connection")
            self.connects += 1
            async with module.open_connection(self._server, self._told) as connection:
                return await self._held(connection)
        except trio.Cancelled:
            raise
        except (Exception, BaseExceptionGroup) as error:
            single = _single(error)
            if not isinstance(single, Exception):
                raise
            return self._words(single)

    async def _held(self, connection: Connection) -> str:
        _log.info("MCP server %r is there, with %d tools", self.name, len(self._tools))
        self._connection = connection
        self._up.set()
        try:
            await connection.ended.wait()
        finally:
            self._connection, self._up = None, trio.Event()
        return masked(self._server, connection.reason)[:WORDS]

    def _told(self, listed: Sequence[types.Tool]) -> None:
        wanted = self._server.tools
        if wanted is not None and (missing := set(wanted) - {one.name for one in listed}):
            _log.warning("MCP server %r has no tools %s", self.name, ", ".join(map(repr, sorted(missing))))
        offered = [one for one in listed if wanted is None or one.name in wanted]
        self._tools = tuple(McpTool(self._server, one, self._call) for one in offered)

    # --- calls ---------------------------------------------------------------------------------------------------

    async def _call(self, name: str, arguments: dict[str, Any]) -> ToolOutput:  # Any: a model's arguments, any JSON.
        """Raises ``ToolError``, with words for the model."""
        connection = await self._present()
        from trialogue_mcp._connection import EndedError  # Loaded by now: there is a connection.
        from trialogue_mcp._results import output_of

        try:
            result = await connection.call(name, arguments)
            # In a thread: decoding a picture takes a while.
            return await trio.to_thread.run_sync(output_of, result, abandon_on_cancel=True)
        except ToolError as error:
            raise ToolError(f"the server {self.name!r} failed: {error}") from error
        except EndedError as error:
            raise ToolError(
                f"the server {self.name!r} ended in the midst of the call, and nobody knows whether it had an effect"
            ) from error
        except Exception as error:
            raise ToolError(f"the server {self.name!r} failed: {self._words(error)}") from error

    async def _present(self) -> Connection:
        with trio.move_on_after(PATIENCE):
            await self._up.wait()
        if self._connection is None:
            raise ToolError(f"the server {self.name!r} is not there now ({self._reason}); it may be later")
        return self._connection

    def _words(self, error: Exception) -> str:
        return masked(self._server, str(error) or type(error).__name__)[:WORDS]


def _single(error: BaseException) -> BaseException:
    """What is at fault in a group; the group itself, when more than failures is in it."""
    while isinstance(error, BaseExceptionGroup):
        failed, rest = cast("BaseExceptionGroup[BaseException]", error).split(Exception)
        if rest is not None or failed is None:
            return cast("BaseException", error)
        error = failed.exceptions[0]
    return error
