"""Turns at what costs: one holder's many wait for each other, and hold up nobody else."""

from __future__ import annotations

import trio
import trio.testing

from trialogue_server._serving.turns import Turns


async def test_one_of_many_holds_up_nobody_else(autojump_clock: trio.testing.MockClock) -> None:
    turns, ended = Turns(2), list[str]()

    async def take(holder: str, name: str) -> None:
        async with turns.of(holder):
            await trio.sleep(1)
        ended.append(f"{name} {trio.current_time() - began:g}")

    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(take, "greedy", f"greedy{number}")
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(take, "ada", "ada")
    assert sorted(one for one in ended if one.endswith(" 1"))[0] == "ada 1"
    assert sum(one.endswith(" 1") for one in ended) == 2
    assert max(ended, key=lambda one: float(one.split()[1])).endswith(" 5")
    assert repr(turns) == "<Turns holders=0 taken=0>"


async def test_no_more_than_so_many_for_all(autojump_clock: trio.testing.MockClock) -> None:
    turns, most = Turns(2), 0

    async def take(holder: str) -> None:
        nonlocal most
        async with turns.of(holder):
            most = max(most, int(repr(turns)[:-1].split("taken=")[1]))
            await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        for number in range(9):
            nursery.start_soon(take, str(number))
    assert most == 2


async def test_turn_that_is_given_up_leaves_nothing(autojump_clock: trio.testing.MockClock) -> None:
    turns = Turns(1)
    async with trio.open_nursery() as nursery, turns.of("ada"):

        async def wait(holder: str) -> None:
            async with turns.of(holder):
                raise AssertionError("it was given up")

        nursery.start_soon(wait, "ada")
        nursery.start_soon(wait, "eve")
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert repr(turns) == "<Turns holders=0 taken=0>"
