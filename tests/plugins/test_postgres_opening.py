"""A database is opened when it is ours to use, and brought up to date once, whoever starts at the same time."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import trio
from postgres_stores import connect, open_dsn, open_schema, opening, with_parameters

import trialogue_postgres
from trialogue import ConfigurationError
from trialogue.testing._kit_making import begin, numbers
from trialogue_postgres import _schema as schema
from trialogue_postgres._store import PostgresStore
from trialogue_postgres._url import parse_url


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    with open_dsn() as dsn:
        yield dsn


@pytest.fixture
def url(dsn: str) -> Iterator[str]:
    with open_schema(dsn) as url:
        yield url


async def opened(url: str) -> int:
    """The generation of the store at ``url``."""
    async with opening(url) as store:
        return store.generation


async def refused(url: str) -> str:
    """Why it is not opened."""
    with pytest.raises(ConfigurationError) as caught:
        await opened(url)
    return str(caught.value)


# --- the URL ---------------------------------------------------------------------------------------------------------

SECRET = "postgresql://app:hunter2@db.example.org:5433/chat"


def test_url_says_where_and_with_how_many_connections() -> None:
    address = parse_url(f"{SECRET}?connections=20&sslmode=require")
    assert (str(address), address.connections) == ("db.example.org:5433/chat", 20)
    assert "hunter2" not in repr(address)
    assert "sslmode=require" in address.conninfo
    assert parse_url("postgres:///chat").connections == 12


def test_other_schemes_are_left_to_others() -> None:
    assert trialogue_postgres.trialogue_store("sqlite:", Path()) is None
    assert trialogue_postgres.trialogue_store("mysql://a@b/c", Path()) is None


@pytest.mark.parametrize("count", ["0", "1", "101", "-3", "many", "", "9" * 30, "٢"])
def test_number_of_connections_is_bounded(count: str) -> None:
    with pytest.raises(ConfigurationError, match=r"connections=.* must be a number from 2 to 100"):
        parse_url(f"{SECRET}?connections={count}")


@pytest.mark.parametrize(
    "url", [f"{SECRET}?sslmod=require", "postgresql://app:hunt er2@[::1/chat", "postgresql://app:hunter2%zz@db/chat"]
)
def test_url_that_cannot_be_read_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="storage_url cannot be used") as caught:
        parse_url(url)
    assert "hunt" not in str(caught.value)


def test_operator_settings_come_after_ours_but_for_durability() -> None:
    options = psycopg.conninfo.conninfo_to_dict(
        parse_url(f"{SECRET}?options=-csynchronous_commit%3Doff%20-cstatement_timeout%3D5s").conninfo
    )["options"]
    assert isinstance(options, str)
    assert options.index("statement_timeout=30s") < options.index("statement_timeout=5s")
    assert options.index("synchronous_commit=off") < options.index("synchronous_commit=on")


async def test_missing_driver_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trialogue_postgres, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"trialogue\[postgres\]"):
        trialogue_postgres.trialogue_store(SECRET, Path())


# --- the schema ------------------------------------------------------------------------------------------------------


async def test_second_opening_changes_nothing(url: str) -> None:
    assert await opened(url) == 1
    with connect(url) as connection:
        before = connection.execute("SELECT * FROM migration ORDER BY number").fetchall()
        assert await opened(url) == 1
        assert connection.execute("SELECT * FROM migration ORDER BY number").fetchall() == before
    assert [row[0] for row in before] == [step.number for step in schema.migrations()]


PROGRAM = """
import sys, trio
from postgres_stores import opening

async def main():
    async with opening(sys.argv[1]) as store:
        print(store.generation)

trio.run(main)
"""


def test_processes_that_start_together_migrate_once(url: str) -> None:
    command = [sys.executable, "-c", PROGRAM, url]
    path = str(Path(__file__).parents[1])
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=path) for _ in range(3)]
    assert [process.communicate(timeout=60)[0] for process in started] == ["1\n"] * 3
    with connect(url) as connection:
        assert connection.execute("SELECT value FROM store WHERE key = 'opened'").fetchone() == ("3",)


async def test_interrupted_migration_leaves_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [*schema.migrations(), schema.Migration(9000, "9000_broken.sql", "CREATE TABLE a (b int); SELECT 1 / 0")]
    monkeypatch.setattr("trialogue_postgres._opening.migrations", lambda: steps)
    assert "division by zero" in await refused(url)
    with connect(url) as connection:
        found = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()").fetchone()
    assert found == (0,)


async def test_newer_schema_is_refused(url: str) -> None:
    await opened(url)
    with connect(url) as connection:
        connection.execute("INSERT INTO migration VALUES (9000, 'later', 'x')")
    assert "newer version (schema 9000" in await refused(url)


async def test_altered_migration_is_refused(url: str) -> None:
    await opened(url)
    with connect(url) as connection:
        connection.execute("UPDATE migration SET checksum = 'x' WHERE number = 2")
    assert "migration 2 " in await refused(url)


async def test_older_schema_is_brought_up_to_date(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await opened(url)
    steps = [*schema.migrations(), schema.Migration(9000, "9000_later.sql", "CREATE TABLE later (n int)")]
    monkeypatch.setattr("trialogue_postgres._opening.migrations", lambda: steps)
    await opened(url)
    with connect(url) as connection:
        connection.execute("SELECT n FROM later")


@pytest.mark.parametrize("table", ["orders (n int)", "migration (version text)"])
async def test_foreign_database_is_refused(url: str, table: str) -> None:
    with connect(url) as connection:
        connection.execute(f"CREATE TABLE {table}".encode())
    assert "tables of something else" in await refused(url)


async def test_missing_schema_is_refused(dsn: str) -> None:
    assert "lacks the schema" in await refused(with_parameters(dsn, options="-csearch_path=absent"))


async def test_read_only_database_is_refused(url: str) -> None:
    options = parse_url(url).with_setting("default_transaction_read_only", "on")
    settings = psycopg.conninfo.conninfo_to_dict(options)["options"]
    assert "takes no writes" in await refused(with_parameters(url, options=str(settings)))


async def test_missing_right_is_said_in_words(url: str) -> None:
    with connect(url) as connection:
        connection.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
        found = connection.execute("SELECT quote_ident(current_schema())").fetchone()
        assert found is not None
        connection.execute(f"GRANT USAGE ON SCHEMA {found[0]} TO guest".encode())
        try:
            said = await refused(re.sub("//.*@", "//guest:guest@", url))
        finally:
            connection.execute(f"REVOKE USAGE ON SCHEMA {found[0]} FROM guest".encode())
            connection.execute("DROP ROLE guest")
    assert "may not bring the schema" in said
    assert "guest:guest" not in said


async def test_server_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trialogue_postgres._pool.PATIENCE", 0.2)
    with trio.fail_after(20):
        said = await refused("postgresql://app:hunter2@127.0.0.1:1/chat")
    assert "127.0.0.1:1/chat cannot be used" in said
    assert "refused" in said
    assert "hunter2" not in said


async def test_vectors_are_there_for_every_schema(dsn: str) -> None:
    """As far as the server has the extension, which the tests' own has."""
    with connect(dsn) as connection:
        found = connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'").fetchone()
    for _ in range(2):
        with open_schema(dsn) as url:
            async with opening(url) as store:
                assert isinstance(store, PostgresStore)
                assert store.has_vectors is (found is not None)


async def test_missing_vectors_are_said_and_not_fatal(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("trialogue_postgres._opening._SEES_VECTORS", "SELECT false")
    await opened(url)
    assert "no search by meaning" in caplog.text


# --- its identity ----------------------------------------------------------------------------------------------------


async def test_tables_made_anew_raise_the_generation(url: str) -> None:
    """As a dump that is put back makes them."""
    await opened(url)
    with connect(url) as connection:
        connection.execute("CREATE TABLE restored (LIKE log INCLUDING ALL)")
        connection.execute("DROP TABLE log")
        connection.execute("ALTER TABLE restored RENAME TO log")
    assert await opened(url) == 2
    assert await opened(url) == 2


async def test_server_with_another_history_raises_the_generation(url: str) -> None:
    """As one that was promoted, or restored from a backup, has: its timeline is another one."""
    async with opening(url) as store:
        talk = await begin(store)
    with connect(url) as connection:
        connection.execute("UPDATE store SET value = '1/00000009' WHERE key = 'whereabouts'")
    assert await opened(url) == 2
    async with opening(url) as store:
        assert store.generation == 2
        talk.store = store
        assert await numbers(talk) == [0]
