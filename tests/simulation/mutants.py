"""Mutants: the core, each time with one promise broken. The simulation has to find every one of them.

A mutant is a context in which the core, or the store, is patched. They prove that the net has no hole; a checker that no
mutant needs is a checker nobody has seen at work.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeAlias
from unittest.mock import patch

from msgspec.structs import replace

from trialogue import (
    Claim,
    Command,
    Done,
    Event,
    Failure,
    Flush,
    InboxRemoved,
    Receipt,
    Recover,
    Snapshot,
    Stop,
    StorageError,
    Store,
    Tail,
    Verdict,
    _activate,
    _cell,
    _decide,
    _housekeeping,
    _run,
    _running,
)
from trialogue._activation import Activation
from trialogue._cell import Cell, Letter
from trialogue._cursor import frame, parse_cursor
from trialogue._engine import Engine
from trialogue._flusher import Flusher
from trialogue._run import Run
from trialogue._state import State, decode_state
from trialogue.testing import MemoryStore
from trialogue.testing._memory_rows import Row

Mutant: TypeAlias = Callable[[], AbstractContextManager[object]]
MUTANTS: dict[str, Mutant] = {}


def _mutant(mutant: Mutant) -> Mutant:
    MUTANTS[mutant.__name__] = mutant
    return mutant


def _fits(row: Row, flush: Flush) -> bool:
    """What is left of the store's condition when the owner is not looked at."""
    return row.flush < flush.number and flush.entries[0].seq <= row.next_seq


# --- the store's side of the fence -----------------------------------------------------------------------------------


@_mutant
def no_fence_in_append() -> AbstractContextManager[object]:
    """Whoever comes is let in."""
    return patch.object(Row, "accepts", _fits)


@_mutant
def fence_by_node_only() -> AbstractContextManager[object]:
    """The epoch is not looked at: a node's older activation writes beside its newer one."""

    def accepts(row: Row, flush: Flush) -> bool:
        return row.node == flush.node and _fits(row, flush)

    return patch.object(Row, "accepts", accepts)


@_mutant
def fence_by_epoch_only_after_the_fact() -> AbstractContextManager[object]:
    """A flush whose owner was replaced is told that it was committed."""
    return patch.object(Row, "holds", lambda row, flush: True)


@_mutant
def flush_number_not_kept() -> AbstractContextManager[object]:
    """A retry after a lost acknowledgement is appended once more, behind itself."""

    def accepts(row: Row, flush: Flush) -> bool:
        return (row.node, row.epoch) == (flush.node, flush.epoch)

    def apply(row: Row, flush: Flush) -> None:
        moved = [replace(entry, seq=row.next_seq + place) for place, entry in enumerate(flush.entries)]
        original(row, replace(flush, entries=tuple(moved)))

    original = Row.apply
    return _both(patch.object(Row, "accepts", accepts), patch.object(Row, "apply", apply))


@_mutant
def epoch_not_raised() -> AbstractContextManager[object]:
    """A claim changes the owner and nothing else."""

    def claim(row: Row, node: str) -> Claim:
        row.node = node
        return Claim(row.epoch, row.next_seq, row.flush, row.header, row.snapshot, row.snapshot_seq)

    return patch.object(Row, "claim", claim)


@_mutant
def receipts_not_kept() -> AbstractContextManager[object]:
    """The store forgets what commands did: nobody but the running process knows."""

    async def receipt(store: Store, conversation: str, command: str) -> Done | None:
        return None

    return patch.object(MemoryStore, "receipt", receipt)


# --- the output gate -------------------------------------------------------------------------------------------------


@_mutant
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
    return _both(patch.object(Activation, "take_flush", take_flush), patch.object(Tail, "publish", publish_once))


@_mutant
def refusal_taken_for_commit() -> AbstractContextManager[object]:
    """A flush that the store refuses is given up and called committed."""

    async def append(flusher: Flusher, flushes: Sequence[Flush], _: Sequence[Activation]) -> Sequence[Verdict]:
        try:
            return await flusher._store.append(flushes)
        except StorageError:
            return ["committed"] * len(flushes)

    return patch.object(Flusher, "_append", append)


@_mutant
def acknowledged_on_append() -> AbstractContextManager[object]:
    """A command is answered when it was decided, not when it was committed."""
    return patch.object(Activation, "reply_when_committed", lambda activation, reply, receipt: reply.set(receipt))


@_mutant
def fenced_taken_for_commit() -> AbstractContextManager[object]:
    """An owner that was replaced shows what it could not write."""

    def settle(flusher: Flusher, batch: Sequence[tuple[Activation, Flush]], verdicts: Sequence[Verdict]) -> None:
        original(flusher, batch, ["committed"] * len(verdicts))

    original = Flusher._settle
    return patch.object(Flusher, "_settle", settle)


@_mutant
def snapshot_of_what_is_not_committed() -> AbstractContextManager[object]:
    """A snapshot is taken from the actor's memory."""

    async def snapshot(engine: Engine, conversation: str, limit: int = 50) -> Snapshot:
        shown = await original(engine, conversation, limit)
        cell = engine._cells.get(conversation)
        if cell is None or cell.activation is None:
            return shown
        state = cell.activation.state
        return replace(shown, seq=state.next_seq - 1, conversation=state.header, inbox=state.inbox)

    original = Engine.snapshot
    return patch.object(Engine, "snapshot", snapshot)


# --- commands take effect once ---------------------------------------------------------------------------------------


@_mutant
def no_dedupe() -> AbstractContextManager[object]:
    """Every command is a new one."""

    async def nothing(store: Store, conversation: str, command: str) -> Done | None:
        return None

    def append(activation: Activation, events: Sequence[Event], done: Done | None = None) -> None:
        original(activation, events, None)

    original = Activation.append
    return _both(patch.object(MemoryStore, "receipt", nothing), patch.object(Activation, "append", append))


@_mutant
def repeat_known_only_once_committed() -> AbstractContextManager[object]:
    """A repeat that comes while the first one is being committed is decided again."""

    def append(activation: Activation, events: Sequence[Event], done: Done | None = None) -> None:
        original(activation, events, done)
        activation.receipts.clear()

    original = Activation.append
    return patch.object(Activation, "append", append)


@_mutant
def no_receipt_for_nothing() -> AbstractContextManager[object]:
    """A command that changed nothing is forgotten: its repeat may find something to do."""

    def append(activation: Activation, events: Sequence[Event], done: Done | None = None) -> None:
        if events:
            original(activation, events, done)

    original = Activation.append
    return patch.object(Activation, "append", append)


@_mutant
def stop_without_a_terminal_event() -> AbstractContextManager[object]:
    """A stop ends the run in memory, and the log is not told."""

    def take(cell: Cell, activation: Activation, letter: Letter, known: Any, digest: bytes) -> None:
        command: Command | None = letter.command
        run = activation.state.run
        if isinstance(command, Stop) and run is not None:
            if cell.run is not None:
                cell.run.scope.cancel()
            letter.reply.set(Receipt(activation.tail.next_seq - 1, run=run.run, answer=run.message))
        else:
            original(cell, activation, letter, known, digest)

    original = Cell._take
    return patch.object(Cell, "_take", take)


@_mutant
def stop_acknowledged_at_once() -> AbstractContextManager[object]:
    """A stop is answered while its run still holds the provider."""

    def take(cell: Cell, activation: Activation, letter: Letter, known: Any, digest: bytes) -> None:
        letter.ended = None
        follow(cell, activation, letter, known, digest)

    follow = Cell._take
    return patch.object(Cell, "_take", take)


@_mutant
def stale_reads() -> AbstractContextManager[object]:
    """What a command looked up is used though the run has ended meanwhile."""

    async def known(cell: Cell, activation: Activation, command: Command) -> Any:
        await activation.wait_settled()
        return await cell._read(activation.state, command)

    return patch.object(Cell, "_known", known)


# --- runs ------------------------------------------------------------------------------------------------------------


@_mutant
def terminal_event_twice() -> AbstractContextManager[object]:
    """A run that ended by itself says so twice."""

    def closing(live: Any, outcome: Any, node: Any) -> list[Event]:
        events = original(live, outcome, node)
        return [*events, events[-1]]

    original = _run._closing
    return patch.object(_run, "_closing", closing)


@_mutant
def next_not_taken_after_failure() -> AbstractContextManager[object]:
    """What waits goes on waiting when a run has failed."""

    def end(run: Run, outcome: Any) -> None:
        live = run.live
        if live is not None and isinstance(outcome, Failure):
            run._activation.append(_run._closing(live, outcome, run._node))
        else:
            original(run, outcome)

    original = Run._end
    return patch.object(Run, "_end", end)


@_mutant
def wrong_offset_after_going_on() -> AbstractContextManager[object]:
    """The first delta of an answer that is gone on with stands where the old text ended."""

    def write(live: Any, *rest: Any) -> list[Event]:
        moved = replace(live, length=live.length + 1) if live.attempt > 1 and live.open_kind is not None else live
        return original(moved, *rest)

    original = _running.write
    return patch.object(_run, "write", write)


@_mutant
def recovery_forgets_the_inbox() -> AbstractContextManager[object]:
    """After a restart a live run is closed, but what waited for its end is not taken."""

    def decide(state: State, command: Command, known: Any) -> Any:
        decision = original(state, command, known)
        taken = [place for place, event in enumerate(decision.events) if isinstance(event, InboxRemoved)]
        return replace(decision, events=decision.events[: taken[0]]) if taken and _is_recovery(command) else decision

    original = _decide.decide
    return patch.object(_cell, "decide", decide)


def _is_recovery(command: Command) -> bool:
    return isinstance(command, Recover)


@_mutant
def recovery_forgets_the_run() -> AbstractContextManager[object]:
    """After a restart nobody closes the run of the process that is gone."""
    return patch.object(Cell, "_recover", lambda cell, activation: None)


@_mutant
def nothing_taken_up() -> AbstractContextManager[object]:
    """A new process waits to be asked before it looks at what the old one left."""

    async def nothing(house: object) -> None:
        return None

    house = _housekeeping.Housekeeping
    return _both(patch.object(house, "_take_up", nothing), patch.object(house, "_look_after", nothing))


@_mutant
def entries_after_the_snapshot_ignored() -> AbstractContextManager[object]:
    """An activation starts from the stored snapshot and believes that nothing came after it."""

    async def fold_state(store: Store, conversation: str, snapshot: bytes | None, next_seq: int) -> State:
        if snapshot is None:
            return await original(store, conversation, snapshot, next_seq)
        return replace(decode_state(snapshot), next_seq=next_seq)

    original = _activate.fold_state
    return patch.object(_activate, "fold_state", fold_state)


@_mutant
def removal_sees_one_branch_only() -> AbstractContextManager[object]:
    """A removal looks at the head alone, not at what is written or waits elsewhere."""
    return patch.object(_cell, "leaves", lambda state: [name for name in (state.header.head,) if name])


# --- tails, readers, the flusher -------------------------------------------------------------------------------------


@_mutant
def hole_in_the_tail() -> AbstractContextManager[object]:
    """Now and then a frame does not get into the tail."""

    def lose_one(tail: Tail, frames: Sequence[bytes]) -> None:
        original(tail, frames[1:] if len(frames) > 3 else frames)

    original = Tail.publish
    return patch.object(Tail, "publish", lose_one)


@_mutant
def tail_not_restarted() -> AbstractContextManager[object]:
    """A tail goes on counting where it stood though the log has moved on without it."""
    return patch.object(Tail, "restart", lambda tail, next_seq: None)


@_mutant
def readers_not_woken() -> AbstractContextManager[object]:
    """Now and then a publication wakes nobody."""

    def publish(tail: Tail, frames: Sequence[bytes]) -> None:
        wakers = tail._wakers
        tail._wakers = {} if len(frames) > 2 else wakers
        original(tail, frames)
        tail._wakers = wakers

    original = Tail.publish
    return patch.object(Tail, "publish", publish)


@_mutant
def resumed_at_the_last_event() -> AbstractContextManager[object]:
    """A reader who comes back is shown the last event again."""

    async def resume(engine: Engine, conversation: str, cursor: str | None, limit: int = 50) -> tuple[bytes, int]:
        head, seq = await original(engine, conversation, cursor, limit)
        return (head, seq) if cursor is None or head else (head, parse_cursor(cursor).seq)

    original = Engine.resume
    return patch.object(Engine, "resume", resume)


@_mutant
def flush_lost_when_stopping() -> AbstractContextManager[object]:
    """A node that stops gives up what it is just writing, and tells nobody."""

    async def run(flusher: Flusher, child: Any) -> None:
        child.started()
        while True:
            await flusher._next()

    return patch.object(Flusher, "run", run)


@_mutant
def not_marked_while_in_flight() -> AbstractContextManager[object]:
    """What is appended while a flush is in flight waits until something else is appended."""

    def append(activation: Activation, events: Sequence[Event], done: Done | None = None) -> None:
        with _unmarked(activation, activation._in_flight is not None):
            original(activation, events, done)

    def committed(activation: Activation) -> float:
        with _unmarked(activation, True):
            return settled(activation)

    original, settled = Activation.append, Activation.committed
    return _both(patch.object(Activation, "append", append), patch.object(Activation, "committed", committed))


@contextmanager
def _unmarked(activation: Activation, silent: bool) -> Generator[None]:
    mark = activation._mark
    if silent:
        activation._mark = lambda _: None
    yield
    activation._mark = mark


@contextmanager
def _both(*patches: AbstractContextManager[object]) -> Generator[None]:
    first, second = patches
    with first, second:
        yield
