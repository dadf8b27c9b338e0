"""The breaker: it opens by the share of failures, lets one probe through, and is never stuck, whatever ends when."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from trialogue._asking.breaker import Breaker, BreakerLimits, Pass

LIMITS = BreakerLimits(window=30, failures=5, share=0.5, rest=5, longest=60)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def failing(times: int = 5) -> tuple[Breaker, Clock]:
    clock = Clock()
    breaker = Breaker(LIMITS, clock)
    for _ in range(times):
        breaker.failed(breaker.enter())
    return breaker, clock


def test_few_failures_do_not_open_it() -> None:
    breaker, _ = failing(4)
    assert (breaker.state, breaker.wait) == ("closed", 0)


def test_enough_failures_open_it() -> None:
    breaker, clock = failing()
    assert (breaker.state, breaker.wait) == ("open", 5)
    clock.now += 2
    assert breaker.wait == 3


def test_failures_among_many_successes_do_not_open_it() -> None:
    clock = Clock()
    breaker = Breaker(LIMITS, clock)
    for _ in range(30):
        breaker.succeeded(breaker.enter())
    for _ in range(20):
        breaker.failed(breaker.enter())
    assert not breaker.wait
    for _ in range(10):
        breaker.failed(breaker.enter())
    assert breaker.wait


def test_failures_of_long_ago_are_forgotten() -> None:
    breaker, clock = failing(4)
    clock.now += LIMITS.window
    breaker.failed(breaker.enter())
    assert breaker.state == "closed"


def test_one_probe_decides_and_others_wait_for_it() -> None:
    breaker, clock = failing()
    clock.now += 5
    assert (breaker.state, breaker.wait) == ("half_open", 0)
    probe = breaker.enter()
    assert breaker.wait > 0
    breaker.succeeded(probe)
    assert (breaker.state, breaker.wait) == ("closed", 0)


def test_failed_probe_doubles_the_rest_up_to_a_bound() -> None:
    breaker, clock = failing()
    rests = list[float]()
    for _ in range(6):
        rests.append(breaker.wait)
        clock.now += breaker.wait
        breaker.failed(breaker.enter())
    assert rests == [5, 10, 20, 40, 60, 60]


def test_probe_that_was_given_up_lets_another_one_through() -> None:
    breaker, clock = failing()
    clock.now += 5
    breaker.let_go(breaker.enter())
    assert breaker.wait == 0


def test_what_was_begun_before_it_opened_says_nothing() -> None:
    clock = Clock()
    breaker = Breaker(LIMITS, clock)
    early = breaker.enter()
    for _ in range(5):
        breaker.failed(breaker.enter())
    breaker.succeeded(early)
    assert breaker.state == "open"


def test_it_rests_as_long_as_the_other_side_asks_within_reason() -> None:
    clock = Clock()
    breaker = Breaker(LIMITS, clock)
    for _ in range(5):
        breaker.failed(breaker.enter(), retry_after=17)
    assert breaker.wait == 17
    clock.now += 17
    breaker.failed(breaker.enter(), retry_after=3600)
    assert breaker.wait == LIMITS.longest


class AnyOrder(RuleBasedStateMachine):
    """Passes end in any order, at any time, in any way."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.breaker = Breaker(LIMITS, self.clock)
        self.passes = list[Pass]()

    @precondition(lambda self: not self.breaker.wait)
    @rule()
    def enter(self) -> None:
        self.passes.append(self.breaker.enter())

    @precondition(lambda self: self.passes)
    @rule(data=st.data(), how=st.sampled_from(["succeeded", "failed", "let_go"]))
    def end(self, data: st.DataObject, how: str) -> None:
        entered = self.passes.pop(data.draw(st.integers(0, len(self.passes) - 1)))
        getattr(self.breaker, how)(entered)

    @rule(seconds=st.floats(0, 70))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def at_most_one_probe_is_on_its_way(self) -> None:
        probes = [entered for entered in self.passes if entered.probe and entered.round == self.breaker._round]
        assert len(probes) <= 1
        assert bool(probes) == self.breaker._probing

    @invariant()
    def it_is_never_stuck(self) -> None:
        assert 0 <= self.breaker.wait <= LIMITS.longest
        if self.breaker.state == "half_open" and not self.breaker._probing:
            assert not self.breaker.wait


AnyOrder.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAnyOrder = AnyOrder.TestCase
