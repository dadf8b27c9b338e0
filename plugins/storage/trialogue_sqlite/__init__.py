"""The embedded store: one SQLite file, every guarantee, no service beside the server.

    sqlite:              <data_dir>/trialogue.db
    sqlite:name.db       relative to the data folder
    sqlite:/abs/path.db  anywhere on a local disk

What is where: ``_folder`` and ``_schema`` make sure that the right data is opened by one process; ``_writer`` is the one
thread that writes, with group commit; ``_readers`` has the connections that read; ``_append`` is the hot path; ``_writes``
and ``_reads`` are the other calls; all their SQL stands in ``_sql``; ``_store`` puts them together. ``_transfer``, ``_dump``
and ``_load`` are for backups, beside a server that has the database open.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import trio

from trialogue import Checkup, ConfigurationError, Store, Transfer, hookimpl

SCHEME = "sqlite:"


@hookimpl
def trialogue_store(url: str, data_dir: Path) -> AbstractAsyncContextManager[Store] | None:
    """The store for a ``sqlite:`` URL; opened when its block is entered."""
    if not url.startswith(SCHEME):
        return None
    path = database_path(url, data_dir)
    from trialogue_sqlite._store import open_store  # The driver is imported when it is wanted.

    return open_store(path, data_dir)


@hookimpl
def trialogue_store_checkup(url: str, data_dir: Path) -> Checkup | None:
    """A look at the folder and the file of a ``sqlite:`` URL."""
    if not url.startswith(SCHEME):
        return None
    path = database_path(url, data_dir)
    from trialogue_sqlite._checkup import look

    return lambda: trio.to_thread.run_sync(look, path, data_dir)


@hookimpl
def trialogue_store_transfer(url: str, data_dir: Path) -> Transfer | None:
    """What takes rows out of, and into, the file of a ``sqlite:`` URL."""
    if not url.startswith(SCHEME):
        return None
    path = database_path(url, data_dir)
    from trialogue_sqlite._transfer import SQLiteTransfer

    return SQLiteTransfer(path, data_dir)


def database_path(url: str, data_dir: Path) -> Path:
    """The file a URL means. Raises ``ConfigurationError`` for one that means none."""
    name = url.removeprefix(SCHEME)
    if name.startswith("//") or "?" in name or "\x00" in name or name.endswith("/") or ":memory:" in name:
        raise ConfigurationError(f"{url!r} names no file: write sqlite: or sqlite:name.db or sqlite:/absolute/path.db")
    return data_dir / (name or "trialogue.db")
