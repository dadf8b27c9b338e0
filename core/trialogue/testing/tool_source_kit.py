"""The conformance kit for sources of tools, with pytest and pytest-trio. What its tools do is ``tool_kit``'s to check.

class TestDrawer(ToolSourceKit):
    @asynccontextmanager
    async def open_source(self):
        yield SourceCase(Drawer(), expected={"drawer__open"})
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import ClassVar

import msgspec
import trio

from trialogue._tools.tools import Tool, ToolSource


class SourceCase(msgspec.Struct, frozen=True):
    """A source that nobody serves yet, and tools that it has at the latest when it has been served for a moment."""

    source: ToolSource
    expected: frozenset[str]
    #: Has what it comes from go away, as another server, and come back; ``None`` where nothing can go.
    disturb: Callable[[], Awaitable[None]] | None = None


class ToolSourceKit:
    """Subclass it and give ``open_source``; each method that begins with ``test_`` states one promise of the port."""

    #: Seconds in which a list is given: it is asked for before each generation.
    at_once: ClassVar[float] = 0.1
    #: Seconds in which what it does in the background ends.
    let_go: ClassVar[float] = 2.0
    #: Seconds after which a check that hangs fails.
    patience: ClassVar[float] = 30

    def open_source(self) -> AbstractAsyncContextManager[SourceCase]:
        """A new source; leaving the block closes what it comes from, and not the source itself."""
        raise NotImplementedError(f"{type(self).__name__} must say how its source is opened")

    async def test_it_has_its_tools(self) -> None:
        async with self._serving() as case:
            tools = await self._found(case)
            names = [tool.name for tool in tools]
            assert len(set(names)) == len(names), f"two of its tools have one name: {sorted(names)}"
            for tool in tools:
                assert isinstance(tool, Tool), f"{tool!r} is no Tool"
                assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", tool.name), f"{tool.name!r} is no name of a tool"
                assert tool.parameters.get("type") == "object", f"{tool.name} takes no object"
            assert case.source.name
            assert case.source.name in repr(case.source), "the operator is to know which one it is"

    async def test_it_answers_from_memory_before_during_and_after(self) -> None:
        async with self.open_source() as case:
            await self._listed(case)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(case.source.serve)
                await self._listed(case)
                await self._found(case)
                nursery.cancel_scope.cancel()
            await self._listed(case)
            await case.source.aclose()

    async def test_its_tools_stay_as_they_are_while_they_are_offered(self) -> None:
        async with self._serving() as case:
            first = {tool.name: tool.spec for tool in await self._found(case)}
            again = {tool.name: tool.spec for tool in await self._listed(case)}
            assert all(again[name] == spec for name, spec in first.items() if name in again)

    async def test_what_it_does_in_the_background_ends_when_it_is_told_to(self) -> None:
        for moment in (0, 0.02, None):
            async with self.open_source() as case:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(case.source.serve)
                    if moment is None:
                        await self._found(case)
                    else:
                        await trio.sleep(moment)
                    began = trio.current_time()
                    nursery.cancel_scope.cancel()
                assert trio.current_time() - began <= self.let_go, f"cancelled after {moment} s, it went on"
                await case.source.aclose()

    async def test_it_may_be_served_again(self) -> None:
        async with self.open_source() as case:
            for _ in range(2):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(case.source.serve)
                    await self._found(case)
                    nursery.cancel_scope.cancel()
            await case.source.aclose()

    async def test_it_may_be_closed_without_having_been_used(self) -> None:
        async with self.open_source() as case:
            with trio.fail_after(self.let_go):
                await case.source.aclose()

    async def test_it_outlives_what_it_comes_from(self) -> None:
        async with self._serving() as case:
            if case.disturb is None:
                return
            await self._found(case)
            await case.disturb()
            await self._listed(case)
            await self._found(case)

    @asynccontextmanager
    async def _serving(self) -> AsyncGenerator[SourceCase]:
        async with self.open_source() as case:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(case.source.serve)
                yield case
                nursery.cancel_scope.cancel()
            await case.source.aclose()

    async def _listed(self, case: SourceCase) -> Sequence[Tool]:
        """What it offers, whatever that is."""
        with trio.fail_after(self.at_once):
            return await case.source.tools()

    async def _found(self, case: SourceCase) -> Sequence[Tool]:
        """What it offers once all that is expected is there."""
        with trio.fail_after(self.patience):
            while True:
                tools = await self._listed(case)
                if case.expected <= {tool.name for tool in tools}:
                    return tools
                await trio.sleep(0.02)
