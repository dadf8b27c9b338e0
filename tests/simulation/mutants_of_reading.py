"""Mutants of what readers are shown, and of the flusher that lets them."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest.mock import patch

from simulation.mutant import both, mutant

from trialogue import (
    Done,
    Event,
    Tail,
)
from trialogue._actors.activation import Activation
from trialogue._actors.flusher import Flusher
from trialogue._engine.engine import Engine
from trialogue._facts.cursor import parse_cursor

# --- tails, readers, the flusher -------------------------------------------------------------------------------------


@mutant
def hole_in_the_tail() -> AbstractContextManager[object]:
    """Now and then a frame does not get into the tail."""

    def lose_one(tail: Tail, frames: Sequence[bytes]) -> None:
        original(tail, frames[1:] if len(frames) > 3 else frames)

    original = Tail.publish
    return patch.object(Tail, "publish", lose_one)


@mutant
def tail_not_restarted() -> AbstractContextManager[object]:
    """A tail goes on counting where it stood though the log has moved on without it."""
    return patch.object(Tail, "restart", lambda tail, next_seq: None)


@mutant
def readers_not_woken() -> AbstractContextManager[object]:
    """Now and then a publication wakes nobody."""

    def publish(tail: Tail, frames: Sequence[bytes]) -> None:
        wakers = tail._wakers
        tail._wakers = {} if len(frames) > 2 else wakers
        original(tail, frames)
        tail._wakers = wakers

    original = Tail.publish
    return patch.object(Tail, "publish", publish)


@mutant
def resumed_at_the_last_event() -> AbstractContextManager[object]:
    """A reader who comes back is shown the last event again."""

    async def resume(engine: Engine, conversation: str, cursor: str | None, limit: int = 50) -> tuple[bytes, int]:
        head, seq = await original(engine, conversation, cursor, limit)
        return (head, seq) if cursor is None or head else (head, parse_cursor(cursor).seq)

    original = Engine.resume
    return patch.object(Engine, "resume", resume)


@mutant
def flush_lost_when_stopping() -> AbstractContextManager[object]:
    """A node that stops gives up what it is just writing, and tells nobody."""

    async def run(flusher: Flusher, child: Any) -> None:
        child.started()
        while True:
            await flusher._next()

    return patch.object(Flusher, "run", run)


@mutant
def not_marked_while_in_flight() -> AbstractContextManager[object]:
    """What is appended while a flush is in flight waits until something else is appended."""

    def append(activation: Activation, events: Sequence[Event], done: Done | None = None) -> None:
        with _unmarked(activation, activation._in_flight is not None):
            original(activation, events, done)

    def committed(activation: Activation) -> float:
        with _unmarked(activation, True):
            return settled(activation)

    original, settled = Activation.append, Activation.committed
    return both(patch.object(Activation, "append", append), patch.object(Activation, "committed", committed))


@contextmanager
def _unmarked(activation: Activation, silent: bool) -> Generator[None]:
    mark = activation._mark
    if silent:
        activation._mark = lambda _: None
    yield
    activation._mark = mark
