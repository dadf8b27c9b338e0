"""What sources of tools do in the background: it lives as long as the engine, and its failures are its own."""

from __future__ import annotations

from collections.abc import Sequence

import trio
from support import open_talk

from trialogue import Tool, Toolbox, ToolSource, open_engine
from trialogue.testing import MemoryStore, ScriptedProvider


class Background(ToolSource):
    """Fails as often as it is told to, then stays; knows when it was called, and that it ended."""

    name = "background"

    def __init__(self, failures: int) -> None:
        self.began: list[float] = []
        self.up, self.ended, self.closed = trio.Event(), False, False
        self._failures = failures

    async def tools(self) -> Sequence[Tool]:
        return ()

    async def serve(self) -> None:
        self.began.append(trio.current_time())
        if len(self.began) <= self._failures:
            raise ValueError("on purpose")
        self.up.set()
        try:
            await trio.sleep_forever()
        finally:
            self.ended = True

    async def aclose(self) -> None:
        assert self.ended
        self.closed = True


class Quiet(ToolSource):
    """Has nothing to do in the background."""

    name = "quiet"

    async def tools(self) -> Sequence[Tool]:
        return ()


async def test_background_lives_as_long_as_the_engine(autojump_clock: object) -> None:
    source = Background(0)
    async with open_engine(MemoryStore(), [ScriptedProvider()], toolbox=Toolbox([Quiet(), source])) as engine:
        await source.up.wait()
        assert await (await open_talk(engine)).post("hello")
    assert source.closed


async def test_background_that_fails_is_called_again_later_and_ends_nothing(autojump_clock: object) -> None:
    source = Background(8)
    async with open_engine(MemoryStore(), [ScriptedProvider()], toolbox=Toolbox([source])):
        await source.up.wait()
    pauses = [round(later - earlier) for earlier, later in zip(source.began, source.began[1:], strict=False)]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert source.closed
