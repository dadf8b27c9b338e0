"""The flusher: natural group commit for all conversations of a node.

While idle it starts at once; while a flush is in flight everything new accumulates and goes with the next one. No timer: the
store's own speed sets the size of a batch. It outlives every writer and ends only when nothing waits.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeAlias

import msgspec
import trio

from trialogue._actors.activation import Activation
from trialogue._facts.errors import BrokenError, ClosedError, FencedError, StorageError
from trialogue._storage.store import Flush, Store, Verdict
from trialogue._supervision.child import Child
from trialogue._watching.figures import MANY, QUICK, Distribution, Histogram
from trialogue._watching.observer import CommitReport, Observers

#: Waits between attempts at a flush that the store refuses, in seconds: first and longest.
RETRY = (0.05, 1.0)
#: Conversations in one commit; more wait for the next, so that one commit stays short.
MOST = 512

#: Told of each committed flush that holds more than the text of an answer, and whether its activation still stands.
Changed: TypeAlias = Callable[[Flush, bool], None]

_log = logging.getLogger("trialogue.flusher")


class FlusherStatistics(msgspec.Struct, frozen=True):
    """What waits and what was done. Gate times are seconds from an append to its commit, over the last flushes."""

    dirty: int
    commits: int
    flushes: int
    entries: int
    fenced: int
    gate_p50: float
    gate_p99: float
    #: The same since the start; then how long commits took, and how many conversations were in one.
    gate: Distribution
    commit: Distribution
    batch: Distribution
    #: What the store said last, while it refuses.
    failing: str | None


class Flusher:
    """Commits what activations append. ``mark`` may be called from anywhere in the loop and never waits."""

    def __init__(
        self,
        store: Store,
        last_flush: float = 5.0,
        changed: Changed | None = None,
        observers: Observers | None = None,
    ) -> None:
        self._store = store
        self._last_flush = last_flush
        self._changed = changed
        #: Told of each flush that was committed and shown, where other nodes are to hear of it.
        self.on_committed: Callable[[Activation, Flush], None] | None = None
        self._observers = observers or Observers()
        # A dict for its order: who was marked first is flushed first.
        self._dirty: dict[Activation, None] = {}
        # What is being appended. Kept when that is cancelled: it is then finished with the last flush, or told.
        self._batch: list[tuple[Activation, Flush]] = []
        self._wake = trio.Event()
        self._commits = self._flushes = self._entries = self._fenced = 0
        # Enough for a p99 over some thousand flushes.
        self._gate: deque[float] = deque(maxlen=4096)
        self._gates, self._seconds, self._batches = Histogram(QUICK), Histogram(QUICK), Histogram(MANY)
        #: Why the store refuses, while it does.
        self.failing: StorageError | None = None

    def __repr__(self) -> str:
        return f"<Flusher dirty={len(self._dirty)} commits={self._commits} failing={self.failing}>"

    def mark(self, activation: Activation) -> None:
        """``activation`` has something to flush."""
        self._dirty[activation] = None
        self._wake.set()

    async def run(self, child: Child) -> None:
        """Flush until cancelled, then what is left, for a bounded time."""
        child.started()
        try:
            while True:
                await self._next()
        finally:
            with trio.move_on_after(self._last_flush, shield=True):
                while self._batch or self._dirty:
                    await self._next()
            self._abandon()

    async def _next(self) -> None:
        if not self._batch:
            await self._gather()
        if self._batch:
            verdicts = await self._append(
                [flush for _, flush in self._batch], [activation for activation, _ in self._batch]
            )
            batch, self._batch = self._batch, []
            self._settle(batch, verdicts)

    async def _gather(self) -> None:
        while not self._dirty:
            await self._wake.wait()
            self._wake = trio.Event()
        for activation in tuple(self._dirty)[:MOST]:
            del self._dirty[activation]
            flush = activation.take_flush()
            if flush is not None:
                self._batch.append((activation, flush))

    def _abandon(self) -> None:
        """The store has not taken the rest in time: whoever waits for it is told, and finds out by repeating himself."""
        rest = [activation for activation, _ in self._batch] + list(self._dirty)
        self._batch.clear()
        self._dirty.clear()
        for activation in rest:
            activation.end(ClosedError("the server stopped before this was stored: send it again", retry_after=2))

    async def _append(self, flushes: Sequence[Flush], activations: Sequence[Activation]) -> Sequence[Verdict]:
        """Append until the store takes it. The same flushes under the same numbers, so that a repeat is harmless (I6)."""
        wait, longest = RETRY
        began, tries = time.perf_counter(), 0
        while True:
            tries += 1
            try:
                verdicts = await self._store.append(flushes)
            except Exception as error:
                self._refused(error, activations)
                await trio.sleep(wait)
                wait = min(wait * 2, longest)
            else:
                if self.failing is not None:
                    _log.warning("the store writes again")
                self.failing = None
                self._took(flushes, tries, time.perf_counter() - began)
                return verdicts

    def _took(self, flushes: Sequence[Flush], tries: int, seconds: float) -> None:
        self._seconds.observe(seconds)
        self._batches.observe(len(flushes))
        if self._observers.of_commits:
            entries = sum(len(flush.entries) for flush in flushes)
            self._observers.committed(CommitReport(len(flushes), entries, tries, time.time_ns(), seconds))

    def _refused(self, error: Exception, activations: Sequence[Activation]) -> None:
        # A store that raises anything else is broken in a way it does not know; its callers are told the same.
        told = error if isinstance(error, StorageError) else StorageError(f"the store failed: {error!r}", retry_after=1)
        if self.failing is None:
            _log.error("the store refuses to write, trying again: %s", told, exc_info=error)
        self.failing = told
        for activation in activations:
            activation.refuse(told)

    def _settle(self, batch: Sequence[tuple[Activation, Flush]], verdicts: Sequence[Verdict]) -> None:
        self._commits += 1
        for (activation, flush), verdict in zip(batch, verdicts, strict=True):
            try:
                self._settle_one(activation, flush, verdict)
            except Exception as error:
                self._spoilt(activation, error)

    def _settle_one(self, activation: Activation, flush: Flush, verdict: Verdict) -> None:
        if flush.snapshot is not None and self._changed is not None and verdict == "committed":
            self._changed(flush, activation.gone is None)
        if activation.gone is not None:
            return
        if verdict == "fenced":
            self._fenced += 1
            activation.end(FencedError(f"conversation {activation.id} has a newer owner: send it again"))
            return
        self._flushes += 1
        self._entries += len(flush.entries)
        waited = activation.committed()
        self._gate.append(waited)
        self._gates.observe(waited)
        if self.on_committed is not None:
            self.on_committed(activation, flush)

    def _spoilt(self, activation: Activation, error: Exception) -> None:
        """One who was to be told raised: the others of the batch are told, and this one begins anew from its log."""
        ids = {"conversation": activation.id}
        _log.error("conversation %s: what follows a commit failed", activation.id, exc_info=error, extra=ids)
        with suppress(Exception):  # Whoever raised may raise again; it was logged.
            activation.end(BrokenError("it was stored, but telling of it failed on our side: look again"))

    def statistics(self) -> FlusherStatistics:
        """Counts, and how long the gate held things back."""
        gate = sorted(self._gate)
        return FlusherStatistics(
            dirty=len(self._dirty),
            commits=self._commits,
            flushes=self._flushes,
            entries=self._entries,
            fenced=self._fenced,
            gate_p50=gate[len(gate) // 2] if gate else 0.0,
            gate_p99=gate[len(gate) * 99 // 100] if gate else 0.0,
            gate=self._gates.distribution(),
            commit=self._seconds.distribution(),
            batch=self._batches.distribution(),
            failing=str(self.failing) if self.failing else None,
        )
