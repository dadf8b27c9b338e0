"""One task for every deadline that is not tied to a running call: idle connections, lingering ones, shutdown.

Hypercorn starts and cancels a task per connection and request for this, a quarter of what a small request costs. A
connection here holds one number, its ``deadline``; the reaper looks at all of them a few times per time-out. It also
ends the server: at shutdown idle connections close at once, and after the grace whatever is left, stalled readers
included, is broken off, so that no peer can keep the process.
"""

from __future__ import annotations

import math
from typing import Protocol

import trio
from hypercorn.config import Config

from trialogue_server._guard.limits import Limits, limits_of


class Reapable(Protocol):
    """What the reaper knows of a connection."""

    #: When to call ``expire``, in Trio's time; infinite while somebody else is responsible.
    deadline: float
    #: Whether nothing is in progress, so that closing harms nobody.
    idle: bool

    def expire(self) -> None:
        """The deadline has passed."""
        ...

    def abort(self) -> None:
        """Break off now."""
        ...


class Reaper:
    """All connections of one server, and when each is to end."""

    def __init__(self, config: Config) -> None:
        self.limits: Limits = limits_of(config)
        self.keep_alive: float = config.keep_alive_timeout
        # Of which the grace is read when shutdown begins: only then is it known how much of it is left.
        self._config = config
        # Held by each connection from its first byte to its last.
        self._connections: set[Reapable] = set()
        self._changed = trio.Event()
        # When to break off everything; infinite until shutdown begins.
        self._end = math.inf

    def __repr__(self) -> str:
        return f"<Reaper connections={len(self._connections)} stopping={self.stopping}>"

    def __len__(self) -> int:
        return len(self._connections)

    @property
    def stopping(self) -> bool:
        """Whether shutdown has begun."""
        return self._end < math.inf

    def add(self, connection: Reapable) -> None:
        """Watch over ``connection`` until it is discarded."""
        if not self._connections:
            self._changed.set()
        self._connections.add(connection)

    def discard(self, connection: Reapable) -> None:
        """Forget it."""
        self._connections.discard(connection)

    def stop(self) -> None:
        """Shutdown begins: close what is idle, and in ``graceful_timeout`` seconds break off the rest."""
        self._end = min(self._end, trio.current_time() + self._config.graceful_timeout)
        for connection in tuple(self._connections):
            if connection.idle:
                connection.expire()
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled. Then every connection is broken off: nobody is left to watch over them."""
        try:
            while True:
                await self._wait()
                self._expire(trio.current_time())
        finally:
            self._abort_all()

    async def _wait(self) -> None:
        # Without connections nothing can expire: no timer, so that an idle server sleeps.
        pause = self._tick() if self._connections else math.inf
        with trio.move_on_after(pause):
            await self._changed.wait()
        self._changed = trio.Event()

    def _tick(self) -> float:
        shortest = min(self.keep_alive, self.limits.linger, self.limits.close_handshake)
        return max(0.01, min(1.0, shortest / 4, self._end - trio.current_time()))

    def _expire(self, now: float) -> None:
        for connection in tuple(self._connections):
            if connection.deadline <= now:
                connection.expire()
        if now >= self._end:
            self._abort_all()

    def _abort_all(self) -> None:
        for connection in tuple(self._connections):
            connection.abort()
