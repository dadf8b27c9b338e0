"""The pacer: all who wait are woken together, and an idle pacer has no timer."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from trialogue._child import ChildSpec
from trialogue._pacer import Pacer
from trialogue._supervisor import open_supervisor


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


async def test_everyone_waits_for_about_a_window_from_its_own_place(autojump_clock: MockClock) -> None:
    pacer, waits = Pacer(0.08), list[float]()

    async def stream(offset: float) -> None:
        await trio.sleep(offset)
        for _ in range(10):
            began = trio.current_time()
            await pacer.wait()
            waits.append(trio.current_time() - began)

    async with ticking(pacer):
        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(stream, number * 0.0016)
        assert all(0.0699 < wait < 0.0801 for wait in waits)
        assert len(waits) == 500
        # Fifty streams, and yet not more than eight ticks in a window.
        assert pacer.statistics().ticks <= 8 * 12


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
