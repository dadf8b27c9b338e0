"""Mutants of commands and runs: once, to the end, and on from where the last process left them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from msgspec.structs import replace
from simulation.mutant import both, mutant

from trialogue import (
    Command,
    Done,
    Event,
    Failure,
    InboxRemoved,
    Receipt,
    Recover,
    Stop,
    Store,
)
from trialogue._actors import activate, housekeeping, knowing, recovering
from trialogue._actors import cell as cells
from trialogue._actors.activation import Activation
from trialogue._actors.cell import Cell
from trialogue._actors.letter import Letter
from trialogue._actors.node import Node
from trialogue._deciding import decide as deciding
from trialogue._deciding import running
from trialogue._deciding.state import State, decode_state
from trialogue._runs import generation
from trialogue._runs import run as runs
from trialogue._runs.run import Run
from trialogue.testing import MemoryStore

# --- commands take effect once ---------------------------------------------------------------------------------------


@mutant
def no_dedupe() -> AbstractContextManager[object]:
    """Every command is a new one."""

    async def nothing(store: Store, conversation: str, command: str) -> Done | None:
        return None

    def append(activation: Activation, events: Sequence[Event], done: Done | None = None) -> None:
        original(activation, events, None)

    original = Activation.append
    return both(patch.object(MemoryStore, "receipt", nothing), patch.object(Activation, "append", append))


@mutant
def repeat_known_only_once_committed() -> AbstractContextManager[object]:
    """A repeat that comes while the first one is being committed is decided again."""

    def append(activation: Activation, events: Sequence[Event], done: Done | None = None) -> None:
        original(activation, events, done)
        activation.receipts.clear()

    original = Activation.append
    return patch.object(Activation, "append", append)


@mutant
def no_receipt_for_nothing() -> AbstractContextManager[object]:
    """A command that changed nothing is forgotten: its repeat may find something to do."""

    def append(activation: Activation, events: Sequence[Event], done: Done | None = None) -> None:
        if events:
            original(activation, events, done)

    original = Activation.append
    return patch.object(Activation, "append", append)


@mutant
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


@mutant
def stop_acknowledged_at_once() -> AbstractContextManager[object]:
    """A stop is answered while its run still holds the provider."""

    def take(cell: Cell, activation: Activation, letter: Letter, known: Any, digest: bytes) -> None:
        letter.ended = None
        follow(cell, activation, letter, known, digest)

    follow = Cell._take
    return patch.object(Cell, "_take", take)


@mutant
def stale_reads() -> AbstractContextManager[object]:
    """What a command looked up is used though the run has ended meanwhile."""

    async def look_up(node: Node, activation: Activation, command: Command, given: Sequence[str]) -> Any:
        await activation.wait_settled()
        return await knowing._read(node.store, activation.state, command, given)

    return patch.object(cells, "look_up", look_up)


# --- runs ------------------------------------------------------------------------------------------------------------


@mutant
def terminal_event_twice() -> AbstractContextManager[object]:
    """A run that ended by itself says so twice."""

    def closing(*run: Any) -> list[Event]:
        events = original(*run)
        return [*events, events[-1]]

    original = runs._closing
    return patch.object(runs, "_closing", closing)


@mutant
def next_not_taken_after_failure() -> AbstractContextManager[object]:
    """What waits goes on waiting when a run has failed."""

    def end(run: Run, outcome: Any, succession: Any) -> None:
        live = run.live
        if live is not None and isinstance(outcome, Failure) and succession is None:
            run._activation.append(runs._closing(live, outcome, run._node, run._activation.asked))
        else:
            original(run, outcome, succession)

    original = Run._end
    return patch.object(Run, "_end", end)


@mutant
def wrong_offset_after_going_on() -> AbstractContextManager[object]:
    """The first delta of an answer that is gone on with stands where the old text ended."""

    def write(live: Any, *rest: Any) -> list[Event]:
        moved = replace(live, length=live.length + 1) if live.attempt > 1 and live.open_kind is not None else live
        return original(moved, *rest)

    original = running.write
    return patch.object(generation, "write", write)


@mutant
def recovery_forgets_the_inbox() -> AbstractContextManager[object]:
    """After a restart a live run is closed, but what waited for its end is not taken."""

    def decide(state: State, command: Command, known: Any) -> Any:
        decision = original(state, command, known)
        taken = [place for place, event in enumerate(decision.events) if isinstance(event, InboxRemoved)]
        return replace(decision, events=decision.events[: taken[0]]) if taken and _is_recovery(command) else decision

    original = deciding.decide
    return patch.object(recovering, "decide", decide)


def _is_recovery(command: Command) -> bool:
    return isinstance(command, Recover)


@mutant
def recovery_forgets_the_run() -> AbstractContextManager[object]:
    """After a restart nobody closes the run of the process that is gone."""
    return patch.object(Cell, "_recover", lambda cell, activation: None)


@mutant
def nothing_taken_up() -> AbstractContextManager[object]:
    """A new process waits to be asked before it looks at what the old one left."""

    async def nothing(house: object) -> None:
        return None

    house = housekeeping.Housekeeping
    return both(patch.object(house, "_take_up", nothing), patch.object(house, "_look_after", nothing))


@mutant
def entries_after_the_snapshot_ignored() -> AbstractContextManager[object]:
    """An activation starts from the stored snapshot and believes that nothing came after it."""

    async def fold_state(store: Store, conversation: str, snapshot: bytes | None, next_seq: int) -> State:
        if snapshot is None:
            return await original(store, conversation, snapshot, next_seq)
        return replace(decode_state(snapshot), next_seq=next_seq)

    original = activate.fold_state
    return patch.object(activate, "fold_state", fold_state)


@mutant
def removal_sees_one_branch_only() -> AbstractContextManager[object]:
    """A removal looks at the head alone, not at what is written or waits elsewhere."""
    return patch.object(knowing, "leaves", lambda state: [name for name in (state.header.head,) if name])
