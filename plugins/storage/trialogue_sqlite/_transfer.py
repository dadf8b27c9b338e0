"""Rows out of a database while a server has it open, and into one that takes the place of what was there in one step.

A read transaction of SQLite's sees one moment and holds no writer up, whatever process it is in; only the write-ahead log
is not begun anew until it ends. What goes in is built beside the database under a name of its own, and renamed over it when
it is complete and on the disk: whoever dies before that has changed nothing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Sequence
from contextlib import ExitStack, aclosing, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import apsw
import trio

from trialogue import (
    AboutRecord,
    ConfigurationError,
    Finding,
    InvalidError,
    Loader,
    Transfer,
    chunks_of,
    decode_records,
    next_generation,
)
from trialogue_sqlite import _sql as sql
from trialogue_sqlite._driver import Connection, connect
from trialogue_sqlite._dump import FORMAT, read_all
from trialogue_sqlite._errors import storage_error
from trialogue_sqlite._folder import Identity, hold_folder, read_identity
from trialogue_sqlite._load import Rows
from trialogue_sqlite._opening import open_database
from trialogue_sqlite._schema import APPLICATION, migrations, verify

#: Where a database is built, in the folder where it is to stand.
BUILDING = ".trialogue-loading"
#: What a database of ours starts with when nobody has used it.
_UNUSED = "SELECT NOT EXISTS (SELECT 1 FROM account) AND NOT EXISTS (SELECT 1 FROM log)"


class SQLiteTransfer(Transfer):
    """See ``trialogue.Transfer``."""

    def __init__(self, path: Path, data_dir: Path) -> None:
        self._path = path
        self._data_dir = data_dir

    def __repr__(self) -> str:
        return f"<SQLiteTransfer {str(self._path)!r}>"

    # --- out -----------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def dump(self) -> AsyncGenerator[AsyncIterator[bytes]]:
        connection = await trio.to_thread.run_sync(_open_to_read, self._path)
        try:
            async with aclosing(self._chunks(connection)) as chunks:
                yield chunks
        finally:
            connection.close(True)

    async def _chunks(self, connection: Connection) -> AsyncGenerator[bytes]:
        chunks = chunks_of(read_all(connection))
        with told(self._path):
            while (chunk := await trio.to_thread.run_sync(next, chunks, None)) is not None:
                yield chunk

    async def examine(self) -> Sequence[Finding]:
        connection = await trio.to_thread.run_sync(_open_to_read, self._path)
        try:
            with told(self._path):
                found: list[str] = await trio.to_thread.run_sync(_damage, connection)
        finally:
            connection.close(True)
        if not found:
            return (Finding("database", "right", f"{str(self._path)!r} is whole, and so are its indexes"),)
        return (Finding("database", "wrong", f"{str(self._path)!r} is damaged: {found[0]}", "restore a backup"),)

    # --- in ------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def load(self, folder: str | None, *, replace: bool = False) -> AsyncGenerator[Loader]:
        with ExitStack() as held:
            identity = held.enter_context(hold_folder(self._data_dir, self._path))
            with told(self._path):
                identity = await trio.to_thread.run_sync(self._prepared, identity, replace)
                loading = await trio.to_thread.run_sync(_Loading, self._path)
            held.callback(shutil.rmtree, loading.folder, ignore_errors=True)
            held.callback(loading.close)
            yield loading
            with told(self._path):
                await trio.to_thread.run_sync(loading.finish, identity, folder)

    def _prepared(self, identity: Identity | None, replace: bool) -> Identity:
        """Whose folder it is; one that is new gets an empty database first, which is what stays if we die."""
        if identity is None:
            connection, _ = open_database(self._path, self._data_dir, None)
            connection.close()
            identity = read_identity(self._data_dir)
            assert identity is not None, "whoever opens a database writes down whose it is"
        elif not (replace or _is_unused(self._path)):
            raise ConfigurationError(
                f"{str(self._path)!r} holds data: name an empty place, or say --replace, which keeps what is there aside"
            )
        return identity


class _Loading(Loader):
    """A database that is being built."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.folder = path.with_name(f"{BUILDING}-{os.getpid()}")
        for old in path.parent.glob(f"{BUILDING}-*"):  # The folder is locked: theirs is a process that died.
            shutil.rmtree(old, ignore_errors=True)
        self.folder.mkdir(mode=0o700)
        self._connection, _ = open_database(self.folder / path.name, self.folder, None)
        # Nobody misses it if the machine fails: it is made durable when it is complete.
        self._connection.pragma("synchronous", "off")
        self._rows = Rows(self._connection)
        self._about: AboutRecord | None = None

    async def put(self, chunk: bytes) -> None:
        with told(self._path):
            await trio.to_thread.run_sync(self._put, chunk)

    def _put(self, chunk: bytes) -> None:
        records = decode_records(chunk)
        if self._about is None:
            self._about = _beginning(records.pop(0) if records else None)
        with self._connection:
            self._rows.put(records)

    def finish(self, identity: Identity, folder: str | None) -> None:
        """Put it where it belongs. In a thread."""
        if self._about is None:
            raise InvalidError("there are no rows to put in: name a backup that is whole")
        self.generation = next_generation(identity.generation, self._about.generation)
        facts: list[tuple[str, str | int]] = [
            ("id", identity.store),
            ("opened", identity.opened + 1),
            ("generation", self.generation),
        ]
        if folder is not None:
            facts.append(("files", folder))
        with self._connection:
            self._connection.executemany(sql.PUT_FACT, facts)
        self.close()
        self._install()

    def _install(self) -> None:
        """One step: until the last line what was there before is there."""
        built = self.folder / self._path.name
        with built.open("rb") as file:
            os.fsync(file.fileno())
        if not _is_unused(self._path):
            self.kept = str(_put_aside(self._path))
        for end in ("-wal", "-shm"):  # Of what was there; all of it is in its one file.
            self._path.with_name(self._path.name + end).unlink(missing_ok=True)
        built.replace(self._path)
        _sync(self._path.parent)

    def close(self) -> None:
        """Everything into the one file."""
        self._connection.close()


def _open_to_read(path: Path) -> Connection:
    """A connection in a read transaction. Raises ``ConfigurationError``, ``StorageError``."""
    if not path.exists():
        raise ConfigurationError(f"there is no database {str(path)!r}: name the right data_dir and storage_url")
    with told(path):
        connection = connect(path, write=False)
        connection.pragma("query_only", True)
        connection.execute("BEGIN")
        if connection.pragma("application_id") != APPLICATION:
            raise ConfigurationError(f"{str(path)!r} is a database of something else: name another file")
        applied = dict(connection.execute("SELECT number, checksum FROM migration ORDER BY number").fetchall())
        steps = migrations()
        verify(applied, path, steps)
        if len(applied) < len(steps):
            raise ConfigurationError(f"{str(path)!r} is of an older version: run `trialogue db migrate` first")
    return connection


def _damage(connection: Connection) -> list[str]:
    """What is wrong with tables and indexes, those for full text included."""
    lines = [line for (line,) in connection.execute("PRAGMA integrity_check(10)")]
    return [line for line in lines if line != "ok"]


def _beginning(record: object) -> AboutRecord:
    if not isinstance(record, AboutRecord) or record.format != FORMAT:
        raise InvalidError(f"these rows do not begin as format {FORMAT} does: name a backup made by this version")
    return record


def _is_unused(path: Path) -> bool:
    connection = connect(path, write=False)
    try:
        return connection.pragma("application_id") == APPLICATION and bool(connection.execute(_UNUSED).get)
    finally:
        connection.close()


def _put_aside(path: Path) -> Path:
    """Another name for what is there, with all of it in one file."""
    connection = connect(path, write=True)
    connection.pragma("wal_checkpoint(truncate)")
    connection.close()
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    kept = path.with_name(f"{path.stem}-before-{stamp}{path.suffix}")
    kept.hardlink_to(path)
    return kept


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def told(path: Path) -> Generator[None]:
    """SQLite's errors, and the disk's, as ours."""
    try:
        yield
    except apsw.ConstraintError as error:
        raise InvalidError(f"the rows contradict one another ({error}): name a backup that is whole") from error
    except apsw.Error as error:
        raise storage_error(error, path) from error
    except ValueError as error:
        raise InvalidError(f"the rows cannot be meant ({error}): name a backup that is whole") from error
    except OSError as error:
        raise ConfigurationError(f"{str(path)!r} cannot be filled ({error}): look at its folder and disk") from error
