"""A source of an MCP server's tools under test, without an engine around it, and what the server noted."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import trio

from trialogue import Tool, ToolContext, ToolOutput
from trialogue_mcp import McpSource

CONTEXT = ToolContext("ann", "c", "r", "m-0", 0.0)
#: Starting Python with the package takes a second, and several on a busy machine.
PATIENCE = 30.0

T = TypeVar("T")


class Probe:
    """A source over the server for tests, and what that noted."""

    def __init__(self, source: McpSource, state: Path) -> None:
        self.source = source
        self._state = state

    def notes(self) -> list[str]:
        return self._state.read_text().splitlines() if self._state.exists() else []

    async def tool(self, name: str) -> Tool:
        wanted = f"{self.source.name}__{name}"

        async def found() -> Tool | None:
            return next((one for one in await self.source.tools() if one.name == wanted), None)

        return await until(found)

    async def call(self, name: str, **arguments: Any) -> ToolOutput:  # Any: any JSON.
        return await (await self.tool(name)).call(arguments, CONTEXT)

    async def noted(self, text: str) -> str:
        async def found() -> str | None:
            return next((one for one in self.notes() if one.startswith(text)), None)

        return await until(found)


async def until(look: Callable[[], Awaitable[T | None]]) -> T:
    """What ``look`` finds, once it finds something; for what another process does, which tells nobody."""
    with trio.fail_after(PATIENCE):
        while (found := await look()) is None:  # noqa: ASYNC110 - another process tells nobody
            await trio.sleep(0.02)
    return found


@asynccontextmanager
async def serving(source: McpSource, state: Path) -> AsyncGenerator[Probe]:
    """The source with its connection, for as long as the block lasts."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(source.serve)
        yield Probe(source, state)
        nursery.cancel_scope.cancel()
