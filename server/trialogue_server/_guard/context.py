"""What all connections of one guarded server share: the reaper, the loop's clock, and the count of them by address.

Hypercorn makes one context per server and hands it to every connection, which is how they find what is here.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from contextvars import ContextVar

import trio
from hypercorn.config import Config
from hypercorn.trio.worker_context import EventWrapper, WorkerContext

from trialogue_server._guard.clock import LoopClock
from trialogue_server._guard.crowd import Crowd
from trialogue_server._guard.limits import Limits
from trialogue_server._guard.reaper import Reaper

_current: ContextVar[tuple[Reaper, LoopClock, Crowd]] = ContextVar("trialogue_guard")


@contextlib.asynccontextmanager
async def open_guard(config: Config) -> AsyncGenerator[Reaper, None]:
    """For one server, around Hypercorn's own ``worker_serve``: contexts made inside find this guard."""
    reaper, clock = Reaper(config), LoopClock()
    token = _current.set((reaper, clock, Crowd(reaper.limits)))
    trio.lowlevel.add_instrument(clock)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reaper.run)
            yield reaper
            nursery.cancel_scope.cancel()
    finally:
        trio.lowlevel.remove_instrument(clock)
        _current.reset(token)


def adopt_limits(limits: Limits) -> None:
    """For an app that learns its settings when the server runs it already: have that server keep to ``limits``.

    It holds for connections from now on. Under a server that is not guarded nothing happens.
    """
    found = _current.get(None)
    if found is not None:
        reaper, _, crowd = found
        reaper.limits = limits
        crowd.adopt(limits)


class GuardedContext(WorkerContext):
    """In the place of Hypercorn's context."""

    def __init__(self, max_requests: int | None) -> None:
        super().__init__(max_requests)
        #: A ``LookupError`` here: ``worker_serve`` was imported from Hypercorn before ``install_guard`` was called.
        self.reaper, self.clock, self.crowd = _current.get()
        self.terminated = _Terminated(self.reaper)


class _Terminated(EventWrapper):
    """Set by Hypercorn when shutdown begins."""

    def __init__(self, reaper: Reaper) -> None:
        super().__init__()
        self._reaper = reaper

    async def set(self) -> None:
        await super().set()
        self._reaper.stop()
