"""Supervisors: who starts whom, who is restarted when it fails, and in what order everything stops.

A supervisor is a loop in one task that holds one nursery. Children report their end to the loop; it consults the budget,
waits a little and starts them again, and raises ``SupervisionError`` out of its block when they fail too often. What a
child does is the child's business (``child``), how often it may fail is a ``Budget``.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Literal, NamedTuple, TypeAlias

import trio

from trialogue._facts.errors import ClosedError, TrialogueError
from trialogue._supervision.budget import Budget, RestartBudget
from trialogue._supervision.child import Child, ChildSpec, Line, unwrap

Strategy: TypeAlias = Literal["one_for_one", "rest_for_one", "one_for_all"]

#: Seconds a cancelled child may take to clean up before the stop goes on without it.
PATIENCE = 10.0
#: First and longest wait before a restart, in seconds; half of it is jitter.
BACKOFF = (0.1, 5.0)

_log = logging.getLogger("trialogue.supervisor")


class SupervisionError(TrialogueError):
    """Children failed more often than the budget allows; the last one's error is the cause."""

    code = "supervision"


class SupervisorStatistics(NamedTuple):
    """How many children there are, how many are up, and restarts in all and within the budget's period."""

    children: int
    up: int
    restarts: int
    recent: int


@asynccontextmanager
async def open_supervisor(
    name: str,
    strategy: Strategy = "one_for_one",
    budget: Budget = Budget(),  # noqa: B008 - frozen
    specs: Iterable[ChildSpec] = (),
    *,
    jitter: Callable[[], float] = random.random,
) -> AsyncGenerator[Supervisor]:
    """Start the children in order, each when the one before is up; stop them in reverse order when the block ends.

    However the block ends, children outlive its body, cancellation included. Raises ``SupervisionError`` out of the block
    when the budget is exceeded, and what a child raised before it was up. ``jitter`` gives numbers from 0 to 1.
    """
    supervisor = Supervisor(name, strategy, budget, jitter)
    try:
        async with trio.open_nursery() as nursery:
            # Not ``nursery.start``: cancelled before it is ready, it would wait for a child that ``stop`` has to end.
            nursery.start_soon(supervisor._serve)
            try:
                await supervisor._ready.wait()
                for spec in specs:
                    await supervisor.start(spec)
                yield supervisor
            finally:
                await supervisor.stop()
    except BaseExceptionGroup as group:
        single = unwrap(group)
        raise single from single.__cause__


class Supervisor:
    """The children, in the order in which they were started. Made by ``open_supervisor``."""

    def __init__(self, name: str, strategy: Strategy, budget: Budget, jitter: Callable[[], float]) -> None:
        self.name = name
        self.strategy: Strategy = strategy
        #: The order of this dict is the order of starting; stopping goes the other way.
        self.children: dict[str, Child] = {}
        self.closed: bool = False
        self._budget = RestartBudget(budget)
        self._jitter = jitter
        self._restarts = 0
        # No bound is needed: a child has at most one report on its way.
        self._report, self._reports = trio.open_memory_channel[Child](math.inf)
        self._nursery: trio.Nursery | None = None
        self._ready = trio.Event()
        self._deciding = trio.CancelScope()
        # Keeps a cancellation from outside away from the children, who would all get it at once. ``stop``, which is
        # bounded, lowers it again.
        self._fence = trio.CancelScope(shield=True)
        self._stopped = trio.Event()

    def __repr__(self) -> str:
        return f"<Supervisor {self.name!r} {self.strategy} {self.statistics()}>"

    async def start(self, spec: ChildSpec) -> Child:
        """Start one more child, after those there are; returns when it is up.

        Raises what the child raised before it was up, ``ClosedError`` when the supervisor is stopping.
        """
        if self.closed or self._nursery is None:
            raise ClosedError(f"the supervisor {self.name!r} is stopping and starts nothing")
        if spec.name in self.children:
            raise ValueError(f"{self.name!r} has a child {spec.name!r} already: give each its own name")
        child = self.children[spec.name] = Child(spec, self._report.send_nowait)
        up = False
        try:
            up = await child.start(self._nursery)
        finally:
            if not up:
                self.children.pop(spec.name, None)
        if child.error is not None:
            raise child.error
        if not up and not child.ended_well:
            raise SupervisionError(f"the child {spec.name!r} of {self.name!r} ended before it was up")
        return child

    async def end(self, name: str) -> None:
        """Stop one child for good. One that is not there is no error."""
        child = self.children.pop(name, None)
        if child is not None:
            await child.halt(trio.current_time(), PATIENCE)

    async def stop(self, grace: float = 0.0) -> None:
        """Stop everything, last started first. Soft children are asked and waited for, ``grace`` seconds in all.

        Returns when all have ended, or have been cancelled and did not end in time.
        """
        if self.closed:
            await self._stopped.wait()
            return
        self.closed = True
        self._deciding.cancel()
        deadline = trio.current_time() + grace
        # Room for a few that do not end in time; beyond it the rest is cancelled without order.
        with trio.move_on_at(deadline + 3 * PATIENCE, shield=True):
            for child in reversed(tuple(self.children.values())):
                await child.halt(deadline, PATIENCE)
        for child in self.children.values():
            child.cancel()
        self._fence.shield = False
        self._stopped.set()

    def tree(self) -> list[Line]:
        """What is alive, a line each, this supervisor first."""
        lines: list[Line] = [(0, self.name, "stopping" if self.closed else "up", self._restarts)]
        for child in self.children.values():
            lines.append((1, child.spec.name, child.state, child.restarts))
            below: Sequence[Line] = child.below() if child.below else ()
            lines.extend((depth + 2, name, state, restarts) for depth, name, state, restarts in below)
        return lines

    def statistics(self) -> SupervisorStatistics:
        """Counts of children and restarts."""
        up = sum(child.state == "up" for child in self.children.values())
        return SupervisorStatistics(len(self.children), up, self._restarts, self._budget.spent)

    # --- the loop ------------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        failure: SupervisionError | None = None
        with self._fence:
            async with trio.open_nursery() as self._nursery:
                self._ready.set()
                try:
                    with self._deciding:
                        await self._watch()
                except SupervisionError as error:
                    failure = error
                    await self.stop()
        if failure is not None:
            raise failure

    async def _watch(self) -> None:
        while True:
            ended: Child | None = None
            with trio.move_on_at(min((child.due for child in self.children.values()), default=math.inf)):
                ended = await self._reports.receive()
            if ended is not None and self.children.get(ended.spec.name) is ended:
                await self._react(ended)
            await self._revive()

    async def _react(self, child: Child) -> None:
        """Decide what the end of a child means."""
        if child.error is not None:
            _log.warning("%s: %s failed: %r", self.name, child.spec.name, child.error, exc_info=child.error)
        if child.ended_well:
            del self.children[child.spec.name]
            return
        if not self._budget.spend():
            raise SupervisionError(
                f"{child.spec.name!r} of {self.name!r} failed: {self._budget.budget.intensity} restarts within"
                f" {self._budget.budget.period:g} s did not help"
            ) from child.error
        dependants = self._dependants(child)
        for other in reversed(dependants):
            await other.halt(trio.current_time(), PATIENCE)
            if other.spec.restart == "temporary":
                self.children.pop(other.spec.name, None)
        self._put_off(child, dependants)

    def _dependants(self, child: Child) -> list[Child]:
        """Who is restarted with it, in starting order, itself excluded."""
        everyone = list(self.children.values())
        match self.strategy:
            case "one_for_one":
                return []
            case "rest_for_one":
                return everyone[everyone.index(child) + 1 :]
            case "one_for_all":
                return [other for other in everyone if other is not child]

    def _put_off(self, child: Child, dependants: Sequence[Child]) -> None:
        """Have them started again after a while that grows with each failure in a row."""
        now = trio.current_time()
        child.streak = 1 if now - child.began > self._budget.budget.period else child.streak + 1
        first, longest = BACKOFF
        wait = min(first * 2 ** (child.streak - 1), longest) * (0.5 + 0.5 * self._jitter())
        for waiting in (child, *dependants):
            waiting.state, waiting.due = "waiting", now + wait

    async def _revive(self) -> None:
        """Start, in order, those whose time has come."""
        assert self._nursery is not None
        for child in tuple(self.children.values()):
            if child.due <= trio.current_time():
                child.restarts += 1
                self._restarts += 1
                up = await child.start(self._nursery)
                if not up and self.children.get(child.spec.name) is child:
                    # In the grouped strategies this puts off the later ones too, and the loop passes them by.
                    await self._react(child)
