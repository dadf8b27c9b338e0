"""Supervisors: order, restarts, budgets, strategies, and the ladder of stopping."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from trialogue._facts.errors import ClosedError
from trialogue._supervision.budget import Budget, RestartBudget
from trialogue._supervision.child import Child, ChildSpec
from trialogue._supervision.supervisor import PATIENCE, SupervisionError, Supervisor, open_supervisor

Log = list[str]


def lasting(log: Log, name: str) -> Callable[[Child], Awaitable[None]]:
    """A child that is up until it is cancelled, and says so."""

    async def run(child: Child) -> None:
        log.append(f"{name} up")
        child.started()
        try:
            await trio.sleep_forever()
        finally:
            log.append(f"{name} down")

    return run


class Fragile:
    """A child that is up until it is broken from outside."""

    def __init__(self, log: Log | None = None, name: str = "fragile") -> None:
        self.log = [] if log is None else log
        self.name = name
        self.starts = 0
        self.times: list[float] = []
        self._blow = trio.Event()

    def break_it(self) -> None:
        blow, self._blow = self._blow, trio.Event()
        blow.set()

    async def run(self, child: Child) -> None:
        self.starts += 1
        self.times.append(trio.current_time())
        self.log.append(f"{self.name} up")
        child.started()
        await self._blow.wait()
        self.log.append(f"{self.name} broke")
        raise ValueError("broken from outside")


async def settle() -> None:
    """Let every restart that is due within the longest backoff happen."""
    await trio.sleep(6)
    await wait_all_tasks_blocked()


async def test_starts_in_order_and_stops_in_reverse() -> None:
    log: Log = []
    async with open_supervisor("s", specs=[ChildSpec(name, lasting(log, name)) for name in "abc"]):
        assert log == ["a up", "b up", "c up"]
    assert log[3:] == ["c down", "b down", "a down"]


async def test_next_child_waits_until_the_one_before_is_up(autojump_clock: MockClock) -> None:
    log: Log = []

    async def slow(child: Child) -> None:
        await trio.sleep(3)
        log.append("slow up")
        child.started()
        await trio.sleep_forever()

    async with open_supervisor("s", specs=[ChildSpec("slow", slow), ChildSpec("b", lasting(log, "b"))]):
        assert log == ["slow up", "b up"]


async def test_children_stop_in_order_when_the_body_is_cancelled() -> None:
    log: Log = []
    with trio.CancelScope() as scope:
        async with open_supervisor("s", specs=[ChildSpec(name, lasting(log, name)) for name in "abc"]):
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert log[3:] == ["c down", "b down", "a down"]


async def test_error_of_the_body_comes_out_bare() -> None:
    with pytest.raises(KeyError, match="mine"):
        async with open_supervisor("s", specs=[ChildSpec("a", lasting([], "a"))]):
            raise KeyError("mine")


async def test_failed_start_comes_out_and_stops_the_earlier() -> None:
    log: Log = []

    async def stillborn(child: Child) -> None:
        raise OSError("no disk")

    with pytest.raises(OSError, match="no disk"):
        async with open_supervisor("s", specs=[ChildSpec("a", lasting(log, "a")), ChildSpec("b", stillborn)]):
            pytest.fail("the body ran without its children")
    assert log == ["a up", "a down"]


async def test_permanent_child_must_come_up() -> None:
    async def shy(child: Child) -> None:
        await trio.lowlevel.checkpoint()

    with pytest.raises(SupervisionError, match="'shy' of 's' ended before it was up"):
        async with open_supervisor("s", specs=[ChildSpec("shy", shy)]):
            pytest.fail("the body ran without its child")


async def test_start_can_be_cancelled(autojump_clock: MockClock) -> None:
    async def never(child: Child) -> None:
        await trio.sleep_forever()

    async with open_supervisor("s") as supervisor:
        with trio.move_on_after(1) as scope:
            await supervisor.start(ChildSpec("never", never))
        assert scope.cancelled_caught
        assert not supervisor.children


async def test_one_for_one_restarts_it_alone(autojump_clock: MockClock) -> None:
    log: Log = []
    fragile = Fragile(log)
    specs = [ChildSpec("fragile", fragile.run), ChildSpec("b", lasting(log, "b"))]
    async with open_supervisor("s", specs=specs) as supervisor:
        fragile.break_it()
        await settle()
        assert log == ["fragile up", "b up", "fragile broke", "fragile up"]
        assert supervisor.statistics() == (2, 2, 1, 1)
        assert supervisor.tree() == [(0, "s", "up", 1), (1, "fragile", "up", 1), (1, "b", "up", 0)]


async def test_rest_for_one_restarts_what_came_after_it(autojump_clock: MockClock) -> None:
    log: Log = []
    fragile = Fragile(log)
    specs = [
        ChildSpec("a", lasting(log, "a")),
        ChildSpec("fragile", fragile.run),
        ChildSpec("b", lasting(log, "b")),
        ChildSpec("once", lasting(log, "once"), restart="temporary"),
        ChildSpec("c", lasting(log, "c")),
    ]
    async with open_supervisor("s", "rest_for_one", specs=specs) as supervisor:
        del log[:]
        fragile.break_it()
        await settle()
        assert log == ["fragile broke", "c down", "once down", "b down", "fragile up", "b up", "c up"]
        assert list(supervisor.children) == ["a", "fragile", "b", "c"]


async def test_one_for_all_restarts_everyone_in_order(autojump_clock: MockClock) -> None:
    log: Log = []
    fragile = Fragile(log)
    specs = [ChildSpec("a", lasting(log, "a")), ChildSpec("fragile", fragile.run), ChildSpec("b", lasting(log, "b"))]
    async with open_supervisor("s", "one_for_all", specs=specs):
        del log[:]
        fragile.break_it()
        await settle()
        assert log == ["fragile broke", "b down", "a down", "a up", "fragile up", "b up"]


async def test_earlier_failure_during_backoff_restarts_each_once(autojump_clock: MockClock) -> None:
    """Two failures of one chain overlap; the later child is not started twice."""
    first, second = Fragile(name="first"), Fragile(name="second")
    specs = [ChildSpec("first", first.run), ChildSpec("second", second.run)]
    async with open_supervisor("s", "rest_for_one", specs=specs):
        second.break_it()
        await wait_all_tasks_blocked()
        first.break_it()
        await settle()
        assert (first.starts, second.starts) == (2, 2)


async def test_backoff_doubles_with_jitter(autojump_clock: MockClock) -> None:
    fragile = Fragile()
    budget = Budget(intensity=10, period=1000)
    async with open_supervisor("s", budget=budget, specs=[ChildSpec("f", fragile.run)], jitter=lambda: 1.0):
        for _ in range(8):
            broken_at = trio.current_time()
            fragile.break_it()
            await settle()
            fragile.times[-1] -= broken_at
    assert fragile.times[1:] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0])

    half = Fragile()
    async with open_supervisor("s", specs=[ChildSpec("f", half.run)], jitter=lambda: 0.0):
        broken_at = trio.current_time()
        half.break_it()
        await settle()
    assert half.times[1] - broken_at == pytest.approx(0.05)


async def test_exceeded_budget_raises_one_error_with_its_cause(autojump_clock: MockClock) -> None:
    log: Log = []
    fragile = Fragile(log)
    specs = [ChildSpec("a", lasting(log, "a")), ChildSpec("fragile", fragile.run), ChildSpec("b", lasting(log, "b"))]

    async def break_three_times() -> None:
        async with open_supervisor("s", budget=Budget(2, 60.0), specs=specs):
            for _ in range(3):
                fragile.break_it()
                await settle()
            pytest.fail("the body outlived its supervisor")

    with pytest.raises(SupervisionError, match="2 restarts within 60 s did not help") as caught:
        await break_three_times()
    assert isinstance(caught.value.__cause__, ValueError)
    assert log[-2:] == ["b down", "a down"]


async def test_budget_refills_with_time(autojump_clock: MockClock) -> None:
    fragile = Fragile()
    async with open_supervisor("s", budget=Budget(1, 60.0), specs=[ChildSpec("f", fragile.run)]):
        for _ in range(5):
            fragile.break_it()
            await trio.sleep(61)
    assert fragile.starts == 6


async def test_failure_while_restarting_counts(autojump_clock: MockClock) -> None:
    """A child that comes up once and never again uses the budget up."""
    starts = 0

    async def run(child: Child) -> None:
        nonlocal starts
        starts += 1
        if starts > 1:
            raise OSError("gone for good")
        child.started()
        await trio.sleep(1)
        raise OSError("gone")

    with pytest.raises(SupervisionError):
        async with open_supervisor("s", specs=[ChildSpec("c", run)]):
            await trio.sleep_forever()
    assert starts == 4


@pytest.mark.parametrize(
    ("restart", "fails", "starts"),
    [
        ("permanent", False, 2),
        ("permanent", True, 2),
        ("transient", False, 1),
        ("transient", True, 2),
        ("temporary", False, 1),
        ("temporary", True, 1),
    ],
)
async def test_restart_policy(restart: str, fails: bool, starts: int, autojump_clock: MockClock) -> None:
    """Which ends count."""
    count = 0

    async def run(child: Child) -> None:
        nonlocal count
        count += 1
        child.started()
        if count > 1:
            await trio.sleep_forever()
        await trio.sleep(1)
        if fails:
            raise ValueError("it failed")

    async with open_supervisor("s", specs=[ChildSpec("c", run, restart=restart)]) as supervisor:  # type: ignore[arg-type]
        await settle()
        assert count == starts
        assert len(supervisor.children) == starts - 1


async def test_group_of_one_is_unwrapped(autojump_clock: MockClock) -> None:
    async def run(child: Child) -> None:
        child.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail)
            await trio.sleep_forever()

    async def fail() -> None:
        raise ValueError("inner")

    with pytest.raises(SupervisionError) as caught:
        async with open_supervisor("s", budget=Budget(0), specs=[ChildSpec("c", run)]):
            await trio.sleep_forever()
    assert isinstance(caught.value.__cause__, ValueError)


async def test_cancelled_child_whose_cleanup_fails_does_not_disturb(caplog: pytest.LogCaptureFixture) -> None:
    async def run(child: Child) -> None:
        child.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            try:
                await trio.sleep_forever()
            finally:
                raise OSError("clean-up failed")

    async with open_supervisor("s", specs=[ChildSpec("c", run)]):
        pass
    assert "clean-up failed" in caplog.text


async def test_one_child_can_be_cancelled(autojump_clock: MockClock) -> None:
    log: Log = []
    specs = [ChildSpec("a", lasting(log, "a")), ChildSpec("b", lasting(log, "b"))]
    async with open_supervisor("s", specs=specs) as supervisor:
        supervisor.children["a"].cancel()
        await settle()
        assert log == ["a up", "b up", "a down", "a up"]
        await supervisor.end("a")
        await settle()
        assert log[4:] == ["a down"]
        assert list(supervisor.children) == ["b"]


async def test_ended_child_is_not_revived_from_its_backoff(autojump_clock: MockClock) -> None:
    fragile = Fragile()
    async with open_supervisor("s", specs=[ChildSpec("f", fragile.run)]) as supervisor:
        fragile.break_it()
        await wait_all_tasks_blocked()
        await supervisor.end("f")
        await settle()
        assert fragile.starts == 1


async def test_names_are_unique() -> None:
    spec = ChildSpec("a", lasting([], "a"))
    async with open_supervisor("s", specs=[spec]) as supervisor:
        with pytest.raises(ValueError, match="has a child 'a' already"):
            await supervisor.start(spec)


async def test_soft_child_is_asked_first_and_others_are_not_waited_for(autojump_clock: MockClock) -> None:
    log: Log = []

    async def polite(child: Child) -> None:
        child.started()
        await child.stopping.wait()
        await trio.sleep(2)
        log.append(f"polite done at {trio.current_time() - began:g}")

    specs = [
        ChildSpec("a", lasting(log, "a")),
        ChildSpec("polite", polite, soft=True),
        ChildSpec("b", lasting(log, "b")),
    ]
    async with open_supervisor("s", specs=specs) as supervisor:
        began = trio.current_time()
        await supervisor.stop(grace=30)
        assert log == ["a up", "b up", "b down", "polite done at 2", "a down"]
        with pytest.raises(ClosedError):
            await supervisor.start(ChildSpec("late", lasting(log, "late")))


async def test_grace_is_one_for_all_and_then_it_is_cancelled(autojump_clock: MockClock) -> None:
    log: Log = []

    def deaf(name: str) -> Callable[[Child], Awaitable[None]]:
        return lasting(log, name)

    specs = [ChildSpec(name, deaf(name), soft=True) for name in "ab"]
    async with open_supervisor("s", specs=specs) as supervisor:
        began = trio.current_time()
        await supervisor.stop(grace=4)
        assert trio.current_time() - began == pytest.approx(4)
    assert log[2:] == ["b down", "a down"]


async def test_stubborn_cleanup_is_waited_for_only_so_long(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    log: Log = []

    async def stubborn(child: Child) -> None:
        child.started()
        try:
            await trio.sleep_forever()
        finally:
            with trio.move_on_after(60, shield=True):
                await trio.sleep_forever()

    specs = [ChildSpec("a", lasting(log, "a")), ChildSpec("stubborn", stubborn)]
    async with open_supervisor("s", specs=specs) as supervisor:
        began = trio.current_time()
        await supervisor.stop()
        assert trio.current_time() - began == pytest.approx(PATIENCE)
        await wait_all_tasks_blocked()
        assert log == ["a up", "a down"]
    assert "has not ended within" in caplog.text


async def test_stop_interrupts_a_restart_that_hangs(autojump_clock: MockClock) -> None:
    starts = 0

    async def run(child: Child) -> None:
        nonlocal starts
        starts += 1
        if starts == 1:
            child.started()
            await trio.sleep(1)
        await trio.sleep_forever() if starts > 1 else None

    async with open_supervisor("s", specs=[ChildSpec("c", run)]) as supervisor:
        await settle()
        assert (starts, supervisor.tree()[1]) == (2, (1, "c", "starting", 1))
        with trio.fail_after(1):
            await supervisor.stop()


async def test_tree_shows_supervisors_below(autojump_clock: MockClock) -> None:
    async def nested(child: Child) -> None:
        async with open_supervisor("inner", specs=[ChildSpec("leaf", lasting([], "leaf"))]) as inner:
            child.below = inner.tree
            child.started()
            await trio.sleep_forever()

    async with open_supervisor("outer", specs=[ChildSpec("nested", nested)]) as outer:
        assert [(depth, name) for depth, name, _, _ in outer.tree()] == [
            (0, "outer"),
            (1, "nested"),
            (2, "inner"),
            (3, "leaf"),
        ]
        assert "nested" in repr(outer.children["nested"])
        assert isinstance(outer, Supervisor)
        assert "outer" in repr(outer)


async def test_restart_budget_alone(autojump_clock: MockClock) -> None:
    budget = RestartBudget(Budget(3, 30.0))
    assert [budget.spend() for _ in range(4)] == [True, True, True, False]
    await trio.sleep(29)
    assert not budget.spend()
    await trio.sleep(1)
    assert budget.spent == 0
    assert budget.spend()
    assert repr(budget) == "<RestartBudget 1/3 in 30 s>"
