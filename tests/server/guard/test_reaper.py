"""One task ends what is idle, and everything at the end."""

from __future__ import annotations

import math

import trio
import trio.testing
from hypercorn.config import Config

from trialogue_server._guard.limits import Limits, set_limits
from trialogue_server._guard.reaper import Reaper


class FakeConnection:
    def __init__(self, deadline: float = math.inf, idle: bool = False) -> None:
        self.deadline = deadline
        self.idle = idle
        self.expired_at: float | None = None
        self.aborted_at: float | None = None

    def expire(self) -> None:
        self.deadline = math.inf
        self.expired_at = trio.current_time()

    def abort(self) -> None:
        self.aborted_at = trio.current_time()


def make_reaper() -> Reaper:
    config = Config()
    config.keep_alive_timeout = 4
    config.graceful_timeout = 3
    set_limits(config, Limits())
    return Reaper(config)


async def test_expires_shortly_after_the_deadline(autojump_clock: trio.testing.MockClock) -> None:
    reaper = make_reaper()
    now = trio.current_time()
    idle, busy = FakeConnection(now + 4, idle=True), FakeConnection()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reaper.run)
        reaper.add(idle)
        reaper.add(busy)
        await trio.sleep(10)
        assert idle.expired_at is not None
        assert 4 <= idle.expired_at - now < 5
        assert busy.expired_at is None
        reaper.discard(busy)
        nursery.cancel_scope.cancel()
    assert busy.aborted_at is None


async def test_stopping_closes_the_idle_and_later_breaks_the_rest(autojump_clock: trio.testing.MockClock) -> None:
    reaper = make_reaper()
    idle, busy = FakeConnection(idle=True), FakeConnection()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reaper.run)
        reaper.add(idle)
        reaper.add(busy)
        began = trio.current_time()
        reaper.stop()
        assert idle.expired_at == began
        await trio.sleep(2.9)
        assert busy.aborted_at is None
        await trio.sleep(0.2)
        assert busy.aborted_at is not None
        nursery.cancel_scope.cancel()


async def test_nobody_outlives_the_reaper(autojump_clock: trio.testing.MockClock) -> None:
    reaper = make_reaper()
    connection = FakeConnection()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reaper.run)
        reaper.add(connection)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert connection.aborted_at is not None


async def test_sleeps_while_there_is_nobody(autojump_clock: trio.testing.MockClock) -> None:
    reaper = make_reaper()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reaper.run)
        await trio.testing.wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().seconds_to_next_deadline == math.inf
        nursery.cancel_scope.cancel()
