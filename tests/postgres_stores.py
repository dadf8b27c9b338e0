"""Stores in a real PostgreSQL: each test has a schema of its own, in one server for all tests of a module.

``TRIALOGUE_TEST_POSTGRES_DSN`` names a server of one's own, whose user may create schemas, instead of the package's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import psycopg
from postgres_server import open_server

import trialogue_postgres
from trialogue import Store, new_id


@contextmanager
def open_dsn(*options: str) -> Iterator[str]:
    """A server's address, for the block."""
    named = os.environ.get("TRIALOGUE_TEST_POSTGRES_DSN")
    if named:
        yield named
        return
    with open_server("max_connections=100", *options) as server:
        yield server.dsn


@contextmanager
def open_schema(dsn: str) -> Iterator[str]:
    """The URL of a schema with nothing in it, which is gone after the block."""
    name = "test_" + new_id().replace("-", "")
    _execute(dsn, f"CREATE SCHEMA {name}")
    try:
        yield with_parameters(dsn, options=f"-csearch_path={name},public", connections="8")
    finally:
        _execute(dsn, f"DROP SCHEMA {name} CASCADE")


def _execute(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement.encode())


def empty(url: str) -> None:
    """Take out all that tests left behind, but for the tables: quicker than making them anew."""
    with connect(url) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()").fetchall()
        for (table,) in found:
            if table != "migration":
                connection.execute(f"DELETE FROM {table}".encode())


def connect(url: str) -> psycopg.Connection[tuple[Any, ...]]:  # Any: columns are what a test asks for.
    """A connection of the test's own to where a store is."""
    return psycopg.connect(with_parameters(url, connections=None), autocommit=True)


def with_parameters(url: str, **more: str | None) -> str:
    """``url`` with other parameters; without those that are ``None``."""
    parts = urlsplit(url)
    wanted = {name: value for name, value in {**dict(parse_qsl(parts.query)), **more}.items() if value is not None}
    query = urlencode(wanted, quote_via=quote)
    return urlunsplit(parts._replace(query=query))


def opening(url: str) -> AbstractAsyncContextManager[Store]:
    """The store at ``url``."""
    store = trialogue_postgres.trialogue_store(url, Path("unused"))
    assert store is not None
    return store
