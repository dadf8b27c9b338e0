"""The writes besides ``append``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from trialogue import Claim, ConflictError, Conversation, Done, Entry, History, StorageError
from trialogue_postgres import _sql as sql
from trialogue_postgres._charges import close_charges
from trialogue_postgres._connection import TrioConnection
from trialogue_postgres._database import Database, first_row, rows, send
from trialogue_postgres._errors import RefusedError
from trialogue_postgres._reads import read_receipt
from trialogue_postgres._rows import Rows, decode_header

#: Codes of a message that is another conversation's: its row would have none.
_TAKEN = frozenset({"23502", "23505"})


async def create(
    database: Database,
    header: Conversation,
    node: str,
    entry: Entry,
    done: Done,
    history: History | None,
    words: Mapping[str, str],
) -> Done:
    """A new conversation, or what made the one that is there. Raises ``ConflictError``."""
    entries = (entry, *(history.entries if history else ()))

    async def work(connection: TrioConnection) -> bool:
        async with connection.pipeline(), connection.transaction():
            values = {"id": header.id, "node": node, "next_seq": entry.seq + len(entries)}
            made = await (await send(connection, sql.ADD_LOG, values)).fetchone()
            if made is not None:
                await _rows_of(made[0], header, entries, done, history, words).write(connection)
        return made is not None

    try:
        if await database.commit(work):
            return done
    except RefusedError as error:
        if history is not None and error.state in _TAKEN:
            raise ConflictError("a message of it has the id of another message: choose new ids") from error
        raise
    first = await read_receipt(database, header.id, header.id)
    if first is None:
        raise StorageError(
            f"conversation {header.id!r} was removed while it was made, or has no record of its creation: try again",
            retry_after=1,
        )
    return first


def _rows_of(
    n: int,
    header: Conversation,
    entries: tuple[Entry, ...],
    done: Done,
    history: History | None,
    words: Mapping[str, str],
) -> Rows:
    more = Rows(words)
    more.add_entries(n, entries)
    more.add_header(n, header)
    more.add_done(n, done)
    if history is not None:
        more.add_snapshot(n, entries[-1].seq + 1, history.snapshot)
        more.add_messages(n, history.messages)
    return more


async def claim(database: Database, conversation: str, node: str) -> Claim | None:
    """Raise the epoch for ``node``, and say what it starts from."""

    async def work(connection: TrioConnection) -> Claim | None:
        async with connection.pipeline(), connection.transaction():
            await send(connection, sql.CLAIM, {"id": conversation, "node": node})
            # A statement of its own: it sees what was committed while the first one waited.
            cursor = await send(connection, sql.CLAIMED, {"id": conversation})
            row = await cursor.fetchone()
        if row is None:
            return None
        epoch, next_seq, flush, body, state, seq = row
        return Claim(epoch, next_seq, flush, decode_header(body), state, seq)

    return await database.commit(work)


async def prune(database: Database, before: datetime, limit: int) -> int:
    """Drop the deltas of finished conversations, each in a short transaction of its own."""
    pruned = 0
    for (name,) in await database.read(sql.RIPE, {"before": before, "limit": max(limit, 0)}):
        pruned += await prune_one(database, {"id": name, "before": before})
    return pruned


async def prune_one(database: Database, values: Mapping[str, object]) -> bool:
    """Drop the deltas of one of them, if it still is finished and old, and nobody else does."""

    async def work(connection: TrioConnection) -> bool:
        async with connection.pipeline(), connection.transaction():
            raised = await send(connection, sql.RAISE_FLOOR, values)
            for statement in sql.PRUNE:
                await send(connection, statement, {"id": values["id"]})
            return await raised.fetchone() is not None

    return await database.commit(work)


async def purge(database: Database, conversation: str, before: datetime | None) -> bool:
    """Delete every row of a conversation, unless it is to have been in the trash since ``before`` and was not."""

    async def work(connection: TrioConnection) -> bool:
        found = await first_row(connection, sql.LOCK, {"id": conversation})
        if found is None:
            return False
        (n,) = found
        if before is not None and not await rows(connection, sql.IS_TRASH, {"n": n, "before": before}):
            return False
        await close_charges(connection, conversation)
        async with connection.pipeline():
            for statement in sql.PURGE:
                await send(connection, statement, {"n": n})
        return True

    return await database.write(work)
