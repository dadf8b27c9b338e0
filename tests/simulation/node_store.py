"""A node's own way to the store that all nodes share: slow, sometimes paused, and cut for good when the node dies.

The faults of the shared store come after it. Every write that takes effect, at whatever moment, is shown to the auditor.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

import trio
from simulation.auditor import Auditor

from trialogue import Claim, Flush, StorageError, Verdict
from trialogue.testing import MemoryStore

T = TypeVar("T")


#: How often as long the way to the store is when it is slow.
SLOW = 20.0


class DriverBug(Exception):
    """What a broken driver raises though the port does not allow it."""


class NodeStore(MemoryStore):
    """One node's connections to ``shared``."""

    def __init__(
        self, shared: MemoryStore, auditor: Auditor, source: random.Random, latency: float, bugs: bool
    ) -> None:
        super().__init__(generation=shared.generation)
        # The same rows, not copies: the effects of calls are closures over these.
        self._rows, self._homes = shared._rows, shared._homes
        self._ledger.book = shared.ledger.book
        self._nodes.table = shared.nodes.table
        self._shared = shared
        self._auditor = auditor
        self._source = source
        #: Longest way to the shared store, and back, in seconds.
        self.latency = latency
        #: It is longer than it was.
        self.is_slow = False
        #: The node whose way it is.
        self.node = ""
        #: There is no way to the shared store.
        self.away = False
        #: Raises ``DriverBug`` now and then.
        self.bugs = bugs
        #: The process is gone: nothing it asks for from now on arrives.
        self.dead = False
        self._passable = trio.Event()
        self._passable.set()

    def pause(self) -> None:
        """Nothing gets through in either direction until ``unpause``, as if the process were stopped."""
        if self._passable.is_set():
            self._passable = trio.Event()

    def unpause(self) -> None:
        self._passable.set()

    @property
    def stands_still(self) -> bool:
        """Whether the process is paused."""
        return not self._passable.is_set()

    async def moves(self) -> None:
        """Wait while the process is paused."""
        while not self._passable.is_set():
            await self._passable.wait()

    async def _call(self, name: str, effect: Callable[[], T], *, writes: bool = False) -> T:
        await self._travel()
        if self.bugs and self._source.random() < 0.01:
            raise DriverBug(name)
        result = await self._shared._call(name, lambda: self._arrived(effect), writes=writes)
        await self._travel()
        return result

    def _arrived(self, effect: Callable[[], T]) -> T:
        # Whoever reaches a store that has gone backwards is told so before anything else.
        self.generation = self._shared.generation
        return self._audited(effect)

    def _audited(self, effect: Callable[[], T]) -> T:
        owners = {name: row.node for name, row in self._rows.items()}
        result = effect()
        if isinstance(result, Claim):
            self._auditor.claimed(result.header.id, self.node, result)
        for name, before in owners.items():
            if name in self._rows and self._rows[name].node != before:
                self._auditor.handed_over(name, before, self._rows[name].node, self.node, self._nodes.table)
        return result

    async def _travel(self) -> None:
        await trio.sleep(self._source.uniform(0.0, self.latency))
        await self.moves()
        if self.dead:
            raise StorageError("this process is gone")
        if self.away:
            raise StorageError("there is no way to the store", retry_after=1)

    def _flush(self, flush: Flush) -> Verdict:
        verdict = super()._flush(flush)
        if flush.conversation in self._rows:
            self._auditor.written(flush, self._rows[flush.conversation])
        return verdict
