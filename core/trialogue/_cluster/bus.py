"""The port to what nodes tell each other at once: short messages to all, which may be lost, late, or come twice.

Nothing depends on them but how soon a node looks for itself. What is said comes after it is committed (I5), and names things
rather than carrying them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager

import trio

#: Bytes that a message may have: what PostgreSQL lets a notification carry.
MOST = 7_900


class Ear(ABC):
    """One listener."""

    @abstractmethod
    async def hear(self) -> bytes | None:
        """The next message; ``None`` where some may be missing, as at the beginning."""


class Bus(ABC):
    """One way to reach the other nodes of a cluster."""

    @property
    @abstractmethod
    def is_open(self) -> bool:
        """Whether it is worth speaking."""

    @abstractmethod
    def say(self, message: bytes) -> None:
        """Tell all listeners, ourselves included. ``message`` is text, of ``MOST`` bytes at most. Never waits nor raises."""

    @abstractmethod
    def listen(self) -> AbstractContextManager[Ear]:
        """Hear what is said while the block lasts."""

    async def run(self) -> None:
        """What has to go on meanwhile, until cancelled."""
        await trio.sleep_forever()
