"""Connections, lent for the length of a block. Who needs one when none is idle opens it, within the bound.

    take: an idle connection that is still alive, else a new one
    give back: rolled back if need be; closed when it is not clean, too old, or of before the last ``invalidate``

A connection that was lent is always given back, whatever cancels whom: between getting the leave for one and owning it
nothing is awaited.
"""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import msgspec
import psycopg
import trio
from psycopg.pq import TransactionStatus

from trialogue import StorageError
from trialogue_postgres._connection import TrioConnection, open_connection
from trialogue_postgres._drive import is_readable

log = logging.getLogger("trialogue.postgres")

#: Seconds a caller waits for a connection, opening it included.
PATIENCE = 10.0
#: Seconds after which an idle connection is asked whether it is there, and after which one is closed for its age.
ASK_AFTER, OLDEST = 30.0, 1800.0
#: Seconds for rolling back what a caller left behind.
TIDY = 2.0
#: SQLSTATEs that no second attempt mends: wrong password, wrong user, no such database.
HOPELESS = frozenset({"28P01", "28000", "3D000"})


class PoolTimeout(StorageError):
    """No connection became free, or none could be opened, in time."""


class PoolStatistics(msgspec.Struct, frozen=True):
    """What a pool has, and what it has done since it was opened."""

    size: int
    idle: int
    waiting: int
    opened: int
    #: Closed because they were dead, dirty or old.
    discarded: int


class _Member:
    """A connection and what the pool knows of it."""

    __slots__ = ("connection", "expires_at", "generation", "used_at")

    def __init__(self, connection: TrioConnection, generation: int) -> None:
        self.connection = connection
        self.generation = generation
        self.used_at = trio.current_time()
        # With jitter, so that those opened together do not all go together.
        self.expires_at = self.used_at + OLDEST * random.uniform(0.8, 1.0)


class Pool:
    """At most ``most`` connections to one server; their answers may take ``silence`` seconds, if not as long as any."""

    def __init__(self, conninfo: str, most: int, silence: float | None = None) -> None:
        self._conninfo = conninfo
        self.most = most
        self._silence = silence
        #: Has a look at each connection before it is lent for the first time.
        self.examine: Callable[[TrioConnection], Awaitable[object]] | None = None
        self._leave = trio.Semaphore(most)
        #: The one used last is lent first: those that are not needed grow old.
        self._idle: list[_Member] = []
        self._generation = 0
        self._size = self._opened = self._discarded = 0
        #: Why the last attempt to open one failed, until one succeeds.
        self._refusal = ""
        self.closed = False

    def __repr__(self) -> str:
        return f"<Pool {self.statistics()}>"

    @asynccontextmanager
    async def lend(self, patience: float | None = None) -> AsyncGenerator[TrioConnection]:
        """A connection in autocommit mode, for the block; waited for ``PATIENCE`` seconds unless told otherwise.

        Raises ``PoolTimeout``, and ``StorageError`` when the server refuses us for a reason that time does not mend.
        """
        member = await self._take(PATIENCE if patience is None else patience)
        try:
            yield member.connection
        finally:
            await self._give_back(member)

    def invalidate(self) -> None:
        """Let no connection that is open now be lent again: the server may not be what it was."""
        self._generation += 1
        while self._idle:
            self._drop(self._idle.pop())

    def tidy(self) -> None:
        """Close what has been idle for long; to be called now and then."""
        horizon = trio.current_time() - OLDEST / 6
        for member in [member for member in self._idle if member.used_at < horizon]:
            self._idle.remove(member)
            self._drop(member)

    def close(self) -> None:
        """Lend nothing any more. What is lent is closed when it comes back."""
        self.closed = True
        self.invalidate()

    def statistics(self) -> PoolStatistics:
        """Figures for whoever looks."""
        waiting = self._leave.statistics().tasks_waiting
        return PoolStatistics(self._size, len(self._idle), waiting, self._opened, self._discarded)

    # --- taking ------------------------------------------------------------------------------------------------------

    async def _take(self, patience: float) -> _Member:
        try:
            with trio.fail_after(patience):
                await self._leave.acquire()
                try:
                    return await self._idle_or_new()
                except BaseException:
                    self._leave.release()
                    raise
        except trio.TooSlowError as error:
            why = (
                f"the last attempt: {self._refusal}" if self._refusal else "is it up, and are there enough connections?"
            )
            raise PoolTimeout(
                f"no connection to PostgreSQL within {patience:g} seconds ({self.statistics()}): {why}"
            ) from error

    async def _idle_or_new(self) -> _Member:
        if self.closed:
            raise StorageError("the pool is closed")
        while self._idle:
            member = self._idle.pop()
            if await self._is_alive(member):
                return member
        return await self._open()

    async def _is_alive(self, member: _Member) -> bool:
        now, connection = trio.current_time(), member.connection
        if connection.closed or now > member.expires_at or is_readable(connection.pgconn.socket):
            self._drop(member)
            return False
        if now - member.used_at < ASK_AFTER:
            return True
        try:
            await connection.execute("SELECT 1")
        except psycopg.Error:
            self._drop(member)
            return False
        except BaseException:
            self._drop(member)
            raise
        return True

    async def _open(self) -> _Member:
        wait = 0.05
        while True:
            generation = self._generation
            try:
                connection = await self._examined(await open_connection(self._conninfo))
            except psycopg.Error as error:
                if (
                    error.sqlstate in HOPELESS
                    or "does not exist" in str(error)
                    or "authentication failed" in str(error)
                ):
                    raise StorageError(f"PostgreSQL does not let us in: {_one_line(error)}") from error
                self._refusal = _one_line(error)
                log.warning("no connection to PostgreSQL, trying again: %s", self._refusal)
                await trio.sleep(wait * random.uniform(0.5, 1.0))
                wait = min(2 * wait, 1.0)
            else:
                if self._silence is not None:
                    connection.patience = self._silence
                self._refusal = ""
                self._size += 1
                self._opened += 1
                return _Member(connection, generation)

    async def _examined(self, connection: TrioConnection) -> TrioConnection:
        try:
            if self.examine is not None:
                await self.examine(connection)
        except BaseException:
            connection._finish()
            raise
        return connection

    # --- giving back -------------------------------------------------------------------------------------------------

    async def _give_back(self, member: _Member) -> None:
        try:
            await self._clean(member.connection)
        finally:
            member.used_at = trio.current_time()
            if self._is_good(member):
                self._idle.append(member)
            else:
                self._drop(member)
            self._leave.release()

    async def _clean(self, connection: TrioConnection) -> None:
        if connection.closed or connection.pgconn.transaction_status == TransactionStatus.IDLE:
            return
        with trio.CancelScope(shield=True, deadline=trio.current_time() + TIDY), suppress(psycopg.Error):
            await connection.rollback()

    def _is_good(self, member: _Member) -> bool:
        connection = member.connection
        return (
            not connection.closed
            and not connection._pipeline
            and connection.pgconn.transaction_status == TransactionStatus.IDLE
            and member.generation == self._generation
            and trio.current_time() < member.expires_at
        )

    def _drop(self, member: _Member) -> None:
        self._size -= 1
        self._discarded += 1
        member.connection._finish()


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
