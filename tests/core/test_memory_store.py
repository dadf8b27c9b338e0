"""What the store in memory adds to the port: it fails as planned, at the instant that was planned, and repeats itself."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
import trio
from trio.testing import MockClock

from trialogue import Conversation, Done, Entry, Flush, Receipt, StorageError, Store, Verdict
from trialogue.testing import STORE_CHECKS, Fault, MemoryStore, RandomFaults, StoreCheck, check_name

AT = datetime(2026, 1, 1, tzinfo=UTC)
HEADER = Conversation("c", "u", AT, AT)


@pytest.mark.parametrize("check", STORE_CHECKS, ids=check_name)
async def test_conforms(check: StoreCheck) -> None:
    store = MemoryStore()

    @asynccontextmanager
    async def open_store() -> AsyncGenerator[Store]:
        yield store

    await check(open_store)


async def opened() -> MemoryStore:
    store = MemoryStore()
    await store.create(HEADER, "n", Entry(0, 1, "conversation.created", b"{}"), Done("c", b"d", Receipt(0)))
    return store


async def flush(store: MemoryStore, number: int) -> Sequence[Verdict]:
    return await store.append([Flush("c", "n", 1, number, (Entry(number, 1, "usage", b"{}"),))])


async def next_seq(store: MemoryStore) -> int:
    position = await store.position("c")
    assert position is not None
    return position[1]


async def test_refused_call_does_nothing() -> None:
    store = await opened()
    store.faults.next("append", Fault("before"))
    with pytest.raises(StorageError):
        await flush(store, 1)
    assert await next_seq(store) == 1
    assert await flush(store, 1) == ["committed"]


async def test_lost_acknowledgement_is_found_by_the_retry() -> None:
    store = await opened()
    store.faults.next("append", Fault("after"))
    with pytest.raises(StorageError):
        await flush(store, 1)
    assert await next_seq(store) == 2
    assert await flush(store, 1) == ["committed"]
    assert await next_seq(store) == 2


async def test_late_request_lands_after_its_time_and_only_once(autojump_clock: MockClock) -> None:
    store = await opened()
    store.faults.next("append", Fault("late", lag=5))
    with pytest.raises(StorageError):
        await flush(store, 1)
    assert await next_seq(store) == 1
    assert await flush(store, 1) == ["committed"]
    await trio.sleep(6)
    assert await next_seq(store) == 2
    assert store.statistics().waiting == 0


async def test_late_request_lands_without_a_retry(autojump_clock: MockClock) -> None:
    store = await opened()
    store.faults.next("append", Fault("late", lag=5))
    with pytest.raises(StorageError):
        await flush(store, 1)
    await trio.sleep(5)
    assert await next_seq(store) == 2


async def test_delays_take_the_time_that_was_planned(autojump_clock: MockClock) -> None:
    store = await opened()
    store.faults.next("append", Fault(delay=2, lag=3))
    start = trio.current_time()
    await flush(store, 1)
    assert trio.current_time() - start == pytest.approx(5)


async def test_cancelled_before_its_instant_it_did_nothing(autojump_clock: MockClock) -> None:
    store = await opened()
    store.faults.next("append", Fault(delay=2))
    with trio.move_on_after(1):
        await flush(store, 1)
    assert await next_seq(store) == 1


async def test_cancelled_after_its_instant_it_happened(autojump_clock: MockClock) -> None:
    store = await opened()
    store.faults.next("append", Fault(lag=2))
    with trio.move_on_after(1):
        await flush(store, 1)
    assert await next_seq(store) == 2


async def test_full_disk_refuses_writes_and_serves_reads() -> None:
    store = await opened()
    store.faults.full = True
    with pytest.raises(StorageError, match="full") as caught:
        await flush(store, 1)
    assert caught.value.retry_after
    with pytest.raises(StorageError):
        await store.check()
    assert await next_seq(store) == 1
    store.faults.full = False
    assert await flush(store, 1) == ["committed"]


async def test_restored_backup_is_another_generation() -> None:
    store = await opened()
    backup = store.backup()
    await flush(store, 1)
    store.restore(backup)
    assert (await next_seq(store), store.generation) == (1, 2)


async def test_random_faults_repeat_themselves(autojump_clock: MockClock) -> None:
    async def played() -> list[str]:
        store = await opened()
        store.faults = RandomFaults(random.Random(3), 0.5)
        heard: list[str] = []
        for number in range(1, 40):
            try:
                heard += await flush(store, number)
            except StorageError as error:
                heard.append(error.detail)
        return heard

    first = await played()
    assert len(set(first)) > 2
    assert await played() == first


async def test_every_call_is_a_checkpoint() -> None:
    store = await opened()
    with trio.CancelScope() as scope:
        scope.cancel()
        await store.header("c")
    assert scope.cancelled_caught
