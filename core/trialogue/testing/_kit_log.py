"""Store checks: the log, its fence, and what makes a flush happen once."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import trio

from trialogue._commands import Receipt
from trialogue._events import Entry
from trialogue._ids import new_id
from trialogue._store import Done, Flush, Store
from trialogue._values import Message, TextPart
from trialogue.testing._kit_making import (
    FIRST,
    StoreCheck,
    Talk,
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
async def events_are_read_from_a_number_up_to_a_limit(store: Store) -> None:
    talk = await begin(store)
    await talk.write(*["usage"] * 9)
    assert [entry.seq for entry in await store.events(talk.id, 4, 3)] == [4, 5, 6]
    assert list(await store.events(talk.id, 10, 3)) == []
    assert list(await store.events(new_id(), 0, 3)) == []
    assert await store.position(new_id()) is None


@check
async def retry_is_committed_and_writes_nothing(store: Store) -> None:
    talk = await begin(store)
    first = await talk.write("usage", "usage")
    assert list(await store.append([first])) == ["committed"]
    assert await numbers(talk) == [0, 1, 2]


@check
async def attempt_that_arrives_after_its_retry_writes_nothing(store: Store) -> None:
    talk = await begin(store)
    stuck = await talk.write("usage")
    await talk.write("usage", "usage")
    assert list(await store.append([stuck])) == ["committed"]
    assert await numbers(talk) == [0, 1, 2, 3]
    await talk.write("usage")


@check
async def number_used_before_with_other_entries_writes_nothing(store: Store) -> None:
    talk = await begin(store)
    first = await talk.write("usage")
    again = msgspec.structs.replace(talk.flush("usage", "usage"), number=first.number)
    await store.append([again])
    longer = (*first.entries, *talk.flush("usage").entries)
    await store.append([msgspec.structs.replace(first, entries=longer)])
    assert await numbers(talk) == [0, 1]


@check
async def fence_stops_all_but_the_owner(store: Store) -> None:
    talk = await begin(store)
    good = talk.flush("usage")
    ahead = talk.flush("usage", "usage").entries[1:]
    wrong = [
        msgspec.structs.replace(good, node="node-b"),
        msgspec.structs.replace(good, epoch=2),
        msgspec.structs.replace(good, epoch=0),
        msgspec.structs.replace(good, entries=ahead),
        msgspec.structs.replace(good, entries=(FIRST,)),
        msgspec.structs.replace(good, conversation=new_id()),
    ]
    for flush in wrong:
        assert list(await store.append([flush])) == ["fenced"], flush
    assert await numbers(talk) == [0]
    await talk.write("usage")


@check
async def entries_with_a_hole_are_refused(store: Store) -> None:
    talk = await begin(store)
    first, _, third = talk.flush("usage", "usage", "usage").entries
    for entries in ((first, third), (third, first), (first, first)):
        assert list(await store.append([msgspec.structs.replace(talk.flush(), entries=entries)])) == ["fenced"]
    assert await numbers(talk) == [0]
    await talk.write("usage")


@check
async def fenced_flush_leaves_no_trace(store: Store) -> None:
    talk = await begin(store, title="Before")
    message = Message(new_id(), talk.id, "user", (TextPart("never said"),), minutes(1))
    done = Done(new_id(), b"d", Receipt(1))
    header = msgspec.structs.replace(talk.header, title="After", head=message.id)
    flush = talk.flush("usage", header=header, snapshot=b"s", unfinished=True, messages=(message,), done=(done,))
    assert list(await store.append([msgspec.structs.replace(flush, node="node-b")])) == ["fenced"]
    assert await store.header(talk.id) == talk.header
    assert await store.message(message.id) is None
    assert await store.receipt(talk.id, done.command) is None
    assert list(await store.unfinished("node-c")) == []
    assert list(await store.search("owner", "never", 10)) == []


@check
async def bad_flush_does_not_sink_the_others(store: Store) -> None:
    talks = [await begin(store) for _ in range(5)]
    flushes = [talk.flush("usage") for talk in talks]
    flushes[1] = msgspec.structs.replace(flushes[1], node="node-b")
    first, _, third = talks[3].flush("usage", "usage", "usage").entries
    flushes[3] = msgspec.structs.replace(flushes[3], entries=(first, third))
    assert list(await store.append(flushes)) == ["committed", "fenced", "committed", "fenced", "committed"]
    assert [await next_seq(talk) for talk in talks] == [2, 1, 2, 1, 2]


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
async def claim_raises_the_epoch_and_fences_the_owner_before(store: Store) -> None:
    talk = await begin(store)
    await talk.write("usage", snapshot=b"state")
    await talk.write("usage", "usage")
    stale = talk.flush("usage")
    claim = await store.claim(talk.id, "node-b")
    assert claim is not None
    assert (claim.epoch, claim.next_seq, claim.flush, claim.header) == (2, 4, 2, talk.header)
    assert (claim.snapshot, claim.snapshot_seq) == (b"state", 2)
    assert list(await store.append([stale])) == ["fenced"]
    await talk.claim("node-b")
    assert talk.epoch == 3
    await talk.write("usage")
    assert [entry.epoch for entry in await store.events(talk.id, 0, 10)] == [1, 1, 1, 1, 3]


@check
async def own_claim_fences_what_was_sent_before(store: Store) -> None:
    talk = await begin(store)
    stale = talk.flush("usage")
    await talk.claim(talk.node)
    assert list(await store.append([stale])) == ["fenced"]
    await talk.write("usage")


@check
async def claim_without_snapshot_starts_at_zero(store: Store) -> None:
    talk = await begin(store)
    claim = await store.claim(talk.id, "node-b")
    assert claim is not None
    assert (claim.snapshot, claim.snapshot_seq) == (None, 0)
    assert await store.claim(new_id(), "node-b") is None


@check
async def racing_claims_and_appends_leave_one_contiguous_log(store: Store) -> None:
    talk = await begin(store)

    async def contend(node: str) -> None:
        for _ in range(5):
            claim = await store.claim(talk.id, node)
            assert claim is not None
            rival = Talk(store, claim.header, node)
            rival.epoch, rival.next_seq, rival.number = claim.epoch, claim.next_seq, claim.flush + 1
            for _ in range(3):
                flush = rival.flush("usage")
                if list(await store.append([flush])) == ["fenced"]:
                    break
                rival.wrote(flush)

    async with trio.open_nursery() as nursery:
        for name in "abcd":
            nursery.start_soon(contend, name)
    entries = await store.events(talk.id, 0, 1_000)
    assert [entry.seq for entry in entries] == list(range(await next_seq(talk)))
    assert [entry.epoch for entry in entries] == sorted(entry.epoch for entry in entries)


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
async def command_takes_effect_once(store: Store) -> None:
    talk = await begin(store)
    done = Done(new_id(), b"d", Receipt(1))
    await talk.write("usage", done=(done,))
    assert list(await store.append([talk.flush("usage", done=(done,))])) == ["fenced"]
    assert await numbers(talk) == [0, 1]


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
    assert [hit.message for hit in await store.search("owner", "farewell", 10)] == [kept.id]
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
