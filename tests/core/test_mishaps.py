"""Mishaps at bad moments: a store that is slow or refuses just then, a claim that comes late, an end in mid-command."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from msgspec.structs import replace
from support import NOW, fold, open_talk

from trialogue import (
    ClosedError,
    EditMessage,
    Limits,
    MessageRevised,
    Receipt,
    RemoveMessage,
    Request,
    ResponseStream,
    Stop,
    StorageError,
    TextPart,
    TrialogueError,
    new_id,
    open_engine,
)
from trialogue.testing import Fail, Fault, MemoryStore, Pause, ScriptedProvider

QUICK = Limits(idle=2.0, last_flush=2.0)


async def test_flush_under_way_is_finished_while_stopping(autojump_clock: trio.testing.MockClock) -> None:
    store, receipts = MemoryStore(), list[Receipt]()
    with trio.fail_after(60):
        async with trio.open_nursery() as callers, open_engine(store, [ScriptedProvider()], QUICK) as engine:
            talk = await open_talk(engine)

            async def post() -> None:
                receipts.append(await talk.post("hi", respond=False))

            store.faults.next("append", Fault(delay=1.0))
            callers.start_soon(post)
            await trio.sleep(0.5)
    assert [type(event).__name__ for event in await talk.events()][:2] == ["ConversationCreated", "MessageAdded"]
    assert receipts


async def test_flush_that_cannot_be_finished_is_told(autojump_clock: trio.testing.MockClock) -> None:
    store, errors = MemoryStore(), list[TrialogueError]()
    with trio.fail_after(60):
        async with trio.open_nursery() as callers, open_engine(store, [ScriptedProvider()], QUICK) as engine:
            talk = await open_talk(engine)

            async def post() -> None:
                try:
                    await talk.post("hi", respond=False)
                except TrialogueError as error:
                    errors.append(error)

            store.faults.next("append", *(Fault(delay=60.0) for _ in range(9)))
            callers.start_soon(post)
            await trio.sleep(0.5)
    assert [type(error) for error in errors] == [ClosedError]


async def test_answer_that_ends_while_it_is_looked_up_is_corrected_as_it_is(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store = MemoryStore()
    async with open_engine(store, [ScriptedProvider(["all", Pause(1)], ["next", Pause(1), "more"])], QUICK) as engine:
        talk = await open_talk(engine)
        first = await talk.post("hi")
        await talk.post("and")
        assert first.answer is not None
        # Its row is read while it is being written, and the answer comes after its end.
        store.faults.next("message", Fault(lag=1.5))
        edit = EditMessage("e", NOW, first.answer, *_ids(), (TextPart("mended"),), talk.model)
        await engine.submit(talk.id, edit)
        events = await talk.settled()
        assert [e.message.status for e in events if isinstance(e, MessageRevised)] == ["completed"]
        rows = [await store.message(name) for name in fold(events).messages]
        assert all(row is not None and row.status == "completed" for row in rows)


async def test_removal_takes_back_what_waits_below(autojump_clock: trio.testing.MockClock) -> None:
    async with open_engine(MemoryStore(), [ScriptedProvider(["a"], ["b", Pause(5)])], QUICK) as engine:
        talk = await open_talk(engine)
        first = await talk.post("one")
        await talk.settled()
        assert first.message is not None
        await engine.submit(talk.id, EditMessage("e", NOW, first.message, *_ids(), (TextPart("two"),), talk.model))
        waits = await engine.submit(talk.id, replace(talk.post_command("aside"), parent=first.answer))
        assert waits.queued
        await engine.submit(talk.id, RemoveMessage("r", NOW, first.message))
        reader = fold(await talk.settled())
        assert waits.message not in reader.messages
        assert reader.head in reader.messages


async def test_store_that_refuses_at_the_start_delays_what_was_left(autojump_clock: trio.testing.MockClock) -> None:
    store = MemoryStore()
    provider = ScriptedProvider(["some", Pause(1), "more"], continues=True)
    async with open_engine(store, [provider], QUICK) as engine:
        talk = await open_talk(engine)
        receipt = await talk.post("hi")
        await trio.sleep(0.5)
    store.faults.next("unfinished", *(Fault("before") for _ in range(8)))
    store.faults.next("claim", Fault("before"))
    store.faults.next("prune", *(Fault("before") for _ in range(8)))
    async with open_engine(store, [provider], QUICK) as engine:
        talk.engine = engine
        assert fold(await talk.settled()).text(receipt.answer or "") == "somemore"


async def test_late_claim_of_our_own_leaves_no_run_to_nobody(autojump_clock: trio.testing.MockClock) -> None:
    store = MemoryStore()
    provider = ScriptedProvider(["some", Pause(2), "more"], continues=True)
    async with open_engine(store, [provider], QUICK) as engine:
        talk = await open_talk(engine)
        store.faults.next("claim", Fault("late", lag=1.0))
        with pytest.raises(StorageError):
            await talk.post("hi")
        receipt = await talk.post("hi")
        with trio.fail_after(60):
            assert fold(await talk.settled()).text(receipt.answer or "") == "somemore"


async def test_message_taken_in_vain_is_answered_when_it_is_taken_again(autojump_clock: trio.testing.MockClock) -> None:
    store = MemoryStore()
    provider = ScriptedProvider([Pause(1), Fail("broken")], ["lost"], ["second"], ["third"])
    async with open_engine(store, [provider], QUICK) as engine:
        talk = await open_talk(engine)
        await talk.post("one")
        second = await talk.post("two")
        await store.claim(talk.id, "another node")  # The end of the first run, with the second's start, is fenced off.
        await trio.sleep(2)
        await talk.post("three")
        with trio.fail_after(60):
            assert fold(await talk.settled()).ends[second.run or ""] == ["RunCompleted"]


async def test_stop_said_twice_is_answered_twice_when_the_run_is_gone(
    autojump_clock: trio.testing.MockClock,
) -> None:
    provider = _Reluctant([("a", "b"), Pause(1000)])
    async with open_engine(MemoryStore(), [provider], QUICK) as engine:
        talk = await open_talk(engine)
        await talk.post("hi")
        await talk.until("part.delta")

        async def stop() -> None:
            await engine.submit(talk.id, Stop("s", NOW))
            assert provider.open_streams == 0

        async with trio.open_nursery() as nursery:
            nursery.start_soon(stop)
            nursery.start_soon(stop)


async def test_run_that_ends_while_stopping_starts_no_other(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_engine(MemoryStore(), [_Reluctant(["a"], ["b"])], QUICK) as engine:
        talk = await open_talk(engine)
        await talk.post("one")
        await talk.post("two")
        await trio.sleep(0.15)  # The first answer is complete, and its provider is letting go.
    assert not [record for record in caplog.records if "crash" in record.getMessage()]


async def test_owner_fenced_while_draining_drains_all_the_same(autojump_clock: trio.testing.MockClock) -> None:
    store = MemoryStore()
    async with open_engine(store, [ScriptedProvider(["a"])], QUICK) as engine:
        talk = await open_talk(engine)
        await talk.post("hi")
        await store.claim(talk.id, "another node")
        store.faults.next("append", Fault(delay=1.0))
        await engine.drain(10)
        assert trio.current_time() < 10


class _Reluctant(ScriptedProvider):
    """Takes its time to let go of the upstream."""

    @asynccontextmanager
    async def open_response(self, request: Request) -> AsyncIterator[ResponseStream]:
        async with super().open_response(request) as stream:
            try:
                yield stream
            finally:
                with trio.move_on_after(1, shield=True):
                    await trio.sleep(0.2)


def _ids() -> tuple[str, str, str]:
    return new_id(), new_id(), new_id()
