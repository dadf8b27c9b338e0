"""The clock of a run of chaos: a machine that stands still as a whole, nodes and clients alike, uses up nobody's patience.

Somebody always waits for less than a second here, so a loop that was not asked for the time for much longer stood still.
"""

from __future__ import annotations

import time

import trio

#: Seconds after which it was the machine, and not the loop.
STOOD_STILL = 5.0


class MovingClock(trio.abc.Clock):
    """Trio's own time without what the machine stood still for."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        #: Seconds that do not count.
        self.stood_still = 0.0

    def start_clock(self) -> None:
        self._last = time.monotonic()

    def current_time(self) -> float:
        now = time.monotonic()
        if now - self._last > STOOD_STILL:
            self.stood_still += now - self._last
        self._last = now
        return now - self.stood_still

    def deadline_to_sleep_time(self, deadline: float) -> float:
        return deadline - self.current_time()
