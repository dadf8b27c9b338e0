"""A psycopg connection on Trio.

psycopg awaits in three places: ``wait``, ``cancel_safe`` and its lock. Here they are Trio's; the rest is psycopg's own. A
call that is cancelled has its query cancelled on the server, and leaves a connection that can be used again or is closed.
Blocks that must say something on their way out (ROLLBACK, the end of a pipeline) say it behind a shield with a deadline.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Self, TypeVar

import psycopg
import trio
from psycopg import AsyncConnection, AsyncPipeline, AsyncTransaction
from psycopg.abc import PQGen
from psycopg.conninfo import make_conninfo
from psycopg.errors import QueryCanceled
from psycopg.pq import ConnStatus, PipelineStatus, TransactionStatus
from psycopg.types.numeric import Int8BinaryDumper
from psycopg.types.string import StrBinaryDumper

from trialogue_postgres._drive import drive, drive_connecting

T = TypeVar("T")

log = logging.getLogger("trialogue.postgres")

#: Seconds for whatever must still be said when the caller is cancelled.
LAST_WORDS = 5.0
#: Seconds without an answer after which a connection counts as dead, though nothing says so: more than the server's own
#: ``statement_timeout``. Who is at the other end may be gone without a word, and TCP alone might find that out in hours.
SILENCE = 40.0


class Silence(psycopg.OperationalError):
    """The server did not answer in time. Whatever took the answer, other connections are likely to have met it as well."""


class TrioConnection(AsyncConnection[Any]):  # Any: rows are of the types their queries ask for
    """One connection; made by ``open_connection``. COPY, server-side cursors and ``notifies`` are not for use here."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # Any: psycopg's own
        super().__init__(*arguments, **options)
        #: Seconds that an answer may take.
        self.patience = SILENCE
        self.lock = Lock()  # type: ignore[assignment]  # psycopg only enters and leaves it
        # One type for all numbers, so that a statement is one statement whatever its values.
        self.adapters.register_dumper(int, Int8BinaryDumper)
        self.adapters.register_dumper(str, TextDumper)

    async def wait(self, gen: PQGen[T], interval: float = 0, timeout: float | None = None) -> T:
        """Run one of psycopg's generators; cancelled, end its query on the server first."""
        del interval
        patience = self.patience if timeout is None else timeout
        with trio.move_on_after(patience):
            try:
                return await drive(gen, self.pgconn.socket)
            except trio.Cancelled:
                if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                    await self._end_query(gen)
                raise
        if timeout is not None:
            raise trio.TooSlowError
        self._finish()
        raise Silence(f"the server did not answer within {patience:g} seconds")

    async def _end_query(self, gen: PQGen[Any]) -> None:  # Any: nobody looks at what it gives
        """Cancel what runs on the server and read it to its end, else close the connection."""
        with trio.CancelScope(shield=True, deadline=trio.current_time() + LAST_WORDS):
            try:
                await self.cancel_safe()
                await drive(gen, self.pgconn.socket)
            except QueryCanceled:
                pass
            except psycopg.Error as error:
                log.debug("a cancelled query ended with %s", error)
        if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
            if self.pgconn.pipeline_status == PipelineStatus.OFF:
                log.warning("a cancelled query did not end within %s seconds: its connection is closed", LAST_WORDS)
            self._finish()

    async def cancel_safe(self, *, timeout: float = LAST_WORDS) -> None:
        """Ask the server to end the query that runs. Raises ``psycopg.OperationalError``."""
        if self._should_cancel():
            with trio.fail_after(timeout):
                await drive_connecting(self._cancel_gen())

    @asynccontextmanager
    async def transaction(
        self, savepoint_name: str | None = None, force_rollback: bool = False
    ) -> AsyncGenerator[AsyncTransaction]:
        transaction = Transaction(self, savepoint_name, force_rollback)
        if self._pipeline:
            async with self.pipeline(), transaction, self.pipeline():
                yield transaction
        else:
            async with transaction:
                yield transaction

    @asynccontextmanager
    async def pipeline(self) -> AsyncGenerator[AsyncPipeline]:
        async with self.lock:
            self._check_connection_ok()
            pipeline = self._pipeline
            if pipeline is None:
                pipeline = self._pipeline = Pipeline(self)
        try:
            async with pipeline:
                yield pipeline
        finally:
            if pipeline.level == 0:
                self._pipeline = None

    async def close(self) -> None:
        """Close it; what waits on it is told. It does not wait."""
        self._finish()

    def _finish(self) -> None:
        if not self.closed:
            self._closed = True
            trio.lowlevel.notify_closing(self.pgconn.socket)
            self.pgconn.finish()


class TextDumper(StrBinaryDumper):
    """Sends text as ``text_bytes`` spells it."""

    def dump(self, obj: str) -> bytes:
        return text_bytes(obj)


def text_bytes(text: str) -> bytes:
    """Text as PostgreSQL can hold it. What is no text, or holds the one character that it cannot, is altered and not
    refused: it comes from somebody who looks for what cannot be there.
    """
    data = text.encode("utf-8", "replace")
    return data.replace(b"\x00", b"?") if b"\x00" in data else data


class Transaction(AsyncTransaction):
    """A transaction whose end is said even when the caller is cancelled; what was not answered has not ended well."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        with _last_words(self._conn, error) as scope:
            return await super().__aexit__(kind, error, trace)
        await _give_up(self._conn, scope, error)
        return False


class Pipeline(AsyncPipeline):
    """A pipeline that is left in order even when the caller is cancelled."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with _last_words(self._conn, error) as scope:
            if kind is not None and issubclass(kind, trio.Cancelled):
                # What is under way is not waited for.
                with suppress(psycopg.Error):
                    await self._conn.cancel_safe()
            await super().__aexit__(kind, error, trace)
        await _give_up(self._conn, scope, error)


def _last_words(connection: AsyncConnection[Any], error: BaseException | None) -> trio.CancelScope:  # Any: as above
    """The shield for the end of a block: short after an error; else it is what the caller wants, such as a COMMIT."""
    assert isinstance(connection, TrioConnection)
    seconds = LAST_WORDS if error is not None else connection.patience + 2 * LAST_WORDS
    return trio.CancelScope(shield=True, deadline=trio.current_time() + seconds)


async def _give_up(connection: AsyncConnection[Any], scope: trio.CancelScope, error: BaseException | None) -> None:
    """If the end of a block was not answered in time: close the connection, and let nobody believe that all went well."""
    if scope.cancelled_caught:
        await connection.close()
        if error is None:
            raise Silence("the server did not answer to the end of a transaction")


class Lock:
    """A lock that costs no trip through the scheduler while nobody else has it."""

    def __init__(self) -> None:
        self._held = False
        self._waiting = trio.lowlevel.ParkingLot()

    async def __aenter__(self) -> Self:
        while self._held:
            await self._waiting.park()
        self._held = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self._held = False
        self._waiting.unpark()


async def open_connection(conninfo: str, timeout: float = 10.0) -> TrioConnection:
    """A new connection in autocommit mode, to the first of the hosts that takes it.

    Raises ``psycopg.OperationalError``, also when none took it within ``timeout`` seconds.
    """
    failure: psycopg.Error | None = None
    attempts = await trio.to_thread.run_sync(_attempts, conninfo, abandon_on_cancel=True)
    for attempt in attempts:
        try:
            with trio.fail_after(timeout):
                connection = await drive_connecting(TrioConnection._connect_gen(attempt))
        except psycopg.Error as error:
            failure = error
        except trio.TooSlowError:
            failure = psycopg.OperationalError(f"no connection within {timeout} seconds")
        else:
            connection._autocommit = True
            if connection.pgconn.status == ConnStatus.OK:
                return connection
    raise failure or psycopg.OperationalError("the connection string names no host")


def _attempts(conninfo: str) -> list[str]:
    # In a thread, as it may ask for the addresses of names.
    from psycopg.conninfo import conninfo_attempts, conninfo_to_dict

    return [make_conninfo("", **attempt) for attempt in conninfo_attempts(conninfo_to_dict(conninfo))]
