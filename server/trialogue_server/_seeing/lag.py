"""How late the loop is: a task that sleeps a little, over and over, and looks how much later it is woken than it asked.

What it finds is what everything else in the loop waits too. It wakes four times a second, which costs a few thousandths of a
per cent of a processor.
"""

from __future__ import annotations

from collections import deque

import trio

from trialogue import Distribution, Histogram

#: Seconds between two looks, and how many of them are the recent past: ten seconds.
PAUSE = 0.25
RECENT = 40
_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Lag:
    """The loop's lateness, in seconds."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._all = Histogram(_BOUNDS)

    def __repr__(self) -> str:
        return f"<Lag usual={self.usual:.4f} worst={self.worst:.4f}>"

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look until cancelled."""
        task_status.started()
        while True:
            due = trio.current_time() + PAUSE
            await trio.sleep_until(due)
            self.note(max(trio.current_time() - due, 0.0))

    def note(self, late: float) -> None:
        """It was so late."""
        self._recent.append(late)
        self._all.observe(late)

    @property
    def usual(self) -> float:
        """The median of the recent past: high only while it is late all the time."""
        recent = sorted(self._recent)
        return recent[len(recent) // 2] if recent else 0.0

    @property
    def worst(self) -> float:
        """The latest of the recent past."""
        return max(self._recent, default=0.0)

    def distribution(self) -> Distribution:
        """All since the start."""
        return self._all.distribution()
