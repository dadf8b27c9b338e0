"""The one place that relies on Trio's inside: if Trio changes it, this fails before a simulation stops repeating itself."""

from __future__ import annotations

import random

import pytest
import trio
import trio._core._run as scheduler
from simulation.schedule import run_seeded

from trialogue._supervision.supervisor import open_supervisor


async def interleaving() -> list[tuple[int, float]]:
    order: list[tuple[int, float]] = []

    async def task(number: int) -> None:
        for _ in range(5):
            await trio.sleep(0.001 * (number % 3))
            order.append((number, trio.current_time()))

    async with trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(task, number)
    return order


def test_trio_still_has_what_makes_it_repeatable() -> None:
    assert scheduler._ALLOW_DETERMINISTIC_SCHEDULING in (False, True)
    assert isinstance(scheduler._r, random.Random)


def test_same_seed_same_interleaving() -> None:
    assert run_seeded(1, interleaving) == run_seeded(1, interleaving)


def test_seeds_explore() -> None:
    assert len({tuple(run_seeded(seed, interleaving)) for seed in range(5)}) > 1


def test_scheduler_is_left_as_it_was() -> None:
    flag, state = scheduler._ALLOW_DETERMINISTIC_SCHEDULING, scheduler._r.getstate()
    run_seeded(1, interleaving)
    assert flag == scheduler._ALLOW_DETERMINISTIC_SCHEDULING
    assert state == scheduler._r.getstate()


def test_time_jumps_to_the_next_deadline() -> None:
    async def day() -> float:
        await trio.sleep(86_400)
        return trio.current_time()

    assert run_seeded(1, day) == 86_400


@pytest.mark.parametrize("steps", range(12))
def test_supervisor_may_be_cancelled_at_any_step_of_its_start(steps: int) -> None:
    """Here rather than with the supervisor's tests because only this clock notices that everybody waits for ever."""

    async def cancelled_after() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(supervise)
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()

    async def supervise() -> None:
        async with open_supervisor("short"):
            await trio.sleep_forever()

    run_seeded(steps, cancelled_after)
