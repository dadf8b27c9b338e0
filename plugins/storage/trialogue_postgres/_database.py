"""Statements and transactions, on connections that are lent for as long as they take.

One connection is kept for appends, so that no list and no search ever holds up an answer; the others are for everything
else. What can be repeated is repeated here: transactions that were in each other's way, reads whose connection was lost.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias, TypeVar

import psycopg
import trio
from psycopg import AsyncCursor

from trialogue_postgres._connection import Silence, TrioConnection
from trialogue_postgres._errors import IN_EACH_OTHERS_WAY, READ_ONLY, is_lost, storage_error, words_of
from trialogue_postgres._pool import Pool
from trialogue_postgres._url import Address

T = TypeVar("T")

#: The values of a statement, by name.
Values: TypeAlias = Mapping[str, object]
#: A row, as its statement says.
Row: TypeAlias = tuple[Any, ...]  # Any: columns are of the types their statements ask for.
#: What is done on a connection.
Work: TypeAlias = Callable[[TrioConnection], Awaitable[T]]

#: Attempts at a transaction, and at a read.
ATTEMPTS = 5
#: Seconds that an append may take to be answered: everybody waits for it, and it is repeated as it was.
APPENDING = 15.0
#: Seconds between two looks at connections that nobody needs any more.
TIDY = 60.0

_log = logging.getLogger("trialogue.postgres")


class Database:
    """One database, and what was done in it."""

    def __init__(self, address: Address) -> None:
        # Its statements are few and always the same: they are planned once.
        self._appending = Pool(address.with_setting("plan_cache_mode", "force_generic_plan"), 1, APPENDING)
        self._pool = Pool(address.conninfo, address.connections - 1)
        self._tidied_at = trio.current_time()
        self.commits = self.jobs = 0

    def __repr__(self) -> str:
        return f"<Database commits={self.commits} appending={self._appending!r} others={self._pool!r}>"

    @property
    def waiting(self) -> int:
        """Calls that wait for a connection."""
        return self._pool.statistics().waiting + self._appending.statistics().waiting

    def connections(self) -> tuple[int, int]:
        """How many are open, and how many of them are idle."""
        found = (self._pool.statistics(), self._appending.statistics())
        return sum(one.size for one in found), sum(one.idle for one in found)

    async def read(self, statement: str, values: Values | None = None, *, planned: bool = True) -> list[Row]:
        """All rows of one statement; not ``planned``, it is planned anew, for these values. Raises ``StorageError``."""

        async def work(connection: TrioConnection) -> list[Row]:
            if planned:
                return await rows(connection, statement, values)
            cursor = await connection.execute(statement.encode(), values, prepare=False, binary=True)
            return await cursor.fetchall()

        return await self._attempt(self._pool, work, reads=True)

    async def first(self, statement: str, values: Values | None = None) -> Row | None:
        """The first row of one statement. Raises ``StorageError``."""
        return next(iter(await self.read(statement, values)), None)

    async def write(self, work: Work[T]) -> T:
        """Do ``work`` in one transaction. Raises ``StorageError``, ``RefusedError`` and what ``work`` raises."""

        async def transact(connection: TrioConnection) -> T:
            async with connection.transaction():
                return await work(connection)

        return await self._commit(self._pool, transact)

    async def execute(self, statement: str, values: Values | None = None) -> list[Row]:
        """One statement that writes and is a transaction of its own. Raises as ``write`` does."""
        return await self._commit(self._pool, lambda connection: rows(connection, statement, values))

    async def commit(self, work: Work[T]) -> T:
        """Do ``work``, which sees to its transactions itself. Raises as ``write`` does."""
        return await self._commit(self._pool, work)

    async def append(self, work: Work[T]) -> T:
        """As ``commit``, on the connection that is kept for it."""
        return await self._commit(self._appending, work)

    async def _commit(self, pool: Pool, work: Work[T]) -> T:
        self.jobs += 1
        done = await self._attempt(pool, work)
        self.commits += 1
        return done

    async def _attempt(self, pool: Pool, work: Work[T], *, reads: bool = False) -> T:
        self._tidy()
        left = ATTEMPTS
        while True:
            left -= 1
            try:
                async with pool.lend() as connection:
                    return await work(connection)
            except psycopg.Error as error:
                if error.sqlstate == READ_ONLY or isinstance(error, Silence):
                    # The next connection may lead to the server that has taken over, and the others to nobody either.
                    self.invalidate()
                again = error.sqlstate in IN_EACH_OTHERS_WAY or (reads and is_lost(error))
                if not (again and left):
                    raise storage_error(error) from error
                _log.debug("again, after: %s", words_of(error))

    async def nothing(self) -> None:
        """A call that needs no connection: a checkpoint, as every call is."""
        await trio.lowlevel.checkpoint()

    def examine(self, look: Work[object]) -> None:
        """Have each connection that is opened from now on looked at before anything is done on it."""
        self._pool.examine = self._appending.examine = look

    def invalidate(self) -> None:
        """Use no connection that is open now for anything new."""
        self._pool.invalidate()
        self._appending.invalidate()

    def _tidy(self) -> None:
        if trio.current_time() > self._tidied_at + TIDY:
            self._tidied_at = trio.current_time()
            self._pool.tidy()

    def close(self) -> None:
        """Begin nothing new; what is under way is done."""
        self._pool.close()
        self._appending.close()


async def send(connection: TrioConnection, statement: str, values: Values | None = None) -> AsyncCursor[Row]:
    """Have a statement of ours done; in a pipeline, without waiting for it."""
    # As bytes: psycopg takes text only where a type checker sees it written out.
    return await connection.execute(statement.encode(), values, binary=True)


async def rows(connection: TrioConnection, statement: str, values: Values | None = None) -> list[Row]:
    """All rows of a statement; none for one that gives none."""
    cursor = await send(connection, statement, values)
    return await cursor.fetchall() if cursor.description else []


async def first_row(connection: TrioConnection, statement: str, values: Values | None = None) -> Row | None:
    """The first row of a statement."""
    return next(iter(await rows(connection, statement, values)), None)
