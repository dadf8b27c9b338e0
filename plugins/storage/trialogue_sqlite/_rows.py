"""Rows that follow from a flush: a header, messages, receipts, and their texts in the index. Part of its transaction."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import msgspec

from trialogue import Conversation, Done, Message, Receipt, text_of
from trialogue_sqlite import _sql as sql
from trialogue_sqlite._driver import Connection
from trialogue_sqlite._facts import message_facts, owner_word
from trialogue_sqlite._mentions import put_mentions
from trialogue_sqlite._search_sql import PUT_PLACE
from trialogue_sqlite._sharing_sql import END_SHARES
from trialogue_sqlite._text import indexed

_encode = msgspec.json.Encoder().encode
_START = datetime(1970, 1, 1, tzinfo=UTC)

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
    if before is None or decode_header(before).title != header.title:
        connection.execute(sql.DROP_TITLE, (n,))
        if header.title:
            connection.execute(sql.ADD_TITLE, (n, owner_word(header.owner), indexed(header.title)))


def put_messages(connection: Connection, n: int, messages: Iterable[Message]) -> None:
    """Write messages of conversation ``n``; one that was removed stays so. Raises ``ValueError`` for another's message."""
    for message in messages:
        found = connection.execute(sql.FIND_MESSAGE, (message.id,)).fetchone()
        if found is None:
            values = (message.id, n, message.parent, body_of(message))
            _index(connection, n, connection.execute(sql.ADD_MESSAGE, values).get, message)
        elif found[1] != n:
            raise ValueError(f"message {message.id!r} is of another conversation")
        elif not found[2]:
            connection.execute(sql.SET_MESSAGE, (message.parent, body_of(message), found[0]))
            connection.execute(sql.DROP_TEXT, (found[0],))
            _index(connection, n, found[0], message)


def _index(connection: Connection, n: int, row: int, message: Message) -> None:
    put_mentions(connection, n, row, message)
    if message.location is not None:
        connection.execute(PUT_PLACE, (row, n, message.location.lat, message.location.lon))
    text = text_of(message.parts) if message.role in ("user", "assistant") else ""
    if text:
        owner = connection.execute(sql.OWNER, (n,)).get
        connection.execute(sql.ADD_TEXT, (row, message_facts(owner, message), indexed(text)))


def remove_messages(connection: Connection, n: int, root: str) -> None:
    """Take a message and all below it out of every read."""
    for (row,) in connection.execute(sql.REMOVE, (n, root)).fetchall():
        connection.execute(sql.DROP_TEXT, (row,))


def add_done(connection: Connection, n: int, done: Done) -> None:
    """Keep a receipt. Raises ``apsw.ConstraintError`` for a command that has one."""
    connection.execute(sql.ADD_RECEIPT, (n, done.command, done.digest, body_of(done.receipt)))
