"""Mutants of what is stored and of what is shown before it is stored: fence, epochs, receipts, output gate."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from unittest.mock import patch

from msgspec.structs import replace
from simulation.mutant import both, mutant

from trialogue import (
    Claim,
    Done,
    Flush,
    Snapshot,
    StorageError,
    Store,
    Tail,
    Verdict,
)
from trialogue._actors.activation import Activation
from trialogue._actors.flusher import Flusher
from trialogue._actors.snapshot import take_snapshot
from trialogue._facts.cursor import frame
from trialogue.testing import MemoryStore
from trialogue.testing._memory_rows import Row


def _fits(row: Row, flush: Flush) -> bool:
    """What is left of the store's condition when the owner is not looked at."""
    return row.flush < flush.number and flush.entries[0].seq <= row.next_seq


# --- the store's side of the fence -----------------------------------------------------------------------------------


@mutant
def no_fence_in_append() -> AbstractContextManager[object]:
    """Whoever comes is let in."""
    return patch.object(Row, "accepts", _fits)


@mutant
def fence_by_node_only() -> AbstractContextManager[object]:
    """The epoch is not looked at: a node's older activation writes beside its newer one."""

    def accepts(row: Row, flush: Flush) -> bool:
        return row.node == flush.node and _fits(row, flush)

    return patch.object(Row, "accepts", accepts)


@mutant
def fence_taken_for_a_retry() -> AbstractContextManager[object]:
    """A flush whose owner was replaced is told that it had been committed before."""
    return patch.object(Row, "holds", lambda row, flush: True)


@mutant
def flush_number_not_kept() -> AbstractContextManager[object]:
    """A retry after a lost acknowledgement is appended once more, behind itself."""

    def accepts(row: Row, flush: Flush) -> bool:
        return (row.node, row.epoch) == (flush.node, flush.epoch)

    def apply(row: Row, flush: Flush) -> None:
        moved = [replace(entry, seq=row.next_seq + place) for place, entry in enumerate(flush.entries)]
        original(row, replace(flush, entries=tuple(moved)))

    original = Row.apply
    return both(patch.object(Row, "accepts", accepts), patch.object(Row, "apply", apply))


@mutant
def epoch_not_raised() -> AbstractContextManager[object]:
    """A claim changes the owner and nothing else."""

    def claim(row: Row, node: str) -> Claim:
        row.node = node
        return Claim(row.epoch, row.next_seq, row.flush, row.header, row.snapshot, row.snapshot_seq)

    return patch.object(Row, "claim", claim)


@mutant
def receipts_not_kept() -> AbstractContextManager[object]:
    """The store forgets what commands did: nobody but the running process knows."""

    async def receipt(store: Store, conversation: str, command: str) -> Done | None:
        return None

    return patch.object(MemoryStore, "receipt", receipt)


# --- the output gate -------------------------------------------------------------------------------------------------


@mutant
def publish_before_commit() -> AbstractContextManager[object]:
    """Readers are shown what is only on its way to the store."""

    def take_flush(activation: Activation) -> Flush | None:
        flush = take(activation)
        if flush is not None:
            activation.tail.publish([frame(activation._generation, entry) for entry in flush.entries])
        return flush

    def publish_once(tail: Tail, frames: Sequence[bytes]) -> None:
        if f".{tail.next_seq:012d}\n".encode() in frames[0]:
            publish(tail, frames)

    take, publish = Activation.take_flush, Tail.publish
    return both(patch.object(Activation, "take_flush", take_flush), patch.object(Tail, "publish", publish_once))


@mutant
def refusal_taken_for_commit() -> AbstractContextManager[object]:
    """A flush that the store refuses is given up and called committed."""

    async def append(flusher: Flusher, flushes: Sequence[Flush], _: Sequence[Activation]) -> Sequence[Verdict]:
        try:
            return await flusher._store.append(flushes)
        except StorageError:
            return ["committed"] * len(flushes)

    return patch.object(Flusher, "_append", append)


@mutant
def acknowledged_on_append() -> AbstractContextManager[object]:
    """A command is answered when it was decided, not when it was committed."""
    return patch.object(Activation, "reply_when_committed", lambda activation, reply, receipt: reply.set(receipt))


@mutant
def fenced_taken_for_commit() -> AbstractContextManager[object]:
    """An owner that was replaced shows what it could not write."""

    def settle(flusher: Flusher, batch: Sequence[tuple[Activation, Flush]], verdicts: Sequence[Verdict]) -> None:
        original(flusher, batch, ["committed"] * len(verdicts))

    original = Flusher._settle
    return patch.object(Flusher, "_settle", settle)


@mutant
def snapshot_of_what_is_not_committed() -> AbstractContextManager[object]:
    """A snapshot is taken from the actor's memory."""

    async def take(store: Store, conversation: str, limit: int) -> Snapshot:
        shown = await original(store, conversation, limit)
        activation = awake.get(conversation)
        if activation is None or activation.gone is not None:
            return shown
        state = activation.state
        return replace(shown, seq=state.next_seq - 1, conversation=state.header, inbox=state.inbox)

    def noted(flusher: Flusher, activation: Activation) -> None:
        awake[activation.id] = activation
        mark(flusher, activation)

    awake: dict[str, Activation] = {}
    original, mark = take_snapshot, Flusher.mark
    return both(patch("trialogue._engine.resuming.take_snapshot", take), patch.object(Flusher, "mark", noted))
