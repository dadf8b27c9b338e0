"""Rows that follow from flushes, collected so that each table takes one statement, however many flushes there are.

Part of the flushes' transaction. A facet whose rows come with a flush adds its arrays here, and its statement at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from trialogue import Conversation, Done, Entry, Flush, Message, Receipt, files_of, text_of
from trialogue_postgres import _sql as sql
from trialogue_postgres._charges import Charges
from trialogue_postgres._connection import TrioConnection
from trialogue_postgres._database import send
from trialogue_postgres._files_sql import ADD_MENTIONS
from trialogue_postgres._sharing_sql import END_SHARES
from trialogue_postgres._text import lexemes

_encode = msgspec.json.Encoder().encode

decode_message = msgspec.json.Decoder(Message).decode
decode_header = msgspec.json.Decoder(Conversation).decode
decode_receipt = msgspec.json.Decoder(Receipt).decode


def body_of(value: object) -> str:
    """A value as the JSON that is stored."""
    return _encode(value).decode()


def words_of(message: Message) -> str:
    """What is found of a message, as a ``tsvector``."""
    return lexemes(text_of(message.parts)) if message.role in ("user", "assistant") else ""


#: The columns of one table, each an array.
Columns = dict[str, list[Any]]  # Any: what the column holds.


class Rows:
    """Rows of some conversations, by table. ``n`` is a conversation's number, ``next_seq`` what it is after the flush."""

    def __init__(self, words: Mapping[str, str]) -> None:
        #: What is found of each message, by id: made before, and elsewhere when there is much of it.
        self._words = words
        self._entries = _columns("ns", "seqs", "epochs", "types", "datas")
        self._headers = _columns(
            "ns", "ids", "owners", "updated", "archived", "pinned", "folders", "trashed", "heads", "words", "bodies"
        )
        self._snapshots = _columns("ns", "seqs", "states")
        self._messages = _columns(
            "ns", "ids", "parents", "bodies", "roles", "models", "created", "lats", "lons", "words"
        )
        self._waiting = _columns("ns", "ids")
        self._removed = _columns("ns", "ids")
        self._receipts = _columns("ns", "commands", "digests", "receipts")
        self._mentions = _columns("ns", "messages", "files")
        self._trashed = _columns("ns")
        self._charges = Charges()

    def add_flush(self, n: int, next_seq: int, flush: Flush) -> None:
        """All that a flush brings besides its entries, which are written with its fence."""
        if flush.header is not None:
            self.add_header(n, flush.header)
        if flush.snapshot is not None:
            self.add_snapshot(n, next_seq, flush.snapshot)
        self.add_messages(n, flush.messages)
        for message in flush.waiting:
            _add(self._waiting, n, message)
        for root in flush.removed:
            _add(self._removed, n, root)
        for done in flush.done:
            self.add_done(n, done)
        for charge in flush.charges:
            self._charges.add(charge)

    def add_entries(self, n: int, entries: Iterable[Entry]) -> None:
        for entry in entries:
            _add(self._entries, n, entry.seq, entry.epoch, entry.type, entry.data)

    def add_header(self, n: int, header: Conversation) -> None:
        _add(
            self._headers,
            n,
            header.id,
            header.owner,
            header.updated_at,
            header.archived,
            header.pinned,
            header.folder,
            header.deleted_at is not None,
            header.head,
            lexemes(header.title or ""),
            body_of(header),
        )
        if header.deleted_at is not None:
            _add(self._trashed, n)

    def add_snapshot(self, n: int, seq: int, state: bytes) -> None:
        _add(self._snapshots, n, seq, state)

    def add_messages(self, n: int, messages: Iterable[Message]) -> None:
        # Of one that is written twice the later is meant: a statement can write a row once only.
        for message in {message.id: message for message in messages}.values():
            words = self._words.get(message.id, "")
            about = (message.parent or "", body_of(message), message.role, message.model, message.created_at)
            lat, lon = (message.location.lat, message.location.lon) if message.location else (None, None)
            _add(self._messages, n, message.id, *about, lat, lon, words)
            for part in files_of(message.parts):
                _add(self._mentions, n, message.id, part.file)

    def add_done(self, n: int, done: Done) -> None:
        _add(self._receipts, n, done.command, done.digest, body_of(done.receipt))

    async def write(self, connection: TrioConnection) -> None:
        """Have them written, in the order in which they need one another; in a pipeline it waits for none of them."""
        for statement, columns in self._statements():
            if next(iter(columns.values())):
                await send(connection, statement, columns)

    def _statements(self) -> Iterator[tuple[str, Columns]]:
        yield sql.ADD_ENTRIES, self._entries
        yield sql.PUT_HEADERS, self._headers
        yield sql.PUT_SNAPSHOTS, self._snapshots
        # Before the messages: one may come in the same flush in which it began to wait.
        yield sql.ADD_WAITING, self._waiting
        yield sql.PUT_MESSAGES, self._messages
        yield ADD_MENTIONS, self._mentions
        yield sql.REMOVE_MESSAGES, self._removed
        yield sql.ADD_RECEIPTS, self._receipts
        yield END_SHARES, self._trashed
        yield from self._charges.statements()


def _columns(*names: str) -> Columns:
    return {name: [] for name in names}


def _add(columns: Columns, *values: object) -> None:
    for column, value in zip(columns.values(), values, strict=True):
        column.append(value)
