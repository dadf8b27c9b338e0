"""The writes besides ``append``: each a function of the writer's connection, within a transaction."""

from __future__ import annotations

from trialogue import Claim, Conversation, Done, Entry, StorageError
from trialogue_sqlite import _sql as sql
from trialogue_sqlite._driver import Connection
from trialogue_sqlite._history import Rows, add_history
from trialogue_sqlite._ledger import close_charges
from trialogue_sqlite._mentions import purge_mentions
from trialogue_sqlite._reads import read_receipt
from trialogue_sqlite._rows import add_done, decode_header, put_header


def create(
    connection: Connection, header: Conversation, node: str, entry: Entry, done: Done, rows: Rows | None = None
) -> Done:
    """A new conversation, or what made the one that is there. Raises ``ConflictError``."""
    next_seq = entry.seq + 1 + (len(rows.entries) if rows else 0)
    n = connection.execute(sql.ADD_LOG, (header.id, node, next_seq)).get
    if n is None:
        first = read_receipt(connection, header.id, header.id)
        if first is None:
            raise StorageError(f"conversation {header.id!r} has no record of its creation: restore a backup")
        return first
    connection.execute(sql.ADD_ENTRY, (n, entry.seq, entry.epoch, entry.type, entry.data))
    put_header(connection, n, header)
    add_done(connection, n, done)
    if rows is not None:
        add_history(connection, n, next_seq, rows)
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


def purge(connection: Connection, conversation: str, before: int | None = None) -> bool:
    """Delete every row of a conversation, unless it is to have been in the trash since ``before`` and was not."""
    n = connection.execute(sql.NUMBER, (conversation,)).get
    if n is None or (before is not None and not connection.execute(sql.IS_TRASH, (n, before)).get):
        return False
    purge_mentions(connection, n)
    close_charges(connection, conversation)
    for statement in sql.PURGE:
        connection.execute(statement, (n,))
    return True
