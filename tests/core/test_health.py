"""How a model does: from what was asked of late, told since when and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from trialogue._asking.health import Condition

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


class World:
    def __init__(self) -> None:
        self.seconds = 0.0
        self.condition = Condition(lambda: self.seconds, lambda: BEGAN + timedelta(seconds=self.seconds))

    def told(self, resting: float = 0.0) -> tuple[str, float | None]:
        health = self.condition.health(resting)
        return health.status, None if health.since is None else (health.since - BEGAN).total_seconds()


def test_what_was_never_asked_is_unknown() -> None:
    assert World().told() == ("unknown", None)


def test_it_is_ok_since_it_first_answered() -> None:
    world = World()
    world.seconds = 5
    world.condition.note(None)
    assert world.told() == ("ok", 5)
    world.seconds = 9
    world.condition.note(None)
    assert world.told() == ("ok", 5)


def test_some_failures_make_it_degraded_and_say_why() -> None:
    world = World()
    for failure in (None, None, "the upstream answered 503"):
        world.condition.note(failure)
    assert world.told()[0] == "degraded"
    assert world.condition.health().reason == "1 of the last 3 answers failed: the upstream answered 503"
    for _ in range(20):
        world.condition.note(None)
    assert world.told()[0] == "ok"


def test_it_is_down_while_nobody_asks_it() -> None:
    world = World()
    world.condition.note("boom")
    world.seconds = 3
    assert world.told(4.0) == ("down", 3)
    assert "boom" in (world.condition.health(4.0).reason or "")


def test_what_is_long_ago_says_nothing() -> None:
    world = World()
    world.condition.note("boom")
    assert world.told()[0] == "degraded"
    world.seconds = 3600
    assert world.told() == ("unknown", None)
