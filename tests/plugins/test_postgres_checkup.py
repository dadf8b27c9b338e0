"""A look at a real database finds what a start would trip over, and leaves everything as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_stores import connect, open_dsn, open_schema, opening, with_parameters

import trialogue_postgres
from trialogue import Finding
from trialogue_postgres import _checkup


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    with open_dsn() as dsn:
        yield dsn


@pytest.fixture
def url(dsn: str) -> Iterator[str]:
    with open_schema(dsn) as url:
        yield url


async def looked(url: str) -> dict[str, Finding]:
    look = trialogue_postgres.trialogue_store_checkup(url, Path())
    assert look is not None
    return {one.what: one for one in await look()}


async def test_empty_and_used_databases_are_right(url: str) -> None:
    assert "first start" in (await looked(url))["storage"].detail
    with connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()").fetchall() == [
            (0,)
        ]
    async with opening(url):
        found = await looked(url)
        assert {one.state for one in found.values()} == {"right"}
        assert "up to date" in found["storage"].detail


async def test_clock_that_differs_is_wrong(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_checkup, "_NOW", "SELECT extract(epoch FROM clock_timestamp())::float8 - 60")
    found = (await looked(url))["clock"]
    assert (found.state, "-60.0 s" in found.detail, "time servers" in found.fix) == ("wrong", True, True)


async def test_schema_of_another_version_is_told(url: str) -> None:
    async with opening(url):
        pass
    with connect(url) as connection:
        connection.execute("DELETE FROM migration WHERE number = (SELECT max(number) FROM migration)")
        behind = (await looked(url))["storage"]
        assert (behind.state, "backup" in behind.fix) == ("doubtful", True)
        connection.execute("INSERT INTO migration VALUES (9999, 'x', 'x')")
        ahead = (await looked(url))["storage"]
        assert (ahead.state, "newer version" in ahead.detail) == ("wrong", True)


async def test_tables_of_something_else_are_wrong(url: str) -> None:
    with connect(url) as connection:
        connection.execute("CREATE TABLE wares (id int)")
    assert (await looked(url))["storage"].state == "wrong"


async def test_more_connections_than_there_are_is_doubtful(url: str) -> None:
    found = (await looked(with_parameters(url, connections="100")))["connections"]
    assert (found.state, "max_connections" in found.fix) == ("doubtful", True)


async def test_server_that_is_away_is_wrong_and_its_password_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_checkup, "PATIENCE", 1.0)
    found = (await looked("postgresql://app:hunter2@127.0.0.1:1/chat"))["storage"]
    assert (found.state, bool(found.fix)) == ("wrong", True)
    assert "hunter2" not in str(found)
