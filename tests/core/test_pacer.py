"""The pacer: all who wait are woken together, and an idle pacer has no timer."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from trialogue._actors.pacer import Pacer
from trialogue._supervision.child import ChildSpec
from trialogue._supervision.supervisor import open_supervisor


@asynccontextmanager
async def ticking(pacer: Pacer) -> AsyncGenerator[None]:
    async with open_supervisor("services", specs=[ChildSpec("pacer", pacer.run)]):
        yield


async def test_who_waits_at_one_time_is_woken_by_one_tick(autojump_clock: MockClock) -> None:
    pacer = Pacer(0.08)
    async with ticking(pacer):
        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(pacer.wait)
        assert pacer.statistics() == (0, 1)


@pytest.mark.parametrize(("streams", "ticks"), [(10, 1), (60, 2), (110, 4), (400, 8)])
async def test_more_streams_make_more_ticks(autojump_clock: MockClock, streams: int, ticks: int) -> None:
    pacer, waits = Pacer(0.08), list[float]()

    async def stream(offset: float) -> None:
        await trio.sleep(offset)
        await pacer.wait()  # It finds its place.
        for _ in range(20):
            began = trio.current_time()
            await pacer.wait()
            waits.append(trio.current_time() - began)

    async with ticking(pacer):
        async with trio.open_nursery() as nursery:
            for number in range(streams):
                nursery.start_soon(stream, 0.08 * number / streams)
        assert max(waits) < 0.0801
        # Once in a window, whatever the ticks, and no tick for a stream alone.
        assert sum(waits) / len(waits) > 0.07
        assert pacer.statistics().ticks <= ticks * 23 + 8


async def test_idle_pacer_has_no_timer() -> None:
    pacer = Pacer(0.05)
    async with ticking(pacer):
        for _ in range(2):
            await wait_all_tasks_blocked()
            assert math.isinf(trio.lowlevel.current_statistics().seconds_to_next_deadline)
            await pacer.wait()


async def test_wait_can_be_cancelled(autojump_clock: MockClock) -> None:
    pacer = Pacer(10)
    async with ticking(pacer):
        with trio.move_on_after(1) as scope:
            await pacer.wait()
        assert scope.cancelled_caught
        assert pacer.statistics().waiting == 0


async def test_without_a_window_it_is_a_checkpoint() -> None:
    pacer = Pacer(0)
    with assert_checkpoints():
        await pacer.wait()


async def test_those_who_wait_survive_its_restart(autojump_clock: MockClock) -> None:
    pacer = Pacer(0.05)
    async with open_supervisor("services", specs=[ChildSpec("pacer", pacer.run)]) as supervisor:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pacer.wait)
            await wait_all_tasks_blocked(0.0)
            supervisor.children["pacer"].cancel()
        assert supervisor.statistics().restarts == 1
    assert "Pacer 0.05 s" in repr(pacer)
