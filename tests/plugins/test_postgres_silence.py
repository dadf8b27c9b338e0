"""A PostgreSQL that falls silent, its connections open: nobody waits for ever, and nobody takes silence for consent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import pytest
import trio
from chaos.proxy import Proxy, open_proxy
from postgres_server import PostgresServer, open_server
from postgres_stores import empty, open_schema, opening

from trialogue import Load, NodeInfo, StorageError
from trialogue.testing._kit_making import begin
from trialogue.testing.memory_store import system_now
from trialogue_postgres import _connection, _database
from trialogue_postgres._rows import Rows
from trialogue_postgres._store import PostgresStore


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with open_server() as server:
        yield server


@pytest.fixture(scope="module")
def schema(server: PostgresServer) -> Iterator[str]:
    with open_schema(server.dsn) as url:
        yield url


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds are long for a test."""
    monkeypatch.setattr(_connection, "SILENCE", 0.6)
    monkeypatch.setattr(_connection, "LAST_WORDS", 0.2)
    monkeypatch.setattr(_database, "APPENDING", 0.6)


@asynccontextmanager
async def behind_a_proxy(schema: str) -> AsyncIterator[tuple[PostgresStore, Proxy]]:
    """A store that reaches PostgreSQL by a link that can fail."""
    empty(schema)
    parts = urlsplit(schema)
    assert parts.port is not None
    async with open_proxy(parts.port) as proxy:
        place = f"{parts.username}@127.0.0.1:{proxy.port}"
        async with opening(urlunsplit(parts._replace(netloc=place))) as store:
            assert isinstance(store, PostgresStore)
            with trio.fail_after(20):
                yield store, proxy
            proxy.heal()


async def test_commit_that_is_not_answered_is_no_success(schema: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows were written and the COMMIT never arrived: nothing of it happened, and nobody may be told otherwise."""
    async with behind_a_proxy(schema) as (store, proxy):
        talk = await begin(store)
        flush = talk.flush("message.added", header=talk.header)
        write = Rows.write

        async def write_and_lose(rows: Rows, connection: _connection.TrioConnection) -> None:
            await write(rows, connection)
            proxy.hold(down=False)

        with monkeypatch.context() as patched:
            patched.setattr(Rows, "write", write_and_lose)
            with pytest.raises(StorageError, match="not answer"):
                await store.append([flush])
        proxy.reset()
        proxy.heal()
        assert await store.append([flush]) == ["committed"]


async def test_transaction_that_is_not_answered_is_no_success(schema: str) -> None:
    async with behind_a_proxy(schema) as (store, proxy):

        async def work(connection: _connection.TrioConnection) -> str:
            await connection.execute(b"CREATE TABLE never (n int)")
            proxy.hold(down=False)
            return "done"

        with pytest.raises(StorageError, match="not answer"):
            await store.database.write(work)
        proxy.reset()
        proxy.heal()
        assert await store.database.first("SELECT to_regclass('never')::text") == (None,)


@pytest.mark.parametrize("how", ["hold", "forget"])
async def test_silent_server_is_not_waited_for(schema: str, how: str) -> None:
    async with behind_a_proxy(schema) as (store, proxy):
        talk = await begin(store)
        await talk.write("message.added")
        proxy.hold() if how == "hold" else proxy.forget()
        flush = talk.flush("message.added", header=talk.header)
        with pytest.raises(StorageError, match="not answer"):
            await store.append([flush])
        proxy.reset()
        proxy.heal()
        assert await store.append([flush]) == ["committed"]
        assert await store.header(talk.id) is not None


async def test_reads_go_on_on_a_new_connection_and_try_no_other_old_one(schema: str) -> None:
    async with behind_a_proxy(schema) as (store, proxy):
        talk = await begin(store)
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(store.header, talk.id)
        assert proxy.forget() > 3
        began = trio.current_time()
        assert await store.header(talk.id) is not None
        assert trio.current_time() - began < 3 * (_connection.SILENCE + _connection.LAST_WORDS)


async def test_lease_is_renewed_on_another_connection(schema: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trialogue_postgres._renewing.PATIENCE", 1)
    async with behind_a_proxy(schema) as (store, proxy):
        node = NodeInfo("node", "node", "", "1", system_now())
        renewer = store.nodes.renewer(node, 5)
        assert renewer is not None
        try:
            await trio.to_thread.run_sync(renewer.renew, Load())
            proxy.forget()
            with pytest.raises(StorageError, match="did not answer"):
                await trio.to_thread.run_sync(renewer.renew, Load())
            await trio.to_thread.run_sync(renewer.renew, Load())
        finally:
            renewer.close()
