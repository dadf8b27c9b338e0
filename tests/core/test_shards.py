"""Shards: containment of what crashes, and a drain that never stalls the loop."""

from __future__ import annotations

import gc
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from zlib import crc32

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trialogue._facts.errors import ClosedError
from trialogue._supervision.child import ChildSpec
from trialogue._supervision.shards import Shards
from trialogue._supervision.supervisor import open_supervisor

Crashes = list[tuple[str, Exception]]


@asynccontextmanager
async def running(shards: Shards) -> AsyncGenerator[None]:
    async with open_supervisor("services", specs=[ChildSpec("shards", shards.run)]):
        yield


def collecting(crashes: Crashes, count: int = 64, limit: int = 1000) -> Shards:
    return Shards(lambda key, error: crashes.append((key, error)), count, limit)


async def test_runs_a_task_with_its_arguments() -> None:
    shards, said = collecting([]), list[str]()

    async def work(first: str, second: str) -> None:
        said.append(first + second)

    async with running(shards):
        shards.spawn("k", work, "a", "b")
        await wait_all_tasks_blocked()
        assert said == ["ab"]
        assert shards.statistics() == (0, 0, 1, 0)


async def test_crash_is_reported_and_harms_no_other() -> None:
    crashes: Crashes = []
    shards = collecting(crashes, count=1)

    async def crash() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail)

    async def fail() -> None:
        raise ValueError("poisoned")

    async with running(shards):
        shards.spawn("healthy", trio.sleep_forever)
        shards.spawn("poisoned", crash)
        await wait_all_tasks_blocked()
        assert [(key, type(error), str(error)) for key, error in crashes] == [("poisoned", ValueError, "poisoned")]
        assert shards.statistics() == (1, 1, 2, 1)
        assert shards.tree() == [(0, "shard 0: 1 tasks", "up", 0)]


async def test_failing_callback_is_contained(caplog: pytest.LogCaptureFixture) -> None:
    def broken(key: str, error: Exception) -> None:
        raise RuntimeError("the callback itself")

    async def fail() -> None:
        raise ValueError("poisoned")

    shards = Shards(broken, count=1)
    async with running(shards):
        shards.spawn("healthy", trio.sleep_forever)
        shards.spawn("k", fail)
        await wait_all_tasks_blocked()
        assert shards.statistics().live == 1
    assert "the callback itself" in caplog.text


async def test_key_decides_the_shard_in_every_process() -> None:
    """The hash is not Python's own, which differs from one process to the next."""
    shards = collecting([])
    async with running(shards):
        shards.spawn("conversation", trio.sleep_forever)
        assert shards.tree() == [(0, f"shard {crc32(b'conversation') % 64}: 1 tasks", "up", 0)]


async def test_full_shard_spills_into_the_emptiest() -> None:
    shards = collecting([], count=2, limit=3)
    async with running(shards):
        for _ in range(6):
            shards.spawn("same key", trio.sleep_forever)
        assert shards.statistics()[:2] == (6, 3)


async def test_nothing_is_spawned_before_or_after() -> None:
    shards = collecting([])
    with pytest.raises(ClosedError):
        shards.spawn("k", trio.sleep_forever)
    async with running(shards):
        pass
    with pytest.raises(ClosedError):
        shards.spawn("k", trio.sleep_forever)


async def test_cleanup_of_a_cancelled_task_runs() -> None:
    shards, cleaned = collecting([]), list[str]()

    async def work() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.move_on_after(1, shield=True):
                await trio.lowlevel.checkpoint()
                cleaned.append("yes")

    async with running(shards):
        shards.spawn("k", work)
        await wait_all_tasks_blocked()
    assert cleaned == ["yes"]


class LongestStep(trio.abc.Instrument):
    """The longest CPU time of the loop between two visits to its I/O; a busy machine does not count."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._since: float | None = None

    def after_io_wait(self, timeout: float) -> None:
        self._since = time.thread_time()

    def before_io_wait(self, timeout: float) -> None:
        if self._since is not None:
            self.seconds = max(self.seconds, time.thread_time() - self._since)


async def test_drain_of_20000_tasks_never_stalls_the_loop() -> None:
    shards, threshold = collecting([]), gc.get_threshold()
    async with running(shards):
        for number in range(20_000):
            shards.spawn(f"conversation {number}", trio.sleep_forever)
            if number % 500 == 0:
                await trio.lowlevel.checkpoint()
        await wait_all_tasks_blocked()
        assert shards.statistics().live == 20_000
        longest = LongestStep()
        trio.lowlevel.add_instrument(longest)
    trio.lowlevel.remove_instrument(longest)
    assert shards.statistics().live == 0
    assert longest.seconds < 0.05
    assert gc.get_threshold() == threshold
