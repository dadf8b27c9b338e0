"""A look at a data folder and its database that changes neither, with or without a server that has them open."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import apsw

from trialogue import ConfigurationError, Finding
from trialogue_sqlite._driver import Connection, connect
from trialogue_sqlite._folder import LOCK, mounts, read_identity, refuse_network, refuse_strangers
from trialogue_sqlite._schema import APPLICATION, migrations, verify

#: Free bytes below which it is time to make room.
LITTLE = 1024**3
#: Pages of the write-ahead log that ought to have been copied by now: a gigabyte.
LONG_LOG = 1024**3

WHAT = "storage"


def look(path: Path, data_dir: Path) -> list[Finding]:
    """What there is to say of the folder and the database."""
    try:
        return list(_look(path, data_dir))
    except ConfigurationError as error:
        return [_wrong(str(error))]
    except (apsw.Error, OSError) as error:
        return [_wrong(f"{str(path)!r} cannot be read: {error}", "look at the file, its folder and its disk")]


def _look(path: Path, data_dir: Path) -> Iterator[Finding]:
    if not data_dir.exists():
        yield _of_missing(data_dir)
        return
    if not os.access(data_dir, os.R_OK | os.W_OK | os.X_OK):
        yield _wrong(
            f"the data folder {str(data_dir)!r} cannot be written", "give it to the user that the server runs as"
        )
        return
    for folder in {data_dir, path.parent}:
        refuse_network(folder, mounts())
    yield from _of_folder(data_dir)
    identity = read_identity(data_dir)
    refuse_strangers(data_dir, path, identity)
    if not path.exists():
        yield _right(f"{str(path)!r} will be made at the first start")
        return
    yield from _of_database(path, _holder(data_dir))


def _of_missing(data_dir: Path) -> Finding:
    above = next(folder for folder in data_dir.absolute().parents if folder.exists())
    if os.access(above, os.W_OK | os.X_OK):
        return _right(f"the data folder {str(data_dir)!r} will be made at the first start")
    return _wrong(
        f"the data folder {str(data_dir)!r} is missing and cannot be made", "make it, or name another one in data_dir"
    )


def _of_folder(data_dir: Path) -> Iterator[Finding]:
    mode = data_dir.stat().st_mode & 0o777
    if mode & 0o007:
        yield Finding(
            WHAT,
            "doubtful",
            f"everybody on this machine may look into {str(data_dir)!r} (mode {mode:o})",
            f"chmod o-rwx {data_dir}",
        )
    free = shutil.disk_usage(data_dir).free
    if free < LITTLE:
        detail = f"{free // 1024**2} MB are free on the disk of {str(data_dir)!r}"
        yield Finding(WHAT, "doubtful", detail, "make room: a full disk stops every answer")


def _of_database(path: Path, holder: str | None) -> Iterator[Finding]:
    connection = connect(path, write=False)
    try:
        yield _of_schema(connection, path, f"in use by pid {holder}" if holder else "not in use")
    finally:
        connection.close()
    log = path.with_name(path.name + "-wal")
    if log.exists() and log.stat().st_size > LONG_LOG:
        detail = f"the write-ahead log has {log.stat().st_size // 1024**2} MB: something reads for very long"
        yield Finding(WHAT, "doubtful", detail, "restart the server; end what reads the file from outside")


def _of_schema(connection: Connection, path: Path, use: str) -> Finding:
    if connection.pragma("application_id") != APPLICATION:
        return _wrong(f"{str(path)!r} is a database of something else", "name another file in storage_url")
    applied = dict(connection.execute("SELECT number, checksum FROM migration ORDER BY number").fetchall())
    steps = migrations()
    verify(applied, path, steps)
    missing = len(steps) - len(applied)
    if missing:
        detail = f"{str(path)!r} lacks {missing} migrations, which the next start applies; {use}"
        return Finding(WHAT, "doubtful", detail, "make a backup before that start")
    return _right(f"{str(path)!r} is up to date (schema {max(applied)}), {use}")


def _holder(data_dir: Path) -> str | None:
    """Who has the folder open, if anyone."""
    try:
        file = os.open(data_dir / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(file, 32, 0).decode(errors="replace").strip() or "unknown"
    finally:
        os.close(file)
    return None


def _right(detail: str) -> Finding:
    return Finding(WHAT, "right", detail)


def _wrong(detail: str, fix: str = "") -> Finding:
    # Our own errors end with what to do, after the last colon.
    if not fix:
        detail, _, fix = detail.rpartition(": ")
    return Finding(WHAT, "wrong", detail, fix)
