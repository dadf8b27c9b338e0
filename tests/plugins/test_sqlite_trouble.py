"""Full disks, damage, failing jobs, cancelled scans: what was not acknowledged did not happen, and the store goes on."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import cast

import pytest
import trio

import trialogue_sqlite
from trialogue import ClosedError, ConflictError, SearchQuery, StorageError
from trialogue.testing._kit_accounts import someone
from trialogue.testing._kit_making import Talk, begin, next_seq, numbers
from trialogue_sqlite import _readers
from trialogue_sqlite import _sql as sql
from trialogue_sqlite._driver import Bindings, Connection, Rows, connect
from trialogue_sqlite._reads import read_view
from trialogue_sqlite._store import SQLiteStore


@asynccontextmanager
async def opened(data: Path) -> AsyncGenerator[SQLiteStore]:
    opening = trialogue_sqlite.trialogue_store("sqlite:", data)
    assert opening is not None
    async with opening as store:
        assert isinstance(store, SQLiteStore)
        yield store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    async with opened(tmp_path / "data") as store:
        yield store


async def fill(talk: Talk) -> StorageError:
    """Write until the disk is full; what the store then said."""
    for _ in range(2_000):
        try:
            await talk.write(*["part.delta"] * 50)
        except StorageError as error:
            return error
    raise AssertionError("the disk never filled up")


async def test_full_database_is_told_and_recovers(store: SQLiteStore) -> None:
    talk = await begin(store)
    pages = await store.writer.run(lambda connection: int(connection.pragma("page_count")))
    await store.writer.run(lambda connection: connection.pragma("max_page_count", pages + 20))
    error = await fill(talk)
    assert "full" in error.detail
    assert error.retry_after
    with pytest.raises(StorageError, match="full"):
        await talk.say("word " * 5_000)
    assert await numbers(talk) == list(range(talk.next_seq))
    await store.writer.run(lambda connection: connection.pragma("max_page_count", 1 << 30))
    await talk.write("usage")
    await talk.say("word")
    assert await numbers(talk) == list(range(talk.next_seq))


@pytest.mark.skipif(os.getuid() != 0, reason="a small file system can only be mounted by root")
async def test_full_disk_is_told_and_recovers(tmp_path: Path) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", tmp_path], capture_output=True)  # noqa: ASYNC221
    if mounted.returncode:
        pytest.skip(f"no file system may be mounted here: {mounted.stderr.decode()}")
    try:
        ballast = tmp_path / ".ballast"
        ballast.write_bytes(bytes(1_000_000))
        async with opened(tmp_path) as store:
            talk = await begin(store)
            error = await fill(talk)
            assert "full" in error.detail
            assert await numbers(talk) == list(range(talk.next_seq))
            ballast.unlink()
            await talk.write("usage")
            assert await numbers(talk) == list(range(talk.next_seq))
        async with opened(tmp_path) as store:
            talk.store = store
            assert await numbers(talk) == list(range(talk.next_seq))
    finally:
        subprocess.run(["umount", tmp_path], check=True)  # noqa: ASYNC221


async def test_one_failing_job_takes_none_with_it(store: SQLiteStore) -> None:
    """Twenty jobs wait for one commit; one of them fails with an error of the driver's, one with ours."""
    user = await store.accounts.add_user(someone("a@example.org"), "hash")
    heard: list[object] = []
    busy = trio.Event()
    token = trio.lowlevel.current_trio_token()

    def hold(_: Connection) -> None:
        token.run_sync_soon(busy.set)
        time.sleep(0.2)  # In the writer's thread: the others gather behind it.

    def write_and_fail(connection: Connection) -> None:
        connection.execute("DELETE FROM account")
        connection.execute("INSERT INTO nothing VALUES (1)")

    async def job(number: int) -> None:
        try:
            if number == 7:
                await store.writer.run(write_and_fail)
            elif number == 9:
                await store.accounts.add_user(someone(user.email), "hash")
            else:
                await store.accounts.add_user(someone(f"{number}@example.org"), "hash")
        except (StorageError, ConflictError) as error:
            heard.append(type(error))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.writer.run, hold)
        await busy.wait()
        before = store.statistics().commits
        for number in range(20):
            nursery.start_soon(job, number)
    assert sorted(map(str, heard)) == sorted(map(str, [StorageError, ConflictError]))
    assert store.statistics().commits - before == 1
    assert await store.accounts.user(user.id) == user
    for number in set(range(20)) - {7, 9}:
        assert await store.accounts.user_secret(f"{number}@example.org") is not None


async def test_view_is_of_one_moment(store: SQLiteStore, tmp_path: Path) -> None:
    """A write that commits between two of a view's statements is in none of them."""
    talk = await begin(store)
    first = await talk.say("first")
    reader, writer = (connect(tmp_path / "data/trialogue.db", write=write) for write in (False, True))

    class Interrupted:
        """The reader, with a message that is removed behind its back after the first statement that reads."""

        @property
        def in_transaction(self) -> bool:
            return reader.in_transaction

        def execute(self, statement: str, values: Bindings = ()) -> Rows:
            rows = reader.execute(statement, values)
            if statement == sql.VIEW:
                writer.execute("UPDATE message SET removed = 1")
            return rows

    view = read_view(cast("Connection", Interrupted()), talk.id, 10, 100_000)
    assert view is not None
    assert view.messages == (first,)
    assert await store.message(first.id) is None
    reader.close()
    writer.close()


async def test_queued_write_is_not_cancelled(store: SQLiteStore) -> None:
    """Its caller learns what became of it, and is cancelled at its next checkpoint."""
    talk = await begin(store)
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(talk.write, "usage")
            nursery.start_soon(store.writer.run, lambda _: time.sleep(0.05))
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
    assert talk.next_seq == 2
    assert await next_seq(talk) == 2


async def test_loop_goes_on_while_the_writer_works(store: SQLiteStore) -> None:
    turns = 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.writer.run, lambda _: time.sleep(0.2))
        await trio.testing.wait_all_tasks_blocked()
        end = trio.current_time() + 0.1
        while trio.current_time() < end:
            await trio.lowlevel.checkpoint()
            turns += 1
    assert turns > 100


ENDLESS = "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


async def test_cancelled_scan_ends_at_once(store: SQLiteStore) -> None:
    start = trio.current_time()
    with trio.move_on_after(0.05) as scope:
        await store._readers.far(lambda connection: connection.execute(ENDLESS).get)
    assert scope.cancelled_caught
    assert trio.current_time() - start < 0.3
    assert (await store.index.search("owner", SearchQuery("word"), 5)).hits == ()


async def test_scan_that_takes_too_long_is_ended(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_readers, "LONGEST", 0.05)
    with pytest.raises(StorageError, match="too long"):
        await store._readers.far(lambda connection: connection.execute(ENDLESS).get)
    monkeypatch.undo()
    assert (await store.index.search("owner", SearchQuery("word"), 5)).hits == ()


async def test_cancelled_scans_leave_no_connections_behind(store: SQLiteStore) -> None:
    async def scan() -> None:
        with trio.move_on_after(0.02):
            await store._readers.far(lambda connection: connection.execute(ENDLESS).get)

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(scan)
    assert len(store._readers._idle) <= _readers.SCANS


async def test_damage_met_later_is_told_with_advice(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        talk = await begin(store)
        for _ in range(40):
            await talk.say("word " * 300)
    async with opened(tmp_path) as store:
        talk.store = store
        with (tmp_path / "trialogue.db").open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            for page in range(4096 * 8, size, 4096):
                file.seek(page)
                file.write(b"\xff" * 4096)
        with pytest.raises(StorageError, match=r"damaged.*backup"):
            await store.view(talk.id, 100)


async def test_closed_store_says_so(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        talk = await begin(store)
    for call in (partial(store.header, talk.id), partial(store.leaf, talk.id, "x"), partial(store.purge, talk.id)):
        with pytest.raises(ClosedError):
            await call()


async def test_two_stores_live_side_by_side(tmp_path: Path) -> None:
    async with opened(tmp_path / "one") as one, opened(tmp_path / "two") as two:
        talk = await begin(one)
        assert await two.header(talk.id) is None
