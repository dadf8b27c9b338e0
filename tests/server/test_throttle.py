"""Token buckets and slots, in virtual time."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from trialogue import ThrottledError
from trialogue_server._callers.slots import Slots
from trialogue_server._callers.throttle import Throttle


@pytest.fixture
def throttle() -> Throttle:
    return Throttle("tries", burst=3, seconds=10)


def refused(throttle: Throttle, key: str) -> float:
    with pytest.raises(ThrottledError) as caught:
        throttle.take(key)
    assert caught.value.retry_after is not None
    return caught.value.retry_after


async def test_burst_then_one_by_one(mock_clock: MockClock, throttle: Throttle) -> None:
    for _ in range(3):
        throttle.take("a")
    assert refused(throttle, "a") == 10
    mock_clock.jump(4)
    assert refused(throttle, "a") == 6
    mock_clock.jump(6)
    throttle.take("a")
    assert refused(throttle, "a") == 10


async def test_waiting_as_long_as_told_is_enough(mock_clock: MockClock, throttle: Throttle) -> None:
    for _ in range(3):
        throttle.take("a")
        mock_clock.jump(0.3)
    for _ in range(5):
        mock_clock.jump(refused(throttle, "a"))
        throttle.take("a")


async def test_bucket_holds_no_more_than_its_burst(mock_clock: MockClock, throttle: Throttle) -> None:
    throttle.take("a")
    mock_clock.jump(1000)
    throttle.give_back("a")
    for _ in range(3):
        throttle.take("a")
    refused(throttle, "a")


async def test_keys_are_apart(throttle: Throttle) -> None:
    for _ in range(3):
        throttle.take("a")
    refused(throttle, "a")
    throttle.take("b")


async def test_success_costs_nothing(throttle: Throttle) -> None:
    for _ in range(20):
        throttle.take("a")
        throttle.give_back("a")


async def test_attempts_at_once_cannot_exceed_the_burst(throttle: Throttle) -> None:
    """All have begun before the first has ended."""
    outcomes: list[bool] = []

    async def attempt() -> None:
        try:
            throttle.take("a")
        except ThrottledError:
            outcomes.append(False)
            return
        await trio.lowlevel.checkpoint()
        outcomes.append(True)

    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(attempt)
    assert sum(outcomes) == 3


async def test_table_stays_small_and_forgets_the_oldest() -> None:
    throttle = Throttle("tries", burst=1, seconds=10, keys=100)
    for n in range(1000):
        throttle.take(str(n))
    assert throttle.statistics() == {"keys": 100}
    throttle.take("0")
    refused(throttle, "999")


def test_slots_are_counted_by_holder() -> None:
    slots = Slots(2, "streams_per_user")
    with slots.hold("ada"), slots.hold("ada"), slots.hold("eve"):
        with pytest.raises(ThrottledError, match="streams_per_user"), slots.hold("ada"):
            pass
        assert slots.statistics() == {"holders": 2, "held": 3}
    assert slots.statistics() == {"holders": 0, "held": 0}
    with slots.hold("ada"):
        pass
