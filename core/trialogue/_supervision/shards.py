"""Shards: where the many short-lived tasks live, some hundred to a nursery.

Cancelling one flat nursery with a hundred thousand tasks stalls the loop for seconds. Here they are spread over a fixed
number of nurseries under one supervisor, which cancels them one nursery after the other. A task that raises harms nobody:
its error goes to a callback.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Awaitable, Callable, Generator
from contextlib import ExitStack, contextmanager
from contextvars import Context
from functools import partial
from typing import NamedTuple, TypeVarTuple, Unpack
from zlib import crc32

import trio

from trialogue._facts.errors import ClosedError
from trialogue._supervision.child import Child, ChildSpec, Line, contain
from trialogue._supervision.supervisor import open_supervisor

_Args = TypeVarTuple("_Args")
_log = logging.getLogger("trialogue.supervisor")
_BARE = Context()


class ShardStatistics(NamedTuple):
    """Live tasks, those in the fullest shard, tasks ever spawned, and those that raised."""

    live: int
    fullest: int
    spawned: int
    crashed: int


class _Shard:
    """One nursery, and how many tasks live in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.nursery: trio.Nursery | None = None
        self.live = 0

    async def run(self, child: Child) -> None:
        try:
            async with trio.open_nursery() as self.nursery:
                child.started()
                await trio.sleep_forever()
        finally:
            self.nursery = None


class Shards:
    """A fixed set of ``count`` nurseries. ``run`` is a child of the services' supervisor."""

    def __init__(
        self,
        on_crash: Callable[[str, Exception], None] = lambda key, error: None,
        count: int = 64,
        limit: int = 1000,
    ) -> None:
        #: Called, synchronously, with the key and the error of a task that raised. Whoever owns the tasks sets it.
        self.on_crash = on_crash
        #: Live tasks in a shard above which the emptiest one takes them: cancelling more at once would be felt.
        self.limit = limit
        self._shards = [_Shard(f"shard {number}") for number in range(count)]
        self._open = False
        self._spawned = self._crashed = 0

    def __repr__(self) -> str:
        return f"<Shards {len(self._shards)} {self.statistics()}>"

    async def run(self, child: Child) -> None:
        """Hold the nurseries until cancelled; then cancel them one by one."""
        specs = [ChildSpec(shard.name, shard.run) for shard in self._shards]
        with ExitStack() as stack:
            async with open_supervisor("shards", specs=specs):
                child.below = self.tree
                self._open = True
                child.started()
                try:
                    await trio.sleep_forever()
                finally:
                    self._open = False
                    stack.enter_context(_full_collections_put_off())

    def spawn(self, key: str, async_fn: Callable[[Unpack[_Args]], Awaitable[object]], *args: *_Args) -> None:
        """Start a task in the shard of ``key``. Raises ``ClosedError`` when the shards are not up, or stopping."""
        shard = self._shards[crc32(key.encode()) % len(self._shards)]
        if shard.live >= self.limit:
            shard = min(self._shards, key=lambda other: other.live)
        if not self._open or shard.nursery is None:
            raise ClosedError(f"nothing new is started for {key!r}: try another node, or again in a moment")
        self._spawned += 1
        shard.live += 1
        # Not in the context of whoever asks: the task outlives a request, and what it logs is not that request's.
        _BARE.run(partial(shard.nursery.start_soon, self._live, shard, key, async_fn, *args, name=key))

    async def _live(
        self, shard: _Shard, key: str, async_fn: Callable[[Unpack[_Args]], Awaitable[object]], *args: *_Args
    ) -> None:
        try:
            error = await contain(async_fn, *args)
        finally:
            shard.live -= 1
        if error is not None:
            self._crashed += 1
            self._tell(key, error)

    def _tell(self, key: str, error: Exception) -> None:
        try:
            self.on_crash(key, error)
        except Exception:
            _log.exception("the crash callback failed for %r, which had crashed with %r", key, error)

    def tree(self) -> list[Line]:
        """The shards in which something lives, a line each."""
        busy = [shard for shard in self._shards if shard.live]
        return [(0, f"{shard.name}: {shard.live} tasks", "up", 0) for shard in busy]

    def statistics(self) -> ShardStatistics:
        """Counts of tasks."""
        counts = [shard.live for shard in self._shards]
        return ShardStatistics(sum(counts), max(counts), self._spawned, self._crashed)


@contextmanager
def _full_collections_put_off() -> Generator[None]:
    """Collect only what is young meanwhile: a full pass walks every task that is left, over and over."""
    young, middle, full = gc.get_threshold()
    gc.set_threshold(young, middle, 1_000_000)
    try:
        yield
    finally:
        gc.set_threshold(young, middle, full)
