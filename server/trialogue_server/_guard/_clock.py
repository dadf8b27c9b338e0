"""Knows when the event loop last ran, so that writes which never wait still leave room for others.

A write that the kernel takes at once needs no checkpoint, and a checkpoint is a third of what it costs. But an app that
only ever writes would then starve every other task. The loop's own pulse, once per round, tells the two apart.
"""

from __future__ import annotations

from time import perf_counter

import trio

#: How long tasks may run without the loop before a write makes room: about one large write, or ten small answers.
_PATIENCE = 0.001


class LoopClock(trio.abc.Instrument):
    """Attach with ``trio.lowlevel.add_instrument``."""

    def __init__(self) -> None:
        self._ran = perf_counter()

    def after_io_wait(self, timeout: float) -> None:
        """Called by Trio once per round of the loop."""
        self._ran = perf_counter()

    def late(self) -> bool:
        """Whether others have been waiting for too long."""
        return perf_counter() - self._ran > _PATIENCE
