"""PostgreSQL, driven natively on Trio: the store for any number of servers.

    postgresql://user:password@host/database                as libpq takes it, with sslmode and the rest
    postgresql://user@host/database?connections=20          at most so many connections of this process: 2 to 100, else 12
    postgresql://user@host/database?options=-csearch_path=chat   tables in a schema of that name, else in ``public``

What is where: ``_url`` reads the URL; ``_opening`` and ``_schema`` make sure that the right database is opened and brought
up to date; ``_database`` runs statements and transactions on connections that ``_pool`` lends; ``_append`` is the hot path,
and ``_rows`` what follows from an append in the other tables; ``_writes``, ``_reads`` and ``_lists`` are the other calls;
their SQL stands in ``_sql``; ``_text`` is what is searched for; ``_store`` puts them together. Each facet has a file of its
own, with its SQL beside it, and its migration. Searches are parted into ``_windows`` (words and places), ``_similar`` and
``_embedding`` (vectors); ``_charges`` are the ledger's rows; what needs an extension of PostgreSQL is in ``_extensions``.

    _drive        psycopg's generators, driven by Trio
    _connection   a connection that cancellation leaves usable
    _pool         connections, lent
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from trialogue import Checkup, ConfigurationError, Store, Transfer, hookimpl

SCHEMES = ("postgresql", "postgres")


@hookimpl
def trialogue_store(url: str, data_dir: Path) -> AbstractAsyncContextManager[Store] | None:
    """The store for a ``postgresql:`` URL; opened when its block is entered."""
    if url.partition(":")[0] not in SCHEMES:
        return None
    _must_have_driver()
    from trialogue_postgres._store import open_store  # The driver is imported when it is wanted.
    from trialogue_postgres._url import parse_url

    return open_store(parse_url(url), data_dir)


@hookimpl
def trialogue_store_checkup(url: str, data_dir: Path) -> Checkup | None:
    """A look at the database of a ``postgresql:`` URL."""
    del data_dir
    if url.partition(":")[0] not in SCHEMES:
        return None
    _must_have_driver()
    from trialogue_postgres._checkup import look
    from trialogue_postgres._url import parse_url

    return partial(look, parse_url(url))


@hookimpl
def trialogue_store_transfer(url: str, data_dir: Path) -> Transfer | None:
    """What takes rows out of, and into, the database of a ``postgresql:`` URL."""
    del data_dir
    if url.partition(":")[0] not in SCHEMES:
        return None
    _must_have_driver()
    from trialogue_postgres._transfer import PostgresTransfer
    from trialogue_postgres._url import parse_url

    return PostgresTransfer(parse_url(url))


def _must_have_driver() -> None:
    if find_spec("psycopg") is None:
        raise ConfigurationError(
            "storage_url names PostgreSQL, and psycopg is missing: pip install 'trialogue[postgres]'"
        )
