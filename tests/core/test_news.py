"""What nodes tell each other: joined, numbered, bounded, and missed only with the knowledge of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from trialogue import Advance, Advanced, Asked, Beat, Item, News
from trialogue._cluster.bus import MOST
from trialogue._supervision.child import ChildSpec
from trialogue._supervision.supervisor import open_supervisor
from trialogue.testing import MemoryBus


class Listener:
    """A node that keeps what it hears."""

    def __init__(self, name: str, *ways: MemoryBus) -> None:
        self.heard: list[Item] = []
        self.missed = 0
        self.news = News(name, ways, self.heard.append, self._miss)

    def _miss(self) -> None:
        self.missed += 1


@asynccontextmanager
async def listening(*listeners: Listener) -> AsyncGenerator[None]:
    specs = [
        ChildSpec(f"{place}.{name}", run)
        for place, one in enumerate(listeners)
        for name, run in (("listen", one.news.listen), ("speak", one.news.speak))
    ]
    async with open_supervisor("test", specs=specs):
        await trio.testing.wait_all_tasks_blocked()
        for one in listeners:
            one.missed = 0
        yield


def advance(number: int, name: str = "c", owner: str = "", events: tuple[str, ...] = ()) -> Advance:
    return Advance(name, 1, number, owner, events)


async def test_advances_go_together_and_the_last_one_stands_for_all(autojump_clock: trio.testing.MockClock) -> None:
    bus = MemoryBus()
    one, two = Listener("one", bus), Listener("two", bus)
    async with listening(one, two):
        one.news.advance(advance(1, owner="ann", events=("a",)))
        one.news.advance(advance(2))
        one.news.advance(advance(3, owner="ann", events=("b", "a")))
        one.news.advance(advance(9, "other"))
        await trio.sleep(0.1)
        assert two.heard == [Advanced((advance(3, owner="ann", events=("a", "b")), advance(9, "other")))]
        assert one.heard == []
        assert two.missed == 0


async def test_one_that_is_lost_is_missed_with_the_next(autojump_clock: trio.testing.MockClock) -> None:
    bus = MemoryBus()
    one, two = Listener("one", bus), Listener("two", bus)
    async with listening(one, two):
        one.news.say(Beat())
        await trio.sleep(0.1)
        assert two.missed == 0
        bus.loses = lambda message: True
        one.news.say(Asked())
        bus.loses = lambda message: False
        one.news.say(Beat())
        await trio.sleep(0.1)
        assert two.missed == 1
        assert two.heard == [Beat(), Beat()]


async def test_who_comes_later_knows_that_it_missed_something(autojump_clock: trio.testing.MockClock) -> None:
    bus = MemoryBus()
    one, two = Listener("one", bus), Listener("two", bus)
    one.news.heard_by_others = False
    async with listening(one, two):
        one.news.advance(advance(1))
        one.news.say(Beat())
        await trio.sleep(0.1)
        assert two.heard == []
        one.news.heard_by_others = True
        one.news.say(Beat())
        await trio.sleep(0.1)
        assert two.missed == 1


async def test_the_first_way_that_is_open_is_taken_and_all_are_heard(autojump_clock: trio.testing.MockClock) -> None:
    quick, slow = MemoryBus(), MemoryBus()
    one, two = Listener("one", quick, slow), Listener("two", quick, slow)
    async with listening(one, two):
        one.news.say(Beat())
        quick.open = False
        one.news.say(Asked())
        quick.open = True
        one.news.say(Beat(), everywhere=True)
        await trio.sleep(0.1)
        assert sorted(type(item).__name__ for item in two.heard) == ["Asked", "Beat", "Beat", "Beat"]


async def test_messages_are_bounded_and_what_is_too_much_is_missed(autojump_clock: trio.testing.MockClock) -> None:
    bus = MemoryBus()
    sizes: list[int] = []

    def measure(message: bytes) -> bool:
        sizes.append(len(message))
        return False

    bus.loses = measure
    one, two = Listener("one", bus), Listener("two", bus)
    async with listening(one, two):
        for number in range(1_500):
            one.news.advance(advance(number, f"conversation-{number}", "ann", ("message.added", "run.started")))
        await trio.sleep(0.1)
        assert max(sizes) <= MOST
        assert sum(len(item.to) for item in two.heard if isinstance(item, Advanced)) == 1_500
        for number in range(3_000):
            one.news.advance(advance(number, f"conversation-{number}"))
        await trio.sleep(0.1)
        assert two.missed == 1


@pytest.mark.parametrize(
    "message", [b"", b"\xff\xfe", b"{}", b'{"node":1}', b"[" * 5_000, b'{"node":"x","number":1,"item":{"type":"new"}}']
)
async def test_what_cannot_be_understood_is_passed_by(autojump_clock: trio.testing.MockClock, message: bytes) -> None:
    bus = MemoryBus()
    one = Listener("one", bus)
    async with listening(one):
        bus.say(message)
        await trio.sleep(0.1)
        assert one.heard == []


async def test_listener_that_is_too_slow_is_told_that_it_missed_something(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = MemoryBus()
    with bus.listen() as ear:
        assert await ear.hear() is None
        for _ in range(1_500):
            bus.say(b"x")
        heard = [await ear.hear() for _ in range(400)]
        assert None in heard
        assert len(heard) == 400
