"""Append: what every delta of every answer goes through.

A flush of entries alone, which is nearly every one, goes through the door (``_sql.APPEND``) with all others of its kind in a
single statement. When no other job waits that statement is the whole transaction: one call into SQLite parses, checks,
writes and syncs while the interpreter is free. A flush with rows to write is done statement by statement, under a savepoint
if there are others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import msgspec

from trialogue import Flush, Verdict
from trialogue_sqlite import _sql as sql
from trialogue_sqlite._driver import Connection
from trialogue_sqlite._errors import REFUSED
from trialogue_sqlite._ledger import put_charges
from trialogue_sqlite._rows import add_done, add_entries, add_waiting, put_header, put_messages, remove_messages

_encode = msgspec.json.Encoder().encode
_log = logging.getLogger("trialogue.sqlite")


def open_door(connection: Connection) -> None:
    """Prepare a connection that is to append."""
    for statement in sql.DOOR:
        connection.execute(statement)


def is_plain(flush: Flush) -> bool:
    """Whether it consists of entries, and in the right order."""
    return (
        flush.header is None
        and flush.snapshot is None
        and flush.unfinished is None
        and not (flush.messages or flush.removed or flush.waiting or flush.done or flush.charges)
        and bool(flush.entries)
        and is_contiguous(flush)
    )


def is_contiguous(flush: Flush) -> bool:
    """Whether the entries are numbered without a hole, all of the flush's epoch."""
    entries, epoch = flush.entries, flush.epoch
    seq = entries[0].seq if entries else 0
    for entry in entries:
        if entry.seq != seq or entry.epoch != epoch:
            return False
        seq += 1
    return True


class Append:
    """One call of ``Store.append``, as a job. ``alone`` is set when it needs no transaction but its own."""

    def __init__(self, flushes: Sequence[Flush], generation: int) -> None:
        self._flushes = flushes
        self._plain: list[Flush] = []
        self._rich: list[Flush] = []
        for flush in flushes:
            if flush.is_of(generation):
                (self._plain if is_plain(flush) else self._rich).append(flush)
        try:
            self._rows = door_rows(self._plain)
        except UnicodeDecodeError:
            # No event looks like that. Statement by statement the bytes are kept as they are.
            self._plain, self._rich, self._rows = [], self._plain + self._rich, "[]"
        #: Entries that this call added to the log, once it ran.
        self.entries = 0
        self.alone: Callable[[Connection], list[Verdict]] | None = None
        if len(self._plain) == len(flushes):
            self.alone = self._through_the_door
        elif len(self._rich) == len(flushes) == 1:
            self.alone = self._rich_alone

    def __call__(self, connection: Connection) -> list[Verdict]:
        """Append within a transaction; one verdict per flush, in their order."""
        found: dict[str, Verdict] = {}
        for flush, verdict in zip(self._plain, self._through_the_door(connection), strict=True):
            found[flush.conversation] = verdict
        for flush in self._rich:
            found[flush.conversation] = self._append_rich(connection, flush)
        return [found.get(flush.conversation, "fenced") for flush in self._flushes]

    def _through_the_door(self, connection: Connection) -> list[Verdict]:
        if not self._plain:
            return []
        before = connection.total_changes()
        connection.execute(sql.APPEND, (self._rows,))
        # Two changes for each entry that was appended: the fence's row, and the entry.
        appended = (connection.total_changes() - before) // 2
        self.entries += appended
        if appended == sum(len(flush.entries) for flush in self._plain):
            return ["committed"] * len(self._plain)
        return [_look(connection, flush) for flush in self._plain]

    def _rich_alone(self, connection: Connection) -> list[Verdict]:
        connection.execute("BEGIN IMMEDIATE")
        verdict = self._try(connection, self._rich[0], undo="ROLLBACK")
        if connection.in_transaction:
            connection.execute("COMMIT")
        return [verdict]

    def _append_rich(self, connection: Connection, flush: Flush) -> Verdict:
        connection.execute("SAVEPOINT flush")
        verdict = self._try(connection, flush, undo="ROLLBACK TO flush")
        connection.execute("RELEASE flush")
        return verdict

    def _try(self, connection: Connection, flush: Flush, undo: str) -> Verdict:
        try:
            if not _append_one(connection, flush):
                return _look(connection, flush)
        except REFUSED as error:
            _log.exception(
                "refused a flush of conversation %s that contradicts what is stored: %s", flush.conversation, error
            )
            connection.execute(undo)
            return "fenced"
        self.entries += len(flush.entries)
        return "committed"


def door_rows(flushes: Sequence[Flush]) -> str:
    """The flushes as rows of the door: JSON, which crosses into SQLite in one piece."""
    rows: list[tuple[str, str, int, int, int, int, int, str, str]] = []
    for flush in flushes:
        number, last = flush.number, flush.entries[-1].seq
        low, high = 0, number - 1
        for entry in flush.entries:
            mark = number if entry.seq == last else -number
            rows.append(
                (
                    flush.conversation,
                    flush.node,
                    flush.epoch,
                    low,
                    high,
                    mark,
                    entry.seq,
                    entry.type,
                    entry.data.decode(),
                )
            )
            low = high = -number
    return _encode(rows).decode()


def _look(connection: Connection, flush: Flush) -> Verdict:
    """Whether the flush happened, now or by an earlier attempt: the row says so, as only its owner sends higher numbers."""
    values = (flush.conversation, flush.node, flush.epoch, flush.number)
    return "committed" if connection.execute(sql.HAPPENED, values).get else "fenced"


def _append_one(connection: Connection, flush: Flush) -> bool:
    """Write the flush, if its fence stands."""
    if not is_contiguous(flush):
        raise ValueError("its entries are not numbered without a hole, or not of its epoch")
    first = flush.entries[0].seq if flush.entries else flush.next_seq
    fence = (len(flush.entries), flush.number, flush.unfinished)
    owner = (flush.conversation, flush.node, flush.epoch, first, flush.number)
    row = connection.execute(sql.FENCE, fence + owner).fetchone()
    if row is not None:
        _write_rows(connection, flush, *row)
    return row is not None


def _write_rows(connection: Connection, flush: Flush, n: int, next_seq: int) -> None:
    add_entries(connection, n, flush.entries)
    if flush.header is not None:
        put_header(connection, n, flush.header)
    if flush.snapshot is not None:
        connection.execute(sql.PUT_SNAPSHOT, (n, next_seq, flush.snapshot))
    # Before the messages: one may come in the same flush in which it began to wait.
    add_waiting(connection, n, flush.waiting)
    if flush.messages:
        owner = flush.header.owner if flush.header is not None else connection.execute(sql.OWNER, (n,)).get
        put_messages(connection, n, owner, flush.messages)
    for root in flush.removed:
        remove_messages(connection, n, root)
    for done in flush.done:
        add_done(connection, n, done)
    put_charges(connection, flush.charges)
