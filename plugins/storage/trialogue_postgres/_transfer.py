"""Rows out of a database as of one moment, and into an empty one in one transaction: whoever dies in it leaves it empty."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import aclosing, asynccontextmanager, contextmanager

import psycopg
import trio

from trialogue import (
    AboutRecord,
    ConfigurationError,
    InvalidError,
    Loader,
    StorageError,
    Transfer,
    chunks_of,
    decode_records,
    next_generation,
)
from trialogue_postgres import _sql
from trialogue_postgres import _transfer_sql as sql
from trialogue_postgres._connection import TrioConnection, open_connection
from trialogue_postgres._database import Database, first_row, rows, send
from trialogue_postgres._dump import FORMAT, read_all
from trialogue_postgres._errors import storage_error
from trialogue_postgres._load import put_records
from trialogue_postgres._opening import check, open_database
from trialogue_postgres._schema import applied_steps, migrations, take_lock, verify
from trialogue_postgres._url import Address

#: Errors of what is to be written: it contradicts itself, or is no value of its column.
_OF_ROWS = ("22", "23")


class PostgresTransfer(Transfer):
    """See ``trialogue.Transfer``."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def __repr__(self) -> str:
        return f"<PostgresTransfer {self._address}>"

    # --- out -----------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def dump(self) -> AsyncGenerator[AsyncIterator[bytes]]:
        async with self._connected() as connection:
            with told():
                await self._check(connection)
            async with connection.transaction():
                with told():
                    await connection.execute(sql.BEGIN.encode())
                async with aclosing(_chunks(connection)) as chunks:
                    yield chunks

    async def _check(self, connection: TrioConnection) -> None:
        place, steps = str(self._address), migrations()
        applied = await applied_steps(connection, place)
        verify(applied, place, steps)
        if not applied:
            raise ConfigurationError(f"{place} holds nothing of ours: name the right storage_url")
        if len(applied) < len(steps):
            raise ConfigurationError(f"{place} is of an older version: run `trialogue db migrate` first")

    # --- in ------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def load(self, folder: str | None, *, replace: bool = False) -> AsyncGenerator[Loader]:
        if replace:
            raise ConfigurationError(
                f"{self._address} is not replaced: fill another schema (?options=-csearch_path=NAME) or database, and "
                "name that in storage_url; the old one stays as it is"
            )
        await self._prepare()
        async with self._connected() as connection, connection.transaction():
            loading = _Loading(connection)
            with told():
                await self._begin(connection)
            yield loading
            with told():
                await loading.finish(folder)

    async def _prepare(self) -> None:
        """The schema, brought up to date as a start does it."""
        database = Database(self._address)
        try:
            await open_database(database, str(self._address))
        finally:
            database.close()

    async def _begin(self, connection: TrioConnection) -> None:
        await connection.execute(sql.PATIENCE.encode())
        await check(connection, str(self._address))
        await take_lock(connection)
        used = await first_row(connection, sql.USED)
        assert used is not None, "it has no FROM"
        if used[2]:
            raise ConfigurationError(f"servers run over {self._address}: stop them first")
        if used[0] or used[1]:
            raise ConfigurationError(
                f"{self._address} holds data: name an empty database, or another schema (?options=-csearch_path=NAME)"
            )

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[TrioConnection]:
        try:
            connection = await open_connection(self._address.conninfo)
        except psycopg.Error as error:
            raise ConfigurationError(f"the database {self._address} cannot be used: {storage_error(error)}") from error
        try:
            # What is asked for takes as long as it takes; a server that is gone is noticed by the system.
            connection.patience = math.inf
            yield connection
        finally:
            await connection.close()


class _Loading(Loader):
    """A transaction that fills a database."""

    def __init__(self, connection: TrioConnection) -> None:
        self._connection = connection
        self._about: AboutRecord | None = None

    async def put(self, chunk: bytes) -> None:
        records = await trio.to_thread.run_sync(decode_records, chunk)
        if self._about is None:
            first = records.pop(0) if records else None
            if not isinstance(first, AboutRecord) or first.format != FORMAT:
                raise InvalidError(
                    f"these rows do not begin as format {FORMAT} does: name a backup made by this version"
                )
            self._about = first
        with told():
            await put_records(self._connection, records)

    async def finish(self, folder: str | None) -> None:
        """The last of it: whose rows they are, and the generation."""
        if self._about is None:
            raise InvalidError("there are no rows to put in: name a backup that is whole")
        facts: dict[str, str] = dict(await rows(self._connection, sql.FACTS))
        self.generation = next_generation(int(facts["generation"]), self._about.generation)
        new = {"generation": str(self.generation)} | ({} if folder is None else {"files": folder})
        for key, value in new.items():
            await send(self._connection, _sql.PUT_FACT, {"key": key, "value": value})


async def _chunks(connection: TrioConnection) -> AsyncGenerator[bytes]:
    with told():
        async with aclosing(read_all(connection)) as pages:
            async for records in pages:
                for chunk in await trio.to_thread.run_sync(lambda some: list(chunks_of(some)), records):
                    yield chunk


@contextmanager
def told() -> Generator[None]:
    """PostgreSQL's errors as ours."""
    try:
        yield
    except psycopg.Error as error:
        if (error.sqlstate or "")[:2] in _OF_ROWS:
            raise InvalidError(f"the rows contradict one another ({error}): name a backup that is whole") from error
        raise storage_error(error) from error
    except (ValueError, UnicodeDecodeError) as error:
        raise StorageError(f"a row cannot be read or written ({error}): restore a backup") from error
