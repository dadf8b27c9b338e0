"""Connections to a real PostgreSQL on Trio, and the pool that lends them: cancellation, crashes, bounds."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
import trio
from postgres_server import PostgresServer, open_server
from psycopg.pq import TransactionStatus

from trialogue import StorageError
from trialogue_postgres._connection import TrioConnection, open_connection
from trialogue_postgres._pool import Pool, PoolTimeout


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with open_server("max_connections=40") as server:
        yield server


@pytest.fixture
async def connection(server: PostgresServer) -> AsyncIterator[TrioConnection]:
    connection = await open_connection(server.dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def pool(server: PostgresServer) -> AsyncIterator[Pool]:
    pool = Pool(server.dsn, 4)
    yield pool
    pool.close()


async def one(connection: TrioConnection, query: str, *values: object) -> object:
    cursor = await connection.execute(query, values or None)
    row = await cursor.fetchone()
    return row and row[0]


#: Others that run something.
BUSY = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND client_port > 0"


# --- a connection ----------------------------------------------------------------------------------------------------


async def test_queries_transactions_and_pipelines(connection: TrioConnection) -> None:
    assert await one(connection, "SELECT %s::int + 1", 41) == 42
    await connection.execute("CREATE TEMP TABLE t (n int)")
    async with connection.transaction():
        await connection.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(psycopg.DataError):
        await _insert_and_fail(connection)
    async with connection.pipeline():
        first = await connection.execute("SELECT count(*) FROM t")
        second = await connection.execute("SELECT 7")
    assert (await first.fetchone(), await second.fetchone()) == ((1,), (7,))


async def _insert_and_fail(connection: TrioConnection) -> None:
    async with connection.transaction():
        await connection.execute("INSERT INTO t VALUES (2)")
        await connection.execute("SELECT 1 / 0")


@pytest.mark.parametrize("query", ["SELECT pg_sleep(30)", "SELECT count(*) FROM generate_series(1, 1000000000)"])
async def test_cancelled_query_ends_on_the_server(
    connection: TrioConnection, server: PostgresServer, query: str
) -> None:
    pid = connection.info.backend_pid
    began = trio.current_time()
    with trio.move_on_after(0.05) as scope:
        await connection.execute(query)
    assert scope.cancelled_caught
    assert trio.current_time() - began < 20
    assert connection.pgconn.transaction_status == TransactionStatus.IDLE
    assert await one(connection, "SELECT pg_backend_pid()") == pid
    assert await one(connection, BUSY) == 0


async def test_cancelled_transaction_is_rolled_back(connection: TrioConnection) -> None:
    await connection.execute("CREATE TEMP TABLE t (n int)")
    with trio.move_on_after(0.05):
        async with connection.transaction():
            await connection.execute("INSERT INTO t VALUES (1)")
            await trio.sleep_forever()
    assert connection.pgconn.transaction_status == TransactionStatus.IDLE
    assert await one(connection, "SELECT count(*) FROM t") == 0


async def test_cancelled_pipeline_leaves_a_connection_that_works(connection: TrioConnection) -> None:
    with trio.move_on_after(0.05):
        async with connection.pipeline():
            await connection.execute("SELECT pg_sleep(30)")
            await trio.sleep_forever()
    assert connection.closed or await one(connection, "SELECT 1") == 1


async def test_call_in_a_cancelled_scope_costs_nothing(connection: TrioConnection) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await connection.execute("SELECT 1")
    assert await one(connection, "SELECT 1") == 1


async def test_server_that_is_not_there_is_said() -> None:
    with pytest.raises(psycopg.OperationalError):
        await open_connection("postgresql://a@127.0.0.1:1/x")


async def test_server_that_says_nothing_is_not_waited_for() -> None:
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, _say_nothing, listeners)
        port = listeners[0].socket.getsockname()[1]
        with pytest.raises(psycopg.OperationalError, match="within"):
            await open_connection(f"postgresql://a@127.0.0.1:{port}/x", timeout=0.1)
        nursery.cancel_scope.cancel()


async def _say_nothing(_: trio.SocketStream) -> None:
    await trio.sleep_forever()


# --- the pool --------------------------------------------------------------------------------------------------------


async def test_no_more_than_the_bound_are_open(pool: Pool) -> None:
    most = 0

    async def work() -> None:
        nonlocal most
        async with pool.lend() as connection:
            most = max(most, pool.statistics().size)
            await connection.execute("SELECT pg_sleep(0.001)")

    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(work)
    found = pool.statistics()
    assert (most, found.size, found.idle, found.waiting) == (4, 4, 4, 0)


async def test_who_gets_none_in_time_is_told(pool: Pool) -> None:
    async with pool.lend(), pool.lend(), pool.lend(), pool.lend():
        with pytest.raises(PoolTimeout, match="within"):
            async with pool.lend(0.05):
                pass
    async with pool.lend(0.05):
        pass


async def test_storm_of_cancelled_borrowers_uses_nothing_up(pool: Pool) -> None:
    """Thousands of callers with random deadlines; afterwards every connection is back, and none is in a transaction."""
    source = random.Random(3)
    right = wrong = 0

    async def work(number: int, patience: float) -> None:
        nonlocal right, wrong
        with trio.move_on_after(patience):
            async with pool.lend() as connection, connection.transaction():
                answer = await one(connection, "SELECT %s::int FROM pg_sleep(%s)", number, source.uniform(0, 0.002))
                right, wrong = right + (answer == number), wrong + (answer != number)

    for _ in range(8):
        async with trio.open_nursery() as nursery:
            for number in range(250):
                nursery.start_soon(work, number, source.uniform(0, 0.2))
    assert wrong == 0
    assert right > 50
    found = pool.statistics()
    assert (found.waiting, found.size) == (0, found.idle)
    async with pool.lend() as connection:
        open_ones = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%%'"
        assert await one(connection, open_ones) == 0


async def test_borrower_that_leaves_a_transaction_open_is_tidied_up_after(pool: Pool) -> None:
    async with pool.lend() as connection:
        await connection.execute("BEGIN")
    async with pool.lend() as connection:
        assert connection.pgconn.transaction_status == TransactionStatus.IDLE
    assert pool.statistics().opened == 1


async def test_crash_of_the_server_costs_only_what_was_under_way(pool: Pool, server: PostgresServer) -> None:
    async with pool.lend(), pool.lend():
        pass
    server.crash()
    server.start()
    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(_ask, pool)
    assert pool.statistics().discarded == 2


async def _ask(pool: Pool) -> None:
    async with pool.lend() as connection:
        assert await one(connection, "SELECT 1") == 1


async def test_backend_that_is_terminated_is_replaced(pool: Pool) -> None:
    async with pool.lend() as victim, pool.lend() as other:
        await other.execute("SELECT pg_terminate_backend(%s::int)", (victim.info.backend_pid,))
        with pytest.raises(psycopg.OperationalError):
            await victim.execute("SELECT 1")
    await _ask(pool)


async def test_invalidated_connections_are_not_lent_again(pool: Pool) -> None:
    async with pool.lend() as before:
        pool.invalidate()
    async with pool.lend() as after:
        assert after is not before
    assert before.closed


@pytest.mark.parametrize(
    ("dsn", "words"),
    [("postgresql://nobody@127.0.0.1:{}/trialogue", "nobody"), ("postgresql://tester@127.0.0.1:{}/absent", "absent")],
)
async def test_what_time_does_not_mend_is_said_at_once(server: PostgresServer, dsn: str, words: str) -> None:
    pool = Pool(dsn.format(server.port), 2)
    with trio.fail_after(5), pytest.raises(StorageError, match=words):
        async with pool.lend():
            pass
