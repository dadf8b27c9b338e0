"""Resuming: from what a reader has seen to where its stream of events goes on, or has to begin anew."""

from __future__ import annotations

from trialogue._actors.node import Node
from trialogue._actors.snapshot import frame_snapshot, take_snapshot
from trialogue._facts.cursor import Cursor, parse_cursor
from trialogue._facts.errors import NotFoundError
from trialogue._storage.one_history import one_history
from trialogue._storage.store import Store


async def resume(store: Store, conversation: str, cursor: str | None, limit: int) -> tuple[bytes, int]:
    """See ``Engine.resume``."""
    with one_history(store):
        return await _resume(store, conversation, cursor, limit)


async def _resume(store: Store, conversation: str, cursor: str | None, limit: int) -> tuple[bytes, int]:
    reason = None
    if cursor is not None:
        parsed = parse_cursor(cursor)
        reason = await _why_not(store, conversation, parsed)
        if reason is None:
            return b"", parsed.seq + 1
    snapshot = await take_snapshot(store, conversation, limit)
    reset = b"" if reason is None else b'event: reset\ndata: {"type":"reset","reason":"%b"}\n\n' % reason.encode()
    return reset + frame_snapshot(snapshot), snapshot.seq + 1


async def cursor_before(node: Node, conversation: str, seq: int) -> str:
    """See ``Engine.cursor_before``."""
    tail = node.tails.get(conversation)
    cursor = tail.cursor(seq - 1) if tail is not None else None
    if cursor is not None:
        return cursor
    # The event before may have been pruned; the cursor is then too old, and its reader is told to start over.
    with one_history(node.store):
        entries = await node.store.events(conversation, seq - 1, 1)
    if not entries:
        raise NotFoundError(f"there is no conversation {conversation!r} any more")
    return str(Cursor(node.store.generation, entries[0].epoch, seq - 1))


async def _why_not(store: Store, conversation: str, cursor: Cursor) -> str | None:
    """Why reading cannot go on at a cursor; ``None`` when it can."""
    position = await store.position(conversation)
    if position is None:
        raise NotFoundError(f"there is no conversation {conversation!r}")
    floor, next_seq = position
    if cursor.generation != store.generation:
        return "the storage was replaced since"
    if cursor.seq + 1 < floor:
        return "the events after it were folded into messages since"
    entries = await store.events(conversation, cursor.seq, 1)
    if cursor.seq >= next_seq or not entries or entries[0].seq != cursor.seq or entries[0].epoch != cursor.epoch:
        return "it is not of this log"
    return None
