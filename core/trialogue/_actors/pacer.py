"""One timer for all streams: who waits for the same tick is woken together.

Wake-ups, not bytes, are what a token costs. Fifty streams that each sleep for a window make fifty timers; here the ticker's
is the only one, and while nobody waits there is none. The more streams there are, the more ticks come in a window: were all
woken at once, the last of two hundred would wait for the work of the others, and the commit of what the first one read with
it; were each woken alone, each would have a timer and a commit of its own again.
"""

from __future__ import annotations

from typing import NamedTuple

import trio
from trio.lowlevel import ParkingLot

#: Most ticks in a window; a power of two.
PHASES = 8
#: Streams that one tick wakes before there are more ticks: their work together takes three or four milliseconds. Each tick
#: costs a timer, a commit and a wake-up of the writer: half as many streams to a tick cost a fifth more per token.
TOGETHER = 51


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
        # Who waits for which tick, by its place on the grid.
        self._waiting: dict[int, ParkingLot] = {}
        self._count = 0
        # How many waited when the last tick came: about as many as there are streams.
        self._level = 0
        # Where the ticker rests while nobody waits.
        self._resting = ParkingLot()
        self._ticks = 0

    def __repr__(self) -> str:
        return f"<Pacer {self.window:g} s {self.statistics()}>"

    async def wait(self) -> None:
        """Return at a tick at most a window from now; without a window at once, after a checkpoint.

        Who waits again soon after each tick is woken once in a window.
        """
        if self.window <= 0:
            await trio.lowlevel.checkpoint()
            return
        # A hair more, so that who is woken by a tick does not count itself before it and is not woken by it again.
        place = int(trio.current_time() / self._grid + 1e-6) + PHASES
        place -= place % self._step()
        lot = self._waiting.get(place)
        if lot is None:
            lot = self._waiting[place] = ParkingLot()
            self._resting.unpark()
        self._count += 1
        try:
            await lot.park()
        finally:
            self._count -= 1

    def _step(self) -> int:
        """Places of the grid between two ticks, a power of two: fewer, the more wait."""
        step = PHASES
        while step > 1 and self._level * step >= TOGETHER * PHASES:
            step //= 2
        return step

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        """Tick for ever."""
        task_status.started()
        while True:
            while not self._waiting:
                await self._resting.park()
            place = min(self._waiting)
            await trio.sleep_until(place * self._grid)
            self._ticks += 1
            self._level = self._count
            self._waiting.pop(place).unpark_all()

    def statistics(self) -> PacerStatistics:
        """Counts for the operator."""
        return PacerStatistics(self._count, self._ticks)
