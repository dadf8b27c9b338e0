"""What a new conversation begins with, written in one transaction that is kept short: all that can be done before it is
(encoding, and the words for the index), and within it each table is filled by one statement.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import apsw

from trialogue import ConflictError, Entry, History, Message, separated, text_of
from trialogue_sqlite import _sql as sql
from trialogue_sqlite._driver import Connection
from trialogue_sqlite._facts import message_facts
from trialogue_sqlite._mentions import put_mentions
from trialogue_sqlite._rows import body_of
from trialogue_sqlite._search_sql import PUT_PLACE


class Row(NamedTuple):
    """A message as its tables have it, but for the numbers."""

    message: Message
    body: str
    facts: str
    #: What is searched; empty when nothing is.
    words: str


class Rows(NamedTuple):
    """A history, ready to be written."""

    entries: tuple[Entry, ...]
    messages: tuple[Row, ...]
    snapshot: bytes


def rows_of(history: History, owner: str) -> Rows:
    """The rows; takes some microseconds a message, and belongs in a thread when there are many."""
    return Rows(history.entries, tuple(_row(message, owner) for message in history.messages), history.snapshot)


def _row(message: Message, owner: str) -> Row:
    text = text_of(message.parts) if message.role in ("user", "assistant") else ""
    return Row(message, body_of(message), message_facts(owner, message) if text else "", separated(text))


def add_history(connection: Connection, n: int, next_seq: int, rows: Rows) -> None:
    """Write the history of conversation ``n``. Raises ``ConflictError`` when a message's id is taken."""
    connection.executemany(sql.ADD_ENTRY, ((n, e.seq, e.epoch, e.type, e.data) for e in rows.entries))
    connection.execute(sql.PUT_SNAPSHOT, (n, next_seq, rows.snapshot))
    first = connection.execute(sql.NEXT_MESSAGE).get
    try:
        connection.executemany(sql.ADD_NUMBERED, _numbered(rows, n, first))
    except apsw.ConstraintError as error:
        raise ConflictError("a message of it has the id of another message: choose new ids") from error
    texts = ((place, row.facts, row.words) for place, row in enumerate(rows.messages, first) if row.words)
    connection.executemany(sql.ADD_TEXT, texts)
    for place, row in enumerate(rows.messages, first):
        put_mentions(connection, n, place, row.message)
        if row.message.location is not None:
            connection.execute(PUT_PLACE, (place, n, row.message.location.lat, row.message.location.lon))


def _numbered(rows: Rows, n: int, first: int) -> Iterator[tuple[int, str, int, str | None, str]]:
    for place, row in enumerate(rows.messages, first):
        yield place, row.message.id, n, row.message.parent, row.body
