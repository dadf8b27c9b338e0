"""Rows that follow from a flush: a header, messages, receipts, and their texts in the index. Part of its transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from trialogue import Conversation, Done, Entry, Message, Receipt, separated, text_of
from trialogue_sqlite import _sql as sql
from trialogue_sqlite._driver import Connection
from trialogue_sqlite._facts import message_facts, owner_word
from trialogue_sqlite._mentions import put_mentions
from trialogue_sqlite._search_sql import PUT_PLACE
from trialogue_sqlite._sharing_sql import END_SHARES

_encode = msgspec.json.Encoder().encode
_START = datetime(1970, 1, 1, tzinfo=UTC)

#: ``removed`` of a message that has not come yet.
WAITS = 2

decode_message = msgspec.json.Decoder(Message).decode
decode_header = msgspec.json.Decoder(Conversation).decode
decode_receipt = msgspec.json.Decoder(Receipt).decode


def body_of(value: object) -> str:
    """A value as the JSON that is stored."""
    return _encode(value).decode()


def micros(at: datetime) -> int:
    """A moment as whole microseconds since 1970, which sort as moments do."""
    return (at - _START) // timedelta(microseconds=1)


def moment(micros: int) -> datetime:
    """What ``micros`` made."""
    return _START + timedelta(microseconds=micros)


def add_entries(connection: Connection, n: int, entries: Sequence[Entry]) -> None:
    """Write entries of conversation ``n``, a few with each statement."""
    most = len(sql.ADD_ENTRIES)
    for start in range(0, len(entries), most):
        some = entries[start : start + most]
        values = [value for entry in some for value in (n, entry.seq, entry.epoch, entry.type, entry.data)]
        connection.execute(sql.ADD_ENTRIES[len(some) - 1], values)


class _Titled(msgspec.Struct):
    """What is wanted of a header that is there."""

    title: str | None = None


_decode_titled = msgspec.json.Decoder(_Titled).decode


def put_header(connection: Connection, n: int, header: Conversation) -> None:
    """Write a conversation's row, and its title into the index if that changed."""
    before = connection.execute(sql.HEADER_BY_NUMBER, (n,)).get
    connection.execute(
        sql.PUT_HEADER,
        (
            n,
            header.id,
            header.owner,
            micros(header.updated_at),
            header.archived,
            header.pinned,
            header.folder,
            header.deleted_at is not None,
            body_of(header),
        ),
    )
    if header.deleted_at is not None:
        connection.execute(END_SHARES, (n,))
    if before is None or _decode_titled(before).title != header.title:
        connection.execute(sql.DROP_TITLE, (n,))
        if header.title:
            connection.execute(sql.ADD_TITLE, (n, owner_word(header.owner), separated(header.title)))


def put_messages(connection: Connection, n: int, owner: str, messages: Iterable[Message]) -> None:
    """Write messages of conversation ``n``; one that was removed stays so. Raises ``ValueError`` for another's message."""
    for message in messages:
        body = body_of(message)
        row = connection.execute(sql.ADD_MESSAGE, (message.id, n, message.parent, body)).get
        if row is None:
            row = _set_message(connection, n, message, body)
        if row is not None:
            _index(connection, n, row, owner, message)


def _set_message(connection: Connection, n: int, message: Message, body: str) -> int | None:
    """Write a message anew; returns its number, unless it was removed."""
    row, conversation, removed = connection.execute(sql.FIND_MESSAGE, (message.id,)).fetchone()
    if conversation != n:
        raise ValueError(f"message {message.id!r} is of another conversation")
    if removed == WAITS:
        connection.execute(sql.DROP_WAITING, (row,))
        return int(connection.execute(sql.ADD_MESSAGE, (message.id, n, message.parent, body)).get)
    if removed:
        return None
    connection.execute(sql.SET_MESSAGE, (message.parent, body, row))
    connection.execute(sql.DROP_TEXT, (row,))
    return int(row)


def add_waiting(connection: Connection, n: int, messages: Iterable[str]) -> None:
    """Keep ids for messages of conversation ``n`` that wait. Raises ``ValueError`` for one that another message has."""
    for message in messages:
        if connection.execute(sql.ADD_WAITING, (message, n)).get is None:
            raise ValueError(f"message {message!r} is there already")


def _index(connection: Connection, n: int, row: int, owner: str, message: Message) -> None:
    put_mentions(connection, n, row, message)
    if message.location is not None:
        connection.execute(PUT_PLACE, (row, n, message.location.lat, message.location.lon))
    text = text_of(message.parts) if message.role in ("user", "assistant") else ""
    if text:
        connection.execute(sql.ADD_TEXT, (row, message_facts(owner, message), separated(text)))


def remove_messages(connection: Connection, n: int, root: str) -> None:
    """Take a message and all below it out of every read."""
    for (row,) in connection.execute(sql.REMOVE, (n, root)).fetchall():
        connection.execute(sql.DROP_TEXT, (row,))


def add_done(connection: Connection, n: int, done: Done) -> None:
    """Keep a receipt. Raises ``apsw.ConstraintError`` for a command that has one."""
    connection.execute(sql.ADD_RECEIPT, (n, done.command, done.digest, body_of(done.receipt)))
