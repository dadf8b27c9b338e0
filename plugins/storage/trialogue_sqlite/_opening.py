"""Opening the database that belongs to a folder: settings, schema, identity, and whether it has gone backwards."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

import apsw

from trialogue import ConfigurationError, new_id
from trialogue_sqlite import _sql as sql
from trialogue_sqlite._append import open_door
from trialogue_sqlite._driver import Connection, connect
from trialogue_sqlite._errors import storage_error
from trialogue_sqlite._folder import Identity, write_identity
from trialogue_sqlite._schema import migrate, migrations

#: Pages in the log before they are copied into the database: 16 MB. Pages of live answers are rewritten many times, and
#: the later they are copied, the fewer copies.
CHECKPOINT = 4_000
#: Kilobytes of pages that the writer keeps in memory.
CACHE = 32_000
_PAGE = 4_096
#: Bytes of a log that holds them.
_LOG = CHECKPOINT * (_PAGE + 24)
#: The log is stretched only where the disk has so many times the room.
_ROOM = 20


def open_database(path: Path, data_dir: Path, identity: Identity | None) -> tuple[Connection, int]:
    """The connection that writes, and the generation. Raises ``ConfigurationError``."""
    connection = _connect(path)
    try:
        migrate(connection, path, migrations())
        _stretch(path)
        known = _identify(connection, path, identity)
        write_identity(data_dir, known)
        open_door(connection)
    except BaseException as error:
        connection.close()
        if isinstance(error, apsw.Error):
            raise ConfigurationError(str(storage_error(error, path))) from error
        raise
    return connection, known.generation


def _connect(path: Path) -> Connection:
    try:
        path.touch(mode=0o600, exist_ok=True)
        connection = connect(path, write=True)
        connection.pragma("cache_size", -CACHE)
        mode = connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", "full")
        connection.pragma("fullfsync", True)
        connection.pragma("wal_autocheckpoint", CHECKPOINT)
    except (apsw.NotADBError, apsw.CorruptError) as error:
        raise ConfigurationError(
            f"{str(path)!r} is damaged or no database ({error}): keep a copy, and restore a backup"
        ) from error
    except (apsw.Error, OSError) as error:
        raise ConfigurationError(
            f"{str(path)!r} cannot be opened ({error}): make its folder and the file writable for us"
        ) from error
    if mode != "wal":
        raise ConfigurationError(f"{str(path)!r} cannot use a write-ahead log (but {mode!r}): put it on a local disk")
    return connection


def _stretch(path: Path) -> None:
    """Let the write-ahead log have its full length from the start; what is behind its last frame means nothing to SQLite.

    A sync of a file that grows has the file system note the new length too: the commit of 27 pages took 0.49 ms, and 0.28
    where the file was as long before. After the first checkpoint it is, but with the last connection the log goes.
    """
    with suppress(OSError):  # It is only slower without.
        if shutil.disk_usage(path.parent).free < _ROOM * _LOG:
            return
        with path.with_name(path.name + "-wal").open("ab") as log:
            for _ in range(0, _LOG - log.tell(), _PAGE):
                log.write(bytes(_PAGE))
            os.fsync(log.fileno())


def _identify(connection: Connection, path: Path, identity: Identity | None) -> Identity:
    """Compare folder and database, count this start in both, and raise the generation if the database went backwards."""
    facts: dict[str, int | str] = dict(connection.execute(sql.FACTS).fetchall())
    store = str(facts.get("id") or (identity.store if identity else new_id()))
    if identity is not None and facts.get("id") != identity.store:
        raise ConfigurationError(
            f"{str(path)!r} is not the database of this folder (store {identity.store}): put the right one back, "
            "or give this one a folder of its own"
        )
    opened, generation = int(facts.get("opened", 0)), int(facts.get("generation", 1))
    if identity is not None:
        generation = max(generation, identity.generation)
        if opened < identity.opened:
            opened, generation = (
                identity.opened,
                generation + 1,
            )  # A backup was put back: clients have seen more than it.
    known = Identity(1, store, opened + 1, generation)
    with connection:
        values: list[tuple[str, str | int]] = [
            ("id", known.store),
            ("opened", known.opened),
            ("generation", known.generation),
        ]
        connection.executemany(sql.PUT_FACT, values)
    return known
