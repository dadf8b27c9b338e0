"""The reads: one statement each, which sees one moment, and one round trip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
import trio

from trialogue import Done, Entry, InvalidError, Message, TreeView, View
from trialogue_postgres import _sql as sql
from trialogue_postgres._database import Database
from trialogue_postgres._rows import decode_header, decode_message, decode_receipt

T = TypeVar("T")

#: Entries that a view brings along: what a quiet conversation has after its snapshot.
SOME = 100
#: Values that are decoded in the loop; more in a thread.
FEW = 100

_decode_names = msgspec.json.Decoder(tuple[str, ...]).decode


async def read_events(database: Database, conversation: str, start: int, limit: int) -> list[Entry]:
    """Entries from ``start`` on."""
    values = {"id": conversation, "start": start, "limit": max(limit, 0)}
    return [Entry(*row) for row in await database.read(sql.EVENTS, values)]


async def read_receipt(database: Database, conversation: str, command: str) -> Done | None:
    """What a command did."""
    row = await database.first(sql.RECEIPT, {"id": conversation, "command": command})
    return None if row is None else Done(row[0], row[1], decode_receipt(row[2]))


async def read_view(database: Database, conversation: str, limit: int) -> View | None:
    """A conversation as of one moment."""
    limit = max(limit, 0)
    values = {"id": conversation, "limit": limit + 1, "entries": SOME}
    row = await database.first(sql.VIEW, values)
    if row is None:
        return None
    body, next_seq, epoch, state, last, seqs, epochs, types, datas, bodies, names = row
    entries = tuple(map(Entry, seqs, epochs, types, datas)) if seqs else ()
    found = len(bodies or ())
    shown = slice(max(found - limit, 0), None)
    messages, siblings = await _decoded(bodies, names, shown)
    more = found > len(messages)
    return View(decode_header(body), next_seq, epoch, state, messages, siblings, more, last, entries)


async def read_tree(database: Database, conversation: str, limit: int, cursor: str | None) -> TreeView | None:
    """A page of all branches, as of one moment."""
    start, limit = 0 if cursor is None else parse_tree_cursor(cursor), max(limit, 0)
    row = await database.first(sql.TREE, {"id": conversation, "start": start, "limit": limit + 1})
    if row is None:
        return None
    body, next_seq, epoch, state, ns, bodies, names = row
    messages, siblings = await _decoded(bodies, names, slice(limit))
    more = str(ns[limit]) if ns and len(ns) > limit else None
    return TreeView(decode_header(body), next_seq, epoch, state, messages, siblings, more)


def parse_tree_cursor(cursor: str) -> int:
    """Where a tree goes on. Raises ``InvalidError``."""
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise InvalidError(f"{cursor[:64]!r} is not a cursor of this tree: leave it out to start over")
    return int(cursor)


async def read_path(database: Database, conversation: str, leaf: str, limit: int) -> Sequence[Message]:
    """A leaf and what is above it, oldest first."""
    values = {"id": conversation, "leaf": leaf, "limit": limit}
    found = await database.read(sql.PATH, values)
    return await decoded(decode_message, [body for (body,) in found] if limit > 0 else [])


async def read_onward(
    database: Database, conversation: str, leaf: str, after: str | None, limit: int
) -> Sequence[Message]:
    """The branch of a leaf, downwards."""
    skipped = 0 if after is None else 1
    values = {"id": conversation, "leaf": leaf, "after": after or "", "limit": max(limit, 0) + skipped}
    found = await database.read(sql.ONWARD, values)
    if skipped and (not found or found[0][0] != after):
        return []
    return await decoded(decode_message, [body for _, body in found[skipped:]])


async def read_siblings(database: Database, conversation: str, messages: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The ids beside each message."""
    found = await database.read(sql.SIBLINGS, {"id": conversation, "messages": list(messages)})
    return {name: _decode_names(names) for name, names in found}


async def _decoded(
    bodies: Sequence[str] | None, names: Sequence[str] | None, shown: slice
) -> tuple[tuple[Message, ...], dict[str, tuple[str, ...]]]:
    """The messages that are shown, and what stands beside each."""
    if bodies is None or names is None:
        return (), {}
    messages = tuple(await decoded(decode_message, bodies[shown]))
    siblings = {message.id: _decode_names(found) for message, found in zip(messages, names[shown], strict=True)}
    return messages, siblings


async def decoded(decode: Callable[[str], T], bodies: Sequence[str]) -> list[T]:
    """Values out of their JSON, in a thread when they are many."""
    if len(bodies) <= FEW:
        return [decode(body) for body in bodies]
    return await trio.to_thread.run_sync(lambda: [decode(body) for body in bodies], abandon_on_cancel=True)
