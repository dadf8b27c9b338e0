"""One timer for all streams: who waits for the same tick is woken together.

Wake-ups, not bytes, are what a token costs. Fifty streams that each sleep for a window make fifty timers; here the ticker's
is the only one, and while nobody waits there is none. Ticks come several times in a window, so that streams keep the places
in it at which they began: were all woken at once, the last of a hundred would wait for the work of the others, and so would
the commit of what the first one read.
"""

from __future__ import annotations

from typing import NamedTuple

import trio
from trio.lowlevel import ParkingLot

#: Ticks in a window. At a hundred streams a dozen are woken by each, whose work takes a millisecond or two; more ticks
#: would make commits smaller and more frequent for no latency that anyone can see.
PHASES = 8


class PacerStatistics(NamedTuple):
    """How many wait now, and how many ticks there have been."""

    waiting: int
    ticks: int


class Pacer:
    """A node-wide clock that ticks while somebody waits for it.

    ``run`` is the ticker, a child of the services' supervisor. If it fails, those who wait are woken by its successor.
    """

    def __init__(self, window: float = 0.05) -> None:
        self.window = window
        self._grid = window / PHASES
        # Who waits for which tick, by its place on the grid. Time only grows, so the order of insertion is theirs.
        self._waiting: dict[int, ParkingLot] = {}
        # Where the ticker rests while nobody waits.
        self._resting = ParkingLot()
        self._ticks = 0

    def __repr__(self) -> str:
        return f"<Pacer {self.window:g} s {self.statistics()}>"

    async def wait(self) -> None:
        """Return a window from now, or up to an eighth of one earlier; at once, after a checkpoint, without a window."""
        if self.window <= 0:
            await trio.lowlevel.checkpoint()
            return
        place = int(trio.current_time() / self._grid) + PHASES
        if place not in self._waiting:
            self._waiting[place] = ParkingLot()
            self._resting.unpark()
        await self._waiting[place].park()

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        """Tick for ever."""
        task_status.started()
        while True:
            while not self._waiting:
                await self._resting.park()
            place = next(iter(self._waiting))
            await trio.sleep_until(place * self._grid)
            self._ticks += 1
            self._waiting.pop(place).unpark_all()

    def statistics(self) -> PacerStatistics:
        """Counts for the operator."""
        return PacerStatistics(sum(map(len, self._waiting.values())), self._ticks)
