"""A circuit breaker: who has failed too often of late is not asked for a while. A pure state machine over a clock.

    closed      everybody is let through; enough failures within the window open it
    open        nobody is let through, for a while that doubles each time it has to open again
    half-open   that while is over: one is let through, and what becomes of it decides

Whoever is let through holds a pass and says in the end what came of it. What was begun before the state last changed says
nothing about the present: such a pass counts no more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec
import trio

BreakerState: TypeAlias = Literal["closed", "open", "half_open"]

#: Outcomes remembered: more say nothing new about a share.
_REMEMBERED = 200


class BreakerLimits(msgspec.Struct, frozen=True):
    """When it opens, and for how long. Times in seconds."""

    #: Outcomes older than this are forgotten.
    window: float = 30.0
    #: So many failures within the window at least, and this share of all that was asked.
    failures: int = 5
    share: float = 0.5
    #: How long it stays open at first, and at most.
    rest: float = 5.0
    longest: float = 60.0


class Pass(msgspec.Struct, frozen=True):
    """One who was let through. ``probe`` is the one who decides."""

    round: int
    probe: bool = False


class Breaker:
    """Ask ``wait`` whether it lets somebody through, then ``enter``; say ``succeeded``, ``failed`` or ``let_go`` once."""

    def __init__(self, limits: BreakerLimits = BreakerLimits(), clock: Callable[[], float] = trio.current_time) -> None:  # noqa: B008 - frozen
        self.limits = limits
        self._clock = clock
        # When, and whether it went well; the oldest first.
        self._outcomes: deque[tuple[float, bool]] = deque(maxlen=_REMEMBERED)
        # Grows with each change between closed and open: passes of an earlier one count no more.
        self._round = 0
        # Until when it is open; ``None`` while it is closed.
        self._open_until: float | None = None
        # How long it was open last.
        self._rested = 0.0
        # Somebody is on the way whose outcome decides.
        self._probing = False

    def __repr__(self) -> str:
        return f"<Breaker {self.state} wait={self.wait:g} outcomes={len(self._outcomes)}>"

    @property
    def state(self) -> BreakerState:
        """As it is now."""
        if self._open_until is None:
            return "closed"
        return "open" if self._clock() < self._open_until else "half_open"

    @property
    def wait(self) -> float:
        """Seconds until it may let somebody through; 0 when it does now."""
        if self._open_until is None:
            return 0.0
        left = self._open_until - self._clock()
        # Nobody knows how long the probe takes.
        return left if left > 0 else (self.limits.rest if self._probing else 0.0)

    @property
    def failures(self) -> int:
        """Failures within the window."""
        self._forget()
        return sum(not well for _, well in self._outcomes)

    def enter(self) -> Pass:
        """Let one through; only when there is nothing to ``wait`` for."""
        assert not self.wait, f"{self!r} lets nobody through"
        if self._open_until is None:
            return Pass(self._round)
        self._probing = True
        return Pass(self._round, probe=True)

    def succeeded(self, entered: Pass) -> None:
        """It went well. A probe says so as soon as that is to be seen, and may fail afterwards all the same."""
        if entered.round != self._round:
            return
        if entered.probe:
            self._close()
        else:
            self._outcomes.append((self._clock(), True))

    def failed(self, entered: Pass, retry_after: float | None = None) -> None:
        """It failed; ``retry_after`` is how long the other side wants to be left alone, if it says."""
        if entered.round != self._round:
            return
        self._outcomes.append((self._clock(), False))
        if entered.probe or self._too_many():
            self._open(retry_after or 0.0)

    def let_go(self, entered: Pass) -> None:
        """Nothing is to be learned from it: whoever wanted it went away."""
        if entered.probe and entered.round == self._round:
            self._probing = False

    def _too_many(self) -> bool:
        failures = self.failures
        return failures >= self.limits.failures and failures >= self.limits.share * len(self._outcomes)

    def _open(self, at_least: float) -> None:
        limits = self.limits
        self._rested = min(max(limits.rest, self._rested * 2, at_least), limits.longest)
        self._open_until = self._clock() + self._rested
        self._change()

    def _close(self) -> None:
        self._open_until, self._rested = None, 0.0
        self._change()

    def _change(self) -> None:
        self._round += 1
        self._probing = False
        self._outcomes.clear()

    def _forget(self) -> None:
        horizon = self._clock() - self.limits.window
        while self._outcomes and self._outcomes[0][0] <= horizon:
            self._outcomes.popleft()
