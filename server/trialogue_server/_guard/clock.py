"""Counts the event loop's rounds, so that writes which never wait still leave room for others.

A write that the kernel takes at once needs no checkpoint, and a checkpoint is a third of what it costs. But an app that
only ever writes would then starve every other task. Many writes of one connection within one round tell the two apart.
"""

from __future__ import annotations

import trio


class LoopClock(trio.abc.Instrument):
    """Attach with ``trio.lowlevel.add_instrument``."""

    def __init__(self) -> None:
        #: Goes up by one each time that every waiting task has had its turn.
        self.rounds = 0

    def after_io_wait(self, timeout: float) -> None:
        """Called by Trio once per round of the loop."""
        self.rounds += 1
