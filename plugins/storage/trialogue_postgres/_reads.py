"""The reads: one statement each, which sees one moment, and one round trip. A page's rows take up to ``size`` bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
import trio

from trialogue import Done, Entry, InvalidError, Message, MessageView, TreeView, View
from trialogue_postgres import _sql as sql
from trialogue_postgres._database import Database
from trialogue_postgres._rows import decode_header, decode_message, decode_receipt

T = TypeVar("T")

#: Entries that a view brings along: what a quiet conversation has after its snapshot.
SOME = 100
#: Characters of values that are decoded in the loop; more in a thread.
FEW = 256 * 1024

_decode_names = msgspec.json.Decoder(tuple[str, ...]).decode


async def read_events(database: Database, conversation: str, start: int, limit: int, size: int) -> list[Entry]:
    """Entries from ``start`` on."""
    values = {"id": conversation, "start": start, "limit": max(limit, 0), "size": size}
    return [Entry(*row) for row in await database.read(sql.EVENTS, values)]


async def read_receipt(database: Database, conversation: str, command: str) -> Done | None:
    """What a command did."""
    row = await database.first(sql.RECEIPT, {"id": conversation, "command": command})
    return None if row is None else Done(row[0], row[1], decode_receipt(row[2]))


async def read_view(database: Database, conversation: str, limit: int, size: int) -> View | None:
    """A conversation as of one moment."""
    values = {"id": conversation, "limit": max(limit, 0), "size": size, "entries": SOME}
    row = await database.first(sql.VIEW, values)
    if row is None:
        return None
    body, next_seq, state, last, seqs, epochs, types, datas, bodies, names = row
    header = decode_header(body)
    entries = tuple(map(Entry, seqs, epochs, types, datas)) if seqs else ()
    messages, siblings = await _decoded(bodies, names)
    more = (messages[0].parent if messages else header.head) is not None
    return View(header, next_seq, state, messages, siblings, more, last, entries)


async def read_tree(
    database: Database, conversation: str, limit: int, cursor: str | None, size: int
) -> TreeView | None:
    """A page of all branches, as of one moment."""
    start = 0 if cursor is None else parse_tree_cursor(cursor)
    row = await database.first(sql.TREE, {"id": conversation, "start": start, "limit": max(limit, 0), "size": size})
    if row is None:
        return None
    body, next_seq, state, beyond, bodies, names = row
    messages, siblings = await _decoded(bodies, names)
    more = None if beyond is None else str(beyond)
    return TreeView(decode_header(body), next_seq, state, messages, siblings, more)


async def read_message_view(database: Database, message: str) -> MessageView | None:
    """A message and where it stands, as of one moment."""
    row = await database.first(sql.MESSAGE_VIEW, {"id": message})
    if row is None:
        return None
    header, body, names = row
    return MessageView(decode_header(header), decode_message(body), _decode_names(names))


def parse_tree_cursor(cursor: str) -> int:
    """Where a tree goes on. Raises ``InvalidError``."""
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise InvalidError(f"{cursor[:64]!r} is not a cursor of this tree: leave it out to start over")
    return int(cursor)


async def read_path(database: Database, conversation: str, leaf: str, limit: int, size: int) -> Sequence[Message]:
    """A leaf and what is above it, oldest first."""
    values = {"id": conversation, "leaf": leaf, "limit": limit, "size": size}
    found = await database.read(sql.PATH, values)
    return await decoded(decode_message, [body for (body,) in found] if limit > 0 else [])


async def read_onward(
    database: Database, conversation: str, leaf: str, after: str | None, limit: int, size: int
) -> Sequence[Message]:
    """The branch of a leaf, downwards."""
    skipped = 0 if after is None else 1
    values = {"id": conversation, "leaf": leaf, "after": after or "", "limit": max(limit, 0) + skipped, "size": size}
    found = await database.read(sql.ONWARD, values)
    if skipped and (not found or found[0][0] != after):
        return []
    return await decoded(decode_message, [body for _, body in found[skipped:]])


async def read_siblings(database: Database, conversation: str, messages: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The ids beside each message."""
    found = await database.read(sql.SIBLINGS, {"id": conversation, "messages": list(messages)})
    return {name: _decode_names(names) for name, names in found}


async def _decoded(
    bodies: Sequence[str] | None, names: Sequence[str] | None
) -> tuple[tuple[Message, ...], dict[str, tuple[str, ...]]]:
    """The messages that are shown, and what stands beside each."""
    if bodies is None or names is None:
        return (), {}
    messages = tuple(await decoded(decode_message, bodies))
    siblings = {message.id: _decode_names(found) for message, found in zip(messages, names, strict=True)}
    return messages, siblings


async def decoded(decode: Callable[[str], T], bodies: Sequence[str]) -> list[T]:
    """Values out of their JSON, in a thread when that takes long."""
    if sum(map(len, bodies)) <= FEW:
        return [decode(body) for body in bodies]
    return await trio.to_thread.run_sync(lambda: [decode(body) for body in bodies], abandon_on_cancel=True)
