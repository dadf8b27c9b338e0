"""Append: what every delta of every answer goes through.

One statement for all flushes of a call: the update that is the fence, and the entries of those that passed. If none of them
brings rows, as nearly always, that statement is the whole transaction. Otherwise the rows follow in the same transaction, a
statement for each table, sent together: two round trips for any number of flushes.

PostgreSQL gives up a whole statement for one row that it refuses. When that happens, which nobody sane brings about, all are
appended again one by one, so that the one it was about is found and nothing is lost of the others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import trio

from trialogue import Flush, Message, Verdict, text_of
from trialogue_postgres import _sql as sql
from trialogue_postgres._connection import TrioConnection
from trialogue_postgres._database import Database, Row, rows, send
from trialogue_postgres._errors import RefusedError
from trialogue_postgres._rows import Rows, words_of

_log = logging.getLogger("trialogue.postgres")

#: Characters of messages that are made ready for the index in the loop; more in a thread.
LITTLE = 5_000


async def append(database: Database, flushes: Sequence[Flush], generation: Callable[[], int]) -> list[Verdict]:
    """Commit the flushes; one verdict each, in order.

    ``generation`` is asked once there is a connection, because it is a new one that may lead to another generation.
    """
    # In the order of ids, so that nodes that disagree about who owns what seldom wait for each other in a circle.
    sound = sorted(filter(_is_sound, flushes), key=lambda flush: flush.conversation)
    if not sound:
        await trio.lowlevel.checkpoint()
        return ["fenced"] * len(flushes)
    words = await words_by_message([message for flush in sound for message in flush.messages])
    try:
        happened = await _together(database, sound, words, generation)
    except RefusedError:
        happened = set[str]().union(*[await _alone(database, flush, words, generation) for flush in sound])
    return ["committed" if flush.conversation in happened else "fenced" for flush in flushes]


async def words_by_message(messages: Sequence[Message]) -> dict[str, str]:
    """What is found of each message, by id."""
    if not messages:
        return {}
    if sum(len(text_of(message.parts)) for message in messages) <= LITTLE:
        return _words(messages)
    return await trio.to_thread.run_sync(_words, messages, abandon_on_cancel=True)


def _words(messages: Sequence[Message]) -> dict[str, str]:
    return {message.id: words_of(message) for message in messages}


async def _alone(database: Database, flush: Flush, words: dict[str, str], generation: Callable[[], int]) -> set[str]:
    try:
        return await _together(database, [flush], words, generation)
    except RefusedError as error:
        _say_refused(flush, error)
        return set()


async def _together(
    database: Database, flushes: Sequence[Flush], words: dict[str, str], generation: Callable[[], int]
) -> set[str]:
    """Append in one transaction; returns the conversations whose flush happened, now or before."""

    async def work(connection: TrioConnection) -> set[str]:
        now = generation()
        present = [flush for flush in flushes if flush.is_of(now)]
        return await _append(connection, present, words) if present else set()

    return await database.append(work)


async def _append(connection: TrioConnection, flushes: Sequence[Flush], words: dict[str, str]) -> set[str]:
    passed: list[Row]
    if all(map(_is_plain, flushes)):
        passed = await rows(connection, sql.APPEND, _values(flushes))
    else:
        passed = await _with_rows(connection, flushes, words)
    happened: set[str] = {flushes[int(place)].conversation for place, *_ in passed}
    if len(happened) < len(flushes):
        happened |= await _happened_before(connection, flushes)
    return happened


async def _with_rows(connection: TrioConnection, flushes: Sequence[Flush], words: dict[str, str]) -> list[Row]:
    async with connection.pipeline(), connection.transaction():
        cursor = await send(connection, sql.APPEND, _values(flushes))
        passed: list[Row] = await cursor.fetchall()
        more = Rows(words)
        for place, n, next_seq in passed:
            more.add_flush(n, next_seq, flushes[int(place)])
        await more.write(connection)
    return passed


async def _happened_before(connection: TrioConnection, flushes: Sequence[Flush]) -> set[str]:
    return {flushes[int(place)].conversation for (place,) in await rows(connection, sql.HAPPENED, _fences(flushes))}


def _is_plain(flush: Flush) -> bool:
    """Whether it has no rows."""
    return (
        flush.header is None
        and flush.snapshot is None
        and not (flush.messages or flush.removed or flush.waiting or flush.done or flush.charges)
    )


def _is_sound(flush: Flush) -> bool:
    """Whether the entries are numbered without a hole, all of the flush's epoch."""
    entries, epoch = flush.entries, flush.epoch
    seq = entries[0].seq if entries else 0
    for entry in entries:
        if entry.seq != seq or entry.epoch != epoch:
            _say_refused(flush, "its entries are not numbered without a hole, or not of its epoch")
            return False
        seq += 1
    return True


def _say_refused(flush: Flush, why: object) -> None:
    _log.error("refused a flush of conversation %s that contradicts what is stored: %s", flush.conversation, why)


def _fences(flushes: Sequence[Flush]) -> dict[str, list[int] | list[str]]:
    return {
        "places": list(range(len(flushes))),
        "ids": [flush.conversation for flush in flushes],
        "nodes": [flush.node for flush in flushes],
        "epochs": [flush.epoch for flush in flushes],
        "numbers": [flush.number for flush in flushes],
    }


def _first(flush: Flush) -> int:
    """The next sequence number that the row must have; -1 for any."""
    if flush.entries:
        return flush.entries[0].seq
    return -1 if flush.next_seq is None else flush.next_seq


def _values(flushes: Sequence[Flush]) -> dict[str, list[int] | list[str] | list[bytes]]:
    entries = [(place, entry) for place, flush in enumerate(flushes) for entry in flush.entries]
    return {
        **_fences(flushes),
        "firsts": [_first(flush) for flush in flushes],
        "counts": [len(flush.entries) for flush in flushes],
        "unfinished": [-1 if flush.unfinished is None else int(flush.unfinished) for flush in flushes],
        "entry_places": [place for place, _ in entries],
        "seqs": [entry.seq for _, entry in entries],
        "types": [entry.type for _, entry in entries],
        "datas": [entry.data for _, entry in entries],
    }
