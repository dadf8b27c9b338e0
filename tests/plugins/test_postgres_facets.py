"""Two servers on one database: room, content, holds, links and mentions are what they are said to be, whoever is first."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial

import msgspec
import pytest
import trio
from postgres_stores import open_dsn, open_schema, opening

from trialogue import (
    BudgetError,
    File,
    Hold,
    NotFoundError,
    QuotaError,
    Share,
    Space,
    Standing,
    StorageError,
    Store,
)
from trialogue.testing._kit_files import QUOTA, a_file, add, mention
from trialogue.testing._kit_ledger import ALWAYS, NOON, ended, run_of, spend, started
from trialogue.testing._kit_making import BEGAN, begin, minutes
from trialogue.testing._kit_sharing import link
from trialogue_postgres._connection import TrioConnection
from trialogue_postgres._database import rows, send
from trialogue_postgres._files_sql import ADD_MENTIONS
from trialogue_postgres._store import PostgresStore

ROUNDS = 8


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    with open_dsn() as dsn:
        yield dsn


@pytest.fixture
async def stores(dsn: str) -> AsyncGenerator[tuple[Store, Store]]:
    with open_schema(dsn) as url:
        async with opening(url) as one, opening(url) as other:
            yield one, other


async def together(*calls: Callable[[], Awaitable[object]]) -> None:
    async with trio.open_nursery() as nursery:
        for call in calls:
            nursery.start_soon(call)


async def test_room_is_set_aside_exactly(stores: tuple[Store, Store]) -> None:
    granted = 0

    async def reserve(number: int) -> None:
        nonlocal granted
        files = stores[number % 2].files
        try:
            await files.reserve(f"upload {number}", "owner", 100, quota=QUOTA, at=BEGAN, until=minutes(2))
        except QuotaError:
            return
        granted += 1

    async with trio.open_nursery() as nursery:
        for number in range(30):
            nursery.start_soon(reserve, number)
    assert granted == QUOTA // 100
    assert await stores[0].files.space("owner", BEGAN) == Space(0, 0, QUOTA)


async def test_last_two_names_of_content_go_at_once(stores: tuple[Store, Store]) -> None:
    one, other = stores
    for number in range(ROUNDS):
        content = str(number).encode()
        first, second = a_file(content), a_file(content)
        await add(one, first, second)
        await together(partial(one.files.drop, first.id), partial(other.files.drop, second.id))
    doomed = set(await one.files.doomed(minutes(60), 100))
    assert doomed == {hashlib.sha256(str(number).encode()).hexdigest() for number in range(ROUNDS)}


async def test_content_is_named_or_doomed_never_both(stores: tuple[Store, Store]) -> None:
    one, other = stores
    for number in range(ROUNDS):
        file = a_file(f"content {number}".encode())
        await one.files.keep([file.sha256], minutes(1))
        doomed: list[str] = []

        async def name(file: File = file) -> None:
            with suppress(StorageError):
                await one.files.add("an upload", [file])

        async def doom(doomed: list[str] = doomed) -> None:
            doomed += await other.files.doomed(minutes(60), 10)

        await together(name, doom)
        assert (await one.files.file(file.id) is None) == (file.sha256 in doomed)
        await one.files.forget(doomed)


#: Whether anybody waits for a lock.
WAITS = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


async def test_file_that_is_named_just_now_stays(stores: tuple[Store, Store]) -> None:
    """A conversation is purged, with what only it names, while another one is about to name the same."""
    one, other = stores
    assert isinstance(one, PostgresStore)
    database = one.database
    file = await add(one, a_file())
    first, second = await begin(one), await begin(one)
    await mention(first, file)
    message = await second.say("See there")
    purged = trio.Event()

    async def purge() -> None:
        await other.purge(first.id)
        purged.set()

    async def name(connection: TrioConnection) -> None:
        numbers = await rows(connection, "SELECT n FROM log WHERE id = %(id)s", {"id": second.id})
        columns = {"ns": [numbers[0][0]], "messages": [message.id], "files": [file.id]}
        await send(connection, ADD_MENTIONS, columns)
        nursery.start_soon(purge)
        while not purged.is_set() and not await database.read(WAITS):
            pass

    async with trio.open_nursery() as nursery:
        await database.write(name)
    assert await one.files.file(file.id) == file
    await one.purge(second.id)
    assert await one.files.file(file.id) is None


async def test_link_is_not_made_to_what_is_being_trashed(stores: tuple[Store, Store]) -> None:
    one, other = stores
    for _ in range(ROUNDS):
        talk = await begin(one)
        share = link(talk)

        async def make(share: Share = share) -> None:
            with suppress(NotFoundError):
                await other.shares.add(share)

        await together(make, partial(talk.change, deleted_at=minutes(1)))
        await talk.change(deleted_at=None)
        assert await one.shares.find(share.token) is None


async def test_nothing_is_granted_twice(stores: tuple[Store, Store]) -> None:
    """Twenty want 1,000 of 4,500, while others of the same owner end."""
    talks = [await begin(stores[number % 2]) for number in range(20)]
    charges = [await run_of(talk) for talk in talks]
    refused = 0

    def judge(of_owner: Standing, _: Standing | None) -> Hold:
        if of_owner.month_cost + of_owner.month_held + 1_000 > 4_500:
            raise BudgetError("no")
        return Hold(1_000, 0)

    async def reserve(number: int) -> None:
        nonlocal refused
        try:
            await stores[number % 2].ledger.reserve("owner", charges[number].run, judge)
        except BudgetError:
            refused += 1

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(reserve, number)
    assert refused == 16
    assert (await stores[0].ledger.standing("owner", None, NOON)).month_held == 4_000


async def test_sums_of_two_servers_are_complete(stores: tuple[Store, Store]) -> None:
    talks = [await begin(store, owner=owner) for store in stores for owner in ("ann", "bob")]

    async def work(number: int) -> None:
        for _ in range(ROUNDS):
            await spend(talks[number], model=f"m:{number % 2}")

    await together(*(partial(work, number) for number in range(4)))
    assert (await stores[0].ledger.total(None, *ALWAYS)).runs == 4 * ROUNDS
    for owner in ("ann", "bob"):
        found = await stores[1].ledger.total(owner, *ALWAYS)
        assert (found.runs, found.cost) == (2 * ROUNDS, 2 * ROUNDS * 7_000)


async def test_account_is_forgotten_while_its_runs_end(stores: tuple[Store, Store]) -> None:
    one, other = stores
    talk = await begin(one, owner="ann")

    async def work() -> None:
        for _ in range(ROUNDS):
            await spend(talk)

    async def forget() -> None:
        for _ in range(ROUNDS):
            await other.ledger.forget("ann")

    await together(work, forget)
    await other.ledger.forget("ann")
    assert (await one.ledger.total("ann", *ALWAYS)).runs == 0
    assert (await one.ledger.total(None, *ALWAYS)).runs == ROUNDS
    (gone,) = (await one.ledger.usage(None, "user", *ALWAYS, limit=5)).groups
    assert (gone.name, gone.runs) == (None, ROUNDS)


async def test_absurd_figures_do_not_stop_a_run(stores: tuple[Store, Store]) -> None:
    store, _ = stores
    talk = await begin(store)
    charge = started(talk)
    done = ended(charge)
    assert done.reported is not None
    absurd = msgspec.structs.replace(
        done, reported=msgspec.structs.replace(done.reported, input_tokens=2**80, cost=2**70)
    )
    await talk.write("run.completed", charges=(absurd,))
    assert await store.ledger.charge("owner", charge.run) == absurd
    assert (await store.ledger.total("owner", *ALWAYS)).input_tokens == 10**13
