"""The writes besides ``append``: each a function of the writer's connection, within a transaction."""

from __future__ import annotations

from datetime import datetime

import msgspec

from trialogue import Claim, ConflictError, Conversation, Done, Entry, Session, StorageError, User
from trialogue_sqlite import _sql as sql
from trialogue_sqlite._driver import Connection
from trialogue_sqlite._reads import read_receipt
from trialogue_sqlite._rows import add_done, body_of, decode_header, micros, put_header


def create(connection: Connection, header: Conversation, node: str, entry: Entry, done: Done) -> Done:
    """A new conversation, or what made the one that is there."""
    n = connection.execute(sql.ADD_LOG, (header.id, node, entry.seq + 1)).get
    if n is None:
        first = read_receipt(connection, header.id, header.id)
        if first is None:
            raise StorageError(f"conversation {header.id!r} has no record of its creation: restore a backup")
        return first
    connection.execute(sql.ADD_ENTRY, (n, entry.seq, entry.epoch, entry.type, entry.data))
    put_header(connection, n, header)
    add_done(connection, n, done)
    return done


def claim(connection: Connection, conversation: str, node: str) -> Claim | None:
    """Raise the epoch for ``node``, and say what it starts from."""
    row = connection.execute(sql.CLAIM, (node, conversation)).fetchone()
    if row is None:
        return None
    n, epoch, next_seq, flush = row
    header = decode_header(connection.execute(sql.HEADER_BY_NUMBER, (n,)).get)
    snapshot, snapshot_seq = connection.execute(sql.SNAPSHOT, (n,)).fetchone() or (None, 0)
    return Claim(epoch, next_seq, flush, header, snapshot, snapshot_seq)


def prune(connection: Connection, conversation: str, before: int) -> bool:
    """Drop the deltas of one conversation, if it still is finished and old."""
    n = connection.execute(sql.RAISE_FLOOR, (conversation, before)).get
    if n is not None:
        connection.execute(sql.DROP_PARTS, (n,))
    return n is not None


def purge(connection: Connection, conversation: str) -> None:
    """Delete every row of a conversation."""
    n = connection.execute(sql.NUMBER, (conversation,)).get
    for statement in sql.PURGE if n is not None else ():
        connection.execute(statement, (n,))


def add_user(connection: Connection, user: User, secret_hash: str) -> User:
    """An account; the first of all is administrator."""
    if connection.execute(sql.EMAIL_TAKEN, (user.email,)).get:
        raise ConflictError(f"{user.email!r} has an account already: log in with it", pointer="/email")
    if not connection.execute(sql.ANY_ACCOUNT).get:
        user = msgspec.structs.replace(user, role="admin")
    connection.execute(sql.ADD_ACCOUNT, (user.id, user.email, secret_hash, body_of(user)))
    return user


def add_session(connection: Connection, session: Session, now: int) -> None:
    """A session; those that have expired go, so that the table does not grow."""
    connection.execute(sql.DROP_EXPIRED, (now,))
    values = (session.id, session.token_hash, session.user, micros(session.expires_at), body_of(session))
    connection.execute(sql.PUT_SESSION, values)


def touch_session(connection: Connection, session: str, seen_at: datetime, expires_at: datetime) -> None:
    """Keep a session alive that is there."""
    body = connection.execute(sql.SESSION_BODY, (session,)).get
    if body is not None:
        kept = msgspec.json.decode(body, type=Session)
        kept = msgspec.structs.replace(kept, seen_at=seen_at, expires_at=expires_at)
        connection.execute(sql.TOUCH_SESSION, (micros(kept.expires_at), body_of(kept), session))
