"""Store checks: the fence, claims, and what makes a flush happen once and wholly or not at all."""

from __future__ import annotations

import msgspec
import trio

from trialogue._deciding.commands import Receipt
from trialogue._facts.ids import new_id
from trialogue._facts.values import Message, TextPart
from trialogue._search.search import SearchQuery
from trialogue._storage.store import Done, Store
from trialogue.testing._kit_making import (
    FIRST,
    StoreCheck,
    Talk,
    begin,
    checks_in,
    minutes,
    next_seq,
    numbers,
)

FENCE_CHECKS: list[StoreCheck] = []
check = checks_in(FENCE_CHECKS)


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
async def flush_without_entries_is_of_its_log(store: Store) -> None:
    """One that was decided on a log with more, or less, in it says nothing about this one."""
    talk = await begin(store)
    await talk.write("usage", "usage")
    done = Done(new_id(), b"d", Receipt(2))
    for elsewhere in (0, talk.next_seq - 1, talk.next_seq + 1):
        assert list(await store.append([talk.flush(done=(done,), next_seq=elsewhere)])) == ["fenced"]
    assert await store.receipt(talk.id, done.command) is None
    await talk.write(done=(done,), next_seq=talk.next_seq)
    assert await store.receipt(talk.id, done.command) == done


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
    assert (await store.index.search("owner", SearchQuery("never"), 10)).hits == ()


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
async def command_takes_effect_once(store: Store) -> None:
    talk = await begin(store)
    done = Done(new_id(), b"d", Receipt(1))
    await talk.write("usage", done=(done,))
    assert list(await store.append([talk.flush("usage", done=(done,))])) == ["fenced"]
    assert await numbers(talk) == [0, 1]
