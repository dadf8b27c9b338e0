"""A lane: no more at a time and in a minute than is allowed, in fair order, and who gives up is in nobody's way."""

from __future__ import annotations

import random

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from trialogue import ProviderError
from trialogue._asking.lane import Lane, LaneLimits


async def use(lane: Lane, owner: str, tokens: int, seconds: float, log: list[str]) -> None:
    turn = lane.ask(owner, tokens)
    try:
        await turn.wait()
        log.append(owner)
        await trio.sleep(seconds)
    finally:
        turn.leave()


async def test_no_more_at_a_time_than_allowed(autojump_clock: MockClock) -> None:
    lane, log = Lane("p", LaneLimits(concurrency=3)), list[str]()
    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(use, lane, "o", 0, 1.0, log)
        await wait_all_tasks_blocked()
        assert lane.statistics().running == 3
        assert lane.statistics().waiting == 7
    assert trio.current_time() == pytest.approx(4)
    assert (lane.statistics().running, lane.statistics().waiting, lane.statistics().waited) == (0, 0, 7)


async def test_unbounded_lane_serves_at_once() -> None:
    lane = Lane("p")
    assert all(lane.ask("o", 10**9).served for _ in range(1000))


async def test_one_owner_does_not_keep_the_others_waiting(autojump_clock: MockClock) -> None:
    lane, log = Lane("p", LaneLimits(concurrency=1)), list[str]()
    async with trio.open_nursery() as nursery:
        for owner in "aaaaabbc":
            nursery.start_soon(use, lane, owner, 0, 1.0, log)
            await wait_all_tasks_blocked()
    assert log == ["a", "a", "b", "c", "a", "b", "a", "a"]


async def test_requests_of_a_minute_go_at_once_and_then_evenly(autojump_clock: MockClock) -> None:
    lane, log = Lane("p", LaneLimits(requests_per_minute=60)), list[str]()
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(70):
            nursery.start_soon(use, lane, "o", 0, 0.0, log)
        await wait_all_tasks_blocked()
        assert lane.statistics().waiting <= 10
    assert len(log) == 70
    assert trio.current_time() - began == pytest.approx(10, abs=0.1)


async def test_tokens_are_set_right_when_they_are_known(autojump_clock: MockClock) -> None:
    lane = Lane("p", LaneLimits(tokens_per_minute=600))
    first, second = lane.ask("o", 600), lane.ask("o", 600)
    assert (first.served, second.served) == (True, False)
    began = trio.current_time()
    first.leave(0)
    assert second.served
    second.leave(1200)  # More than there was: the next one waits for that as well.
    third = lane.ask("o", 60)
    await third.wait()
    assert trio.current_time() - began == pytest.approx(66, abs=0.1)


async def test_more_than_ever_fits_goes_when_the_minute_is_full(autojump_clock: MockClock) -> None:
    lane = Lane("p", LaneLimits(tokens_per_minute=60))
    lane.ask("o", 60).leave()
    with trio.fail_after(61):
        await lane.ask("o", 10**6).wait()


async def test_line_has_a_bound(autojump_clock: MockClock) -> None:
    lane = Lane("p", LaneLimits(concurrency=1), most_waiting=2)
    turns = [lane.ask("o", 0) for _ in range(3)]
    with pytest.raises(ProviderError, match="provider_waiting") as caught:
        lane.ask("o", 0)
    assert caught.value.kind == "throttled"
    for turn in turns:
        turn.leave()


async def test_place_stays_while_the_wait_is_interrupted(autojump_clock: MockClock) -> None:
    lane = Lane("p", LaneLimits(concurrency=1))
    running, first, second = (lane.ask("o", 0) for _ in range(3))
    with trio.move_on_after(1):
        await first.wait()
    running.leave()
    assert (first.served, second.served) == (True, False)


async def test_whoever_gives_up_is_in_nobodys_way(autojump_clock: MockClock) -> None:
    """A storm: many come, wait and go away at any moment; in the end all is as in the beginning."""
    source = random.Random(5)
    lane = Lane("p", LaneLimits(concurrency=3, requests_per_minute=300, tokens_per_minute=30_000))
    most, served = 0, 0

    async def come() -> None:
        nonlocal most, served
        await trio.sleep(source.uniform(0, 20))
        turn = lane.ask(source.choice("abcdef"), source.randint(0, 200))
        try:
            with trio.move_on_after(source.uniform(0, 30)):
                await turn.wait()
                served += 1
                most = max(most, lane.statistics().running)
                await trio.sleep(source.uniform(0, 0.5))
        finally:
            turn.leave(source.choice((None, 0, 100)))

    async with trio.open_nursery() as nursery:
        for _ in range(500):
            nursery.start_soon(come)
    assert most == 3
    assert served > 200
    assert (lane.statistics().running, lane.statistics().waiting) == (0, 0)
    assert lane._line == {}
