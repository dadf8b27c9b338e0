"""One timer for all streams: who waits for the next tick is woken together with everyone else who does.

Wake-ups, not bytes, are what a token costs. Fifty streams that each sleep for a window make fifty timers; here the ticker's
is the only one, and while nobody waits there is none.
"""

from __future__ import annotations

from math import floor
from typing import NamedTuple

import trio
from trio.lowlevel import ParkingLot


class PacerStatistics(NamedTuple):
    """How many wait now, and how many ticks there have been."""

    waiting: int
    ticks: int


class Pacer:
    """A node-wide clock that ticks every ``window`` seconds while somebody waits for it.

    ``run`` is the ticker, a child of the services' supervisor. If it fails, those who wait are woken by its successor.
    """

    def __init__(self, window: float = 0.05) -> None:
        self.window = window
        self._waiting = ParkingLot()
        # Where the ticker rests while nobody waits.
        self._resting = ParkingLot()
        self._ticks = 0

    def __repr__(self) -> str:
        return f"<Pacer {self.window:g} s {self.statistics()}>"

    async def wait(self) -> None:
        """Return at the next tick, at most ``window`` seconds from now; at once, after a checkpoint, without a window."""
        if self.window <= 0:
            await trio.lowlevel.checkpoint()
            return
        self._resting.unpark()
        await self._waiting.park()

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        """Tick for ever."""
        task_status.started()
        tick = 0
        while True:
            if not self._waiting:
                await self._resting.park()
            # Ticks lie on a grid, so that streams that wait again after their work do not drift apart. They are counted,
            # because a quotient may be rounded down to the tick that just was.
            tick = max(floor(trio.current_time() / self.window), tick) + 1
            await trio.sleep_until(tick * self.window)
            self._ticks += 1
            self._waiting.unpark_all()

    def statistics(self) -> PacerStatistics:
        """Counts for the operator."""
        return PacerStatistics(len(self._waiting), self._ticks)
