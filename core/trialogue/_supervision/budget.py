"""Restart budgets: how often something may fail before restarting it is no longer the answer.

Supervisors have one for their children, and each conversation has one of its own. Intensity and period as in Erlang:
more than ``intensity`` restarts within ``period`` seconds is too many.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec
import trio


class Budget(msgspec.Struct, frozen=True):
    """At most ``intensity`` restarts within any ``period`` seconds. Three in half a minute is a fault, not a hiccup."""

    intensity: int = 3
    period: float = 30.0


class RestartBudget:
    """Counts restarts against a budget. Ask it before each one."""

    __slots__ = ("_clock", "_spent", "budget")

    def __init__(self, budget: Budget = Budget(), clock: Callable[[], float] = trio.current_time) -> None:  # noqa: B008 - frozen
        self.budget = budget
        self._clock = clock
        # Times of the restarts within the period, oldest first; never more than ``intensity``.
        self._spent: deque[float] = deque()

    def __repr__(self) -> str:
        return f"<RestartBudget {len(self._spent)}/{self.budget.intensity} in {self.budget.period:g} s>"

    @property
    def spent(self) -> int:
        """Restarts within the period that ends now."""
        self._forget()
        return len(self._spent)

    def spend(self) -> bool:
        """Take one restart out of the budget; ``False``, and nothing taken, when there is none left."""
        self._forget()
        if len(self._spent) >= self.budget.intensity:
            return False
        self._spent.append(self._clock())
        return True

    def _forget(self) -> None:
        horizon = self._clock() - self.budget.period
        while self._spent and self._spent[0] <= horizon:
            self._spent.popleft()
