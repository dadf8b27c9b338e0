"""Store checks: the log, its receipts, and how it is pruned and purged."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import trio

from trialogue._deciding.commands import Receipt
from trialogue._facts.events import Entry
from trialogue._facts.ids import new_id
from trialogue._search.search import SearchQuery
from trialogue._storage.store import Done, Flush, Store
from trialogue.testing._kit_making import (
    FIRST,
    StoreCheck,
    begin,
    checks_in,
    creation,
    minutes,
    next_seq,
    numbers,
)

LOG_CHECKS: list[StoreCheck] = []
check = checks_in(LOG_CHECKS)


@check
async def new_conversation_has_entry_zero(store: Store) -> None:
    talk = await begin(store, title="First")
    assert list(await store.events(talk.id, 0, 10)) == [FIRST]
    assert await store.position(talk.id) == (0, 1)
    assert await store.header(talk.id) == talk.header


@check
async def creating_again_returns_what_the_first_did(store: Store) -> None:
    talk = await begin(store, title="First")
    other = msgspec.structs.replace(talk.header, title="Second")
    again = await store.create(other, "node-b", FIRST, Done(talk.id, b"another digest", Receipt(9)))
    assert again == creation(talk.header)
    assert await store.header(talk.id) == talk.header
    await talk.write("usage")  # It is still node-a's.


@check
async def appended_entries_come_back_in_order_as_they_were(store: Store) -> None:
    talk = await begin(store)
    data = '{"type":"part.delta","text":"é \\"quoted\\" \\n \\u0000 \\ud83d\\ude00 🦉 漢字"}'.encode()
    entries = tuple(Entry(1 + place, 1, "part.delta", data) for place in range(5))
    assert list(await store.append([Flush(talk.id, talk.node, 1, 1, entries)])) == ["committed"]
    assert list(await store.events(talk.id, 0, 100)) == [FIRST, *entries]


@check
async def flush_of_another_generation_is_fenced(store: Store) -> None:
    talk, other = await begin(store), await begin(store)
    entry = Entry(1, 1, "usage", b"{}")
    old = Flush(talk.id, talk.node, 1, 1, (entry,), generation=store.generation + 1)
    new = Flush(other.id, other.node, 1, 1, (entry,), generation=store.generation)
    assert list(await store.append([old, new])) == ["fenced", "committed"]
    assert list(await store.append([old])) == ["fenced"]
    assert list(await store.events(talk.id, 0, 100)) == [FIRST]
    await talk.write("usage")  # Its place is still free.


@check
async def events_are_read_from_a_number_up_to_a_limit(store: Store) -> None:
    talk = await begin(store)
    await talk.write(*["usage"] * 9)
    assert [entry.seq for entry in await store.events(talk.id, 4, 3)] == [4, 5, 6]
    assert list(await store.events(talk.id, 10, 3)) == []
    assert list(await store.events(new_id(), 0, 3)) == []
    assert await store.position(new_id()) is None


@check
async def many_flushes_commit_together(store: Store) -> None:
    talks = [await begin(store) for _ in range(300)]
    for _ in range(2):
        flushes = [talk.flush("part.delta", "part.delta") for talk in talks]
        assert list(await store.append(flushes)) == ["committed"] * 300
        for talk, flush in zip(talks, flushes, strict=True):
            talk.wrote(flush)
    assert [await numbers(talk) for talk in talks] == [[0, 1, 2, 3, 4]] * 300


@check
async def no_flushes_are_no_error(store: Store) -> None:
    assert list(await store.append([])) == []


@check
async def flush_without_entries_keeps_its_rows(store: Store) -> None:
    talk = await begin(store)
    done = Done(new_id(), b"d", Receipt(0))
    flush = await talk.write(done=(done,))
    assert list(await store.append([flush])) == ["committed"]
    assert await store.receipt(talk.id, done.command) == done
    assert await next_seq(talk) == 1
    await talk.write("usage")


@check
async def concurrent_appends_all_commit(store: Store) -> None:
    async def run() -> None:
        talk = await begin(store)
        for _ in range(10):
            await talk.write("part.delta")
        assert await numbers(talk) == list(range(11))

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(run)


@check
async def receipts_are_kept_by_conversation(store: Store) -> None:
    talk, other = await begin(store), await begin(store)
    done = Done(new_id(), bytes(range(32)), Receipt(seq=1, message="m", run="r", answer="a", queued=True))
    await talk.write("usage", done=(done,))
    assert await store.receipt(talk.id, done.command) == done
    assert await store.receipt(talk.id, talk.id) == creation(talk.header)
    assert await store.receipt(other.id, done.command) is None
    assert await store.receipt(new_id(), done.command) is None


@check
async def unfinished_are_those_of_other_nodes(store: Store) -> None:
    ours, theirs = await begin(store), await begin(store, node="node-b")
    await begin(store, node="node-b")
    await ours.write("run.started", unfinished=True)
    await theirs.write("run.started", unfinished=True)
    assert list(await store.unfinished("node-a")) == [theirs.id]
    assert sorted(await store.unfinished("node-c")) == sorted([ours.id, theirs.id])
    await theirs.write("part.delta")
    assert list(await store.unfinished("node-a")) == [theirs.id]
    await theirs.write("run.completed", unfinished=False)
    assert list(await store.unfinished("node-a")) == []


@check
async def unfinished_of_an_owner_are_told_with_their_states(store: Store) -> None:
    live, quiet, theirs = await begin(store), await begin(store), await begin(store, owner="another")
    await live.write("run.started", unfinished=True, snapshot=b"one")
    await quiet.write("run.completed", unfinished=False, snapshot=b"two")
    await theirs.write("run.started", unfinished=True, snapshot=b"three")
    assert list(await store.unfinished_of("owner", 10)) == [b"one"]
    await live.write("inbox.added", unfinished=True, snapshot=b"four")
    assert list(await store.unfinished_of("owner", 10)) == [b"four"]
    assert list(await store.unfinished_of("owner", 0)) == []
    await live.write("run.completed", unfinished=False, snapshot=b"five")
    assert list(await store.unfinished_of("owner", 10)) == []
    assert list(await store.unfinished_of("nobody", 10)) == []


@check
async def prune_removes_parts_of_what_is_finished_and_old(store: Store) -> None:
    old, live, young = await begin(store), await begin(store), await begin(store, updated_at=minutes(60))
    for talk in (old, live, young):
        await talk.write("run.started", "part.started", "part.delta", "part.ended", "run.completed")
    await live.write("run.started", unfinished=True)
    assert await store.prune(minutes(60), 10) == 1
    assert await store.position(old.id) == (6, 6)
    assert await numbers(old) == [0, 1, 5]
    assert await store.position(live.id) == (0, 7)
    assert await store.position(young.id) == (0, 6)
    assert await store.prune(minutes(60), 10) == 0
    await old.write("usage")
    assert await store.position(old.id) == (6, 7)


@check
async def prune_finds_what_came_of_age_since(store: Store) -> None:
    talk = await begin(store)
    await talk.write("part.delta")
    await talk.write("run.started", unfinished=True)
    assert await store.prune(minutes(60), 10) == 0
    header = msgspec.structs.replace(talk.header, updated_at=minutes(90))
    await talk.write("part.delta", "run.completed", unfinished=False, header=header)
    assert await store.prune(minutes(60), 10) == 0
    assert await store.prune(minutes(120), 10) == 1
    assert await numbers(talk) == [0, 2, 4]


@check
async def prune_takes_no_more_than_its_limit(store: Store) -> None:
    for _ in range(5):
        await (await begin(store)).write("part.delta")
    before = minutes(0) + timedelta(microseconds=1)
    assert [await store.prune(before, 2) for _ in range(4)] == [2, 2, 1, 0]


@check
async def purge_leaves_nothing(store: Store) -> None:
    talk, other = await begin(store), await begin(store)
    message = await talk.say("farewell")
    kept = await other.say("farewell")
    await store.purge(talk.id)
    await store.purge(talk.id)
    assert await store.header(talk.id) is None
    assert await store.view(talk.id, 10) is None
    assert await store.message(message.id) is None
    assert list(await store.events(talk.id, 0, 10)) == []
    assert await store.receipt(talk.id, talk.id) is None
    assert await store.claim(talk.id, "node-b") is None
    assert list(await store.append([talk.flush("usage")])) == ["fenced"]
    assert [hit.id for hit in (await store.index.search("owner", SearchQuery("farewell"), 10)).hits] == [kept.id]
    again = await begin(store, id=talk.id)
    assert await numbers(again) == [0]


@check
async def statistics_count(store: Store) -> None:
    before = store.statistics()
    talk = await begin(store)
    await talk.write("usage", "usage")
    await store.check()
    after = store.statistics()
    assert after.entries - before.entries == 3
    assert after.jobs > before.jobs
    assert after.commits > before.commits
    assert 1 <= store.generation <= 9999
