"""The catalog at the start: who lists at once is there at once, and nobody waits for whoever does not but who wants him."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio
import trio.testing

from trialogue import InvalidError, Limits, Model, ProviderError, open_engine
from trialogue.testing import MemoryStore, ScriptedProvider


class Distant(ScriptedProvider):
    """Lists its models after a while, or never for the first time."""

    def __init__(self, seconds: float, *, failures: int = 0) -> None:
        super().__init__()
        self.name = "distant"
        self.seconds, self.failures = seconds, failures
        self.asked = self.prepared = 0

    async def models(self) -> Sequence[Model]:
        self.asked += 1
        await trio.sleep(self.seconds)
        if self.asked <= self.failures:
            raise ProviderError("nobody there", kind="unavailable")
        return [Model("distant:far", "distant", "Far", 1_000, ("tools",))]

    async def prepare(self) -> None:
        self.prepared += 1
        raise ProviderError("no SDK", kind="refused")


async def test_a_start_waits_for_no_list(autojump_clock: trio.testing.MockClock) -> None:
    began = trio.current_time()
    async with open_engine(MemoryStore(), [Distant(3), ScriptedProvider()]) as engine:
        assert trio.current_time() - began < 0.2
        assert await engine.resolve("scripted:script") == "scripted:script"
        assert trio.current_time() - began < 0.2, "it was there at once"
        assert not engine.can("distant:far", "tools")
        assert await engine.resolve("distant:far") == "distant:far"
        assert engine.can("distant:far", "tools")
        assert await engine.resolve(None) == "distant:far", "the first provider's, however late it came"


async def test_whoever_says_nothing_is_not_waited_for_longer_than_anyone(
    autojump_clock: trio.testing.MockClock,
) -> None:
    began = trio.current_time()
    async with open_engine(MemoryStore(), [Distant(10_000), ScriptedProvider()]) as engine:
        with pytest.raises(InvalidError, match="offers no model"):
            await engine.resolve("distant:far")
        assert trio.current_time() - began < 6
        began = trio.current_time()
        assert await engine.resolve(None) == "scripted:script"
        with pytest.raises(InvalidError, match="no provider serves"):
            await engine.resolve("nobody:far")
        assert trio.current_time() == began


async def test_a_list_that_failed_is_asked_for_again(autojump_clock: trio.testing.MockClock) -> None:
    distant = Distant(0, failures=2)
    async with open_engine(MemoryStore(), [distant], Limits(idle=40)) as engine:
        with pytest.raises(InvalidError):
            await engine.resolve("distant:far")
        await trio.sleep(35)
        assert await engine.resolve("distant:far") == "distant:far"
        await trio.sleep(100)
        assert distant.asked == 3


async def test_providers_are_prepared_once_and_may_fail(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    distant = Distant(3)
    async with open_engine(MemoryStore(), [distant]) as engine:
        assert distant.prepared == 0
        await engine.resolve("distant:far")
        await trio.sleep(1000)
    assert distant.prepared == 1
    assert "distant is not prepared: no SDK" in caplog.text
