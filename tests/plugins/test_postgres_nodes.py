"""Nodes over a real PostgreSQL where it matters that it is real: lost connections, and a server that was promoted."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator

import pytest
import trio
from postgres_stores import connect, open_dsn, open_schema, opening

from trialogue import Load, Store
from trialogue.testing._kit_nodes import LONG, info


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    with open_dsn() as dsn:
        yield dsn


@pytest.fixture
def url(dsn: str) -> Iterator[str]:
    with open_schema(dsn) as url:
        yield url


@pytest.fixture
async def store(url: str) -> AsyncGenerator[Store]:
    async with opening(url) as store:
        yield store


def end_connections(url: str, doing: str) -> int:
    """Have the server end the others whose last statement was like this; how many there were."""
    with connect(url) as connection:
        found = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query LIKE %s",
            (f"%{doing}%",),
        ).fetchall()
        return len(found)


async def test_listener_comes_back_and_knows_that_it_missed_something(store: Store, url: str) -> None:
    assert store.nodes is not None
    bus = store.nodes.bus
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bus.run)
        with bus.listen() as ear, trio.fail_after(20):
            assert await ear.hear() is None
            assert await ear.hear() is None, "from here on it hears"
            bus.say(b"one")
            assert await ear.hear() == b"one"
            assert end_connections(url, "LISTEN") == 1
            assert await ear.hear() is None
            bus.say(b"two")
            assert await ear.hear() == b"two"
        nursery.cancel_scope.cancel()


async def test_renewer_makes_a_new_connection_when_it_has_lost_one(store: Store, url: str) -> None:
    assert store.nodes is not None
    renewer = store.nodes.renewer(info("one"), LONG)
    assert renewer is not None
    try:
        await trio.to_thread.run_sync(renewer.renew, Load())
        assert end_connections(url, "INSERT INTO node") == 1
        with pytest.raises(Exception, match="PostgreSQL"):
            await trio.to_thread.run_sync(renewer.renew, Load())
        assert not (await trio.to_thread.run_sync(renewer.renew, Load())).lapsed
    finally:
        renewer.close()


async def test_generation_rises_for_all_when_the_server_was_promoted(store: Store, url: str) -> None:
    """As after a failover to another timeline, with the nodes up."""
    assert store.nodes is not None
    before = (await store.nodes.members()).generation
    async with opening(url) as other:
        assert other.nodes is not None
        with connect(url) as connection:
            moved = "UPDATE store SET value = replace(value, '/0', '/F') WHERE key = 'whereabouts' RETURNING value"
            assert "/F" in str(connection.execute(moved).fetchone())
        assert (await store.nodes.members()).generation == before + 1
        assert (await other.nodes.members()).generation == before + 1
        assert store.generation == other.generation == before + 1
        assert (await store.nodes.members()).generation == before + 1
