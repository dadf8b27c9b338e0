"""The engine as its users see it: what is said is answered, in order, once, and nothing acknowledged is lost."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
import trio
import trio.testing
from support import NOW, Talk, fold, open_talk, split_frames

from trialogue import (
    ClosedError,
    ConflictError,
    CreateConversation,
    FaultedError,
    FencedError,
    InvalidError,
    LimitError,
    Limits,
    NotFoundError,
    PartDelta,
    ReasoningPart,
    ReasoningPiece,
    RunCompleted,
    RunFailed,
    RunIncomplete,
    RunStarted,
    Settings,
    Stop,
    StorageError,
    TextPart,
    UpdateConversation,
    Usage,
    UsagePiece,
    UsageReported,
    decide,
    new_id,
    open_engine,
    text_of,
)
from trialogue.testing import Fail, Fault, MemoryStore, Pause, Script, ScriptedProvider


@asynccontextmanager
async def talking(
    *scripts: Script,
    store: MemoryStore | None = None,
    limits: Limits | None = None,
    continues: bool = False,
    forever: bool = False,
) -> AsyncIterator[tuple[Talk, ScriptedProvider]]:
    provider = ScriptedProvider(*scripts, continues=continues, forever=forever)
    async with open_engine(store or MemoryStore(), [provider], limits or Limits()) as engine:
        yield await open_talk(engine), provider


async def answer_of(talk: Talk, message: str | None) -> str:
    assert message is not None
    row = await talk.engine.store.message(message)
    assert row is not None
    return text_of(row.parts)


async def test_message_is_answered_and_stored(autojump_clock: trio.testing.MockClock) -> None:
    async with talking([("Hello", " wor"), "ld"]) as (talk, provider):
        receipt = await talk.post("hi")
        reader = fold(await talk.settled())
        assert reader.text(receipt.answer or "") == "Hello world" == await answer_of(talk, receipt.answer)
        assert reader.ends[receipt.run or ""] == ["RunCompleted"]
        assert reader.title == "hi"
        assert [text_of(message.parts) for message in provider.requests[0].messages] == ["hi"]


async def test_five_tokens_make_one_delta_and_the_first_goes_at_once(autojump_clock: trio.testing.MockClock) -> None:
    async with talking(["a", Pause(0.01), tuple("bcdefghijkl")]) as (talk, _):
        await talk.post("hi")
        deltas = [e for e in await talk.settled() if isinstance(e, PartDelta)]
        assert [(delta.text, delta.tokens) for delta in deltas] == [("a", 1), ("bcdef", 5), ("ghijk", 5), ("l", 1)]


async def test_reasoning_and_text_are_parts_of_their_own(autojump_clock: trio.testing.MockClock) -> None:
    async with talking([(ReasoningPiece("hm"), ReasoningPiece("m"), "yes"), ReasoningPiece("or"), "no"]) as (talk, _):
        receipt = await talk.post("hi")
        reader = fold(await talk.settled())
        assert reader.parts[receipt.answer or ""] == ["hmm", "yes", "or", "no"]
        assert reader.kinds[receipt.answer or ""] == ["reasoning", "text", "reasoning", "text"]


async def test_messages_sent_meanwhile_wait_and_are_answered_in_order(autojump_clock: trio.testing.MockClock) -> None:
    async with talking([Pause(1), "one"], ["two"], ["three"]) as (talk, provider):
        await talk.post("1")
        second, third = await talk.post("2"), await talk.post("3")
        assert second.queued
        assert third.queued
        snapshot = await talk.engine.snapshot(talk.id)
        assert [queued.message.id for queued in snapshot.inbox] == [second.message, third.message]
        reader = fold(await talk.settled())
        assert reader.text(third.answer or "") == "three"
        asked = [text_of(message.parts) for message in provider.requests[2].messages]
        assert asked == ["1", "one", "2", "two", "3"]


async def test_interrupt_replaces_what_is_being_said(autojump_clock: trio.testing.MockClock) -> None:
    async with talking(["start", Pause(100), "never"], ["now"]) as (talk, provider):
        first = await talk.post("1")
        await talk.until("part.delta")
        second = await talk.post("2", policy="interrupt")
        assert not second.queued
        reader = fold(await talk.settled())
        assert reader.ends[first.run or ""] == ["RunCancelled"]
        assert await answer_of(talk, first.answer) == "start"
        assert await answer_of(talk, second.answer) == "now"
        assert provider.open_streams == 0


async def test_no_more_wait_than_the_limits_say(autojump_clock: trio.testing.MockClock) -> None:
    async with talking(["a", Pause(3), "b"], limits=Limits(inbox=2)) as (talk, _):
        await talk.post("1")
        for _ in range(2):
            await talk.post("2", respond=False)
        with pytest.raises(LimitError, match="2 messages are waiting already"):
            await talk.post("3")


async def test_latest_replaces_what_waits(autojump_clock: trio.testing.MockClock) -> None:
    async with talking([Pause(1), "one"], ["last"]) as (talk, provider):
        await talk.post("1")
        await talk.post("2")
        last = await talk.post("3", policy="latest")
        await talk.settled()
        assert len(provider.requests) == 2
        assert await answer_of(talk, last.answer) == "last"


async def test_steer_goes_before_what_waits(autojump_clock: trio.testing.MockClock) -> None:
    async with talking([Pause(1), "one"], ["two"], ["three"]) as (talk, _):
        await talk.post("1")
        later = await talk.post("2")
        sooner = await talk.post("3", policy="steer")
        await talk.settled()
        assert await answer_of(talk, sooner.answer) == "two"
        assert await answer_of(talk, later.answer) == "three"


async def test_reject_is_the_only_busy_answer(autojump_clock: trio.testing.MockClock) -> None:
    async with talking([Pause(1), "one"]) as (talk, _):
        await talk.post("1")
        with pytest.raises(ConflictError) as caught:
            await talk.post("2", policy="reject")
        assert caught.value.pointer == "/policy"
        await talk.settled()


async def test_stop_answers_when_nothing_is_left_of_the_run(autojump_clock: trio.testing.MockClock) -> None:
    async with talking([("a", "b", "c"), Pause(1000)]) as (talk, provider):
        posted = await talk.post("hi")
        await talk.until("part.delta")
        receipt = await talk.stop()
        assert provider.open_streams == 0
        assert (receipt.run, receipt.output_tokens, receipt.estimated) == (posted.run, 3, True)
        assert fold(await talk.events()).ends[posted.run or ""] == ["RunCancelled"]
        assert (await talk.stop()).run is None


async def test_command_repeated_takes_effect_once(autojump_clock: trio.testing.MockClock) -> None:
    async with talking(["one"]) as (talk, provider):
        command = talk.post_command("hi")
        first = await talk.engine.submit(talk.id, command)
        again = msgspec.structs.replace(command, at=command.at, run=new_id(), answer=new_id())
        assert await talk.engine.submit(talk.id, again) == first
        await talk.settled()
        assert await talk.engine.submit(talk.id, again) == first
        assert len(provider.requests) == 1


async def test_id_used_for_another_command_is_a_conflict(autojump_clock: trio.testing.MockClock) -> None:
    async with talking(["one"]) as (talk, _):
        command = talk.post_command("hi")
        await talk.engine.submit(talk.id, command)
        with pytest.raises(ConflictError):
            await talk.engine.submit(talk.id, msgspec.structs.replace(command, parts=(TextPart("other"),)))


async def test_command_that_changes_nothing_is_answered_alike_later(autojump_clock: trio.testing.MockClock) -> None:
    async with talking([Pause(1), "x"]) as (talk, _):
        command = Stop(new_id(), NOW)
        first = await talk.engine.submit(talk.id, command)
        assert first.run is None
        posted = await talk.post("hi")
        assert await talk.engine.submit(talk.id, command) == first
        assert fold(await talk.settled()).ends[posted.run or ""] == ["RunCompleted"]


async def test_message_id_that_is_taken_is_a_conflict(autojump_clock: trio.testing.MockClock) -> None:
    async with talking([Pause(1), "x"]) as (talk, _):
        first, waiting = await talk.post("hi"), await talk.post("wait")
        other = await open_talk(talk.engine)
        for taken, where in [(first.message, talk), (waiting.message, talk), (first.message, other)]:
            command = msgspec.structs.replace(where.post_command("again", command=new_id()), message=taken or "")
            with pytest.raises(ConflictError) as caught:
                await talk.engine.submit(where.id, command)
            assert caught.value.pointer == "/id"
        await talk.settled()


async def test_creation_repeated_is_answered_alike(autojump_clock: trio.testing.MockClock) -> None:
    async with talking() as (talk, _):
        command = CreateConversation(new_id(), "ann", NOW, title="mine")
        assert await talk.engine.create(command) == await talk.engine.create(command)
        with pytest.raises(ConflictError):
            await talk.engine.create(msgspec.structs.replace(command, owner="bob"))


async def test_provider_that_fails_is_told_in_the_log(autojump_clock: trio.testing.MockClock) -> None:
    async with talking(["so far", Fail("unavailable", "upstream is down")]) as (talk, _):
        receipt = await talk.post("hi")
        last = (await talk.settled())[-1]
        assert isinstance(last, RunFailed)
        assert (last.failure.code, last.failure.detail) == ("provider_unavailable", "upstream is down")
        assert last.failure.retryable
        assert await answer_of(talk, receipt.answer) == "so far"


async def test_provider_that_stalls_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    async with talking(["so far", Pause(10_000)], limits=Limits(stall=7, failovers=0)) as (talk, provider):
        await talk.post("hi")
        began = trio.current_time()
        last = (await talk.settled())[-1]
        assert isinstance(last, RunFailed)
        assert last.failure.code == "provider_stalled"
        assert trio.current_time() - began < 8
        assert provider.open_streams == 0


async def test_provider_that_never_ends_is_cut(autojump_clock: trio.testing.MockClock) -> None:
    async with talking(["word ", Pause(1)], forever=True, limits=Limits(run_seconds=30)) as (talk, _):
        await talk.post("hi")
        last = (await talk.settled())[-1]
        assert isinstance(last, RunIncomplete)
        assert last.reason == "max_seconds"


async def test_answer_that_grows_too_long_is_cut(autojump_clock: trio.testing.MockClock) -> None:
    async with talking(["0123456789"], forever=True, limits=Limits(run_characters=50)) as (talk, provider):
        await talk.post("hi")
        last = (await talk.settled())[-1]
        assert isinstance(last, RunIncomplete)
        assert last.reason == "max_characters"
        assert provider.open_streams == 0


async def test_plugin_that_raises_something_else_degrades_alone(autojump_clock: trio.testing.MockClock) -> None:
    class Bad(ScriptedProvider):
        def _steps(self, request: object) -> object:  # type: ignore[override]
            raise ZeroDivisionError

    async with open_engine(MemoryStore(), [Bad()]) as engine:
        talk = await open_talk(engine)
        await talk.post("hi")
        last = (await talk.settled())[-1]
        assert isinstance(last, RunFailed)
        assert last.failure.code == "internal"
        assert "ZeroDivision" not in last.failure.detail


async def test_usage_reported_is_kept_and_absent_is_not_zero(autojump_clock: trio.testing.MockClock) -> None:
    usage = Usage("reported", input_tokens=3, output_tokens=0)
    async with talking(["x", UsagePiece(usage)], ["y"]) as (talk, _):
        receipt = await talk.post("hi")
        await talk.settled()
        row = await talk.engine.store.message(receipt.answer or "")
        assert row is not None
        assert row.usage == usage
        await talk.post("again")
        estimated = [e for e in await talk.settled() if isinstance(e, UsageReported)][-1].usage
        assert estimated == Usage("estimated", input_tokens=estimated.input_tokens, output_tokens=1)
        assert estimated.input_tokens


async def test_run_of_a_dead_process_goes_on_from_its_text(autojump_clock: trio.testing.MockClock) -> None:
    store = MemoryStore()
    script: Script = ["The answer", Pause(5), " goes on"]
    async with talking(script, store=store, continues=True) as (talk, _):
        receipt = await talk.post("hi")
        await talk.until("part.delta")
    async with open_engine(store, [ScriptedProvider(script, continues=True)]) as engine:
        later = Talk(engine, talk.id, talk.model)
        events = await later.settled()
        reader = fold(events)
        assert reader.text(receipt.answer or "") == "The answer goes on" == await answer_of(later, receipt.answer)
        assert reader.ends[receipt.run or ""] == ["RunInterrupted"]
        recovered = [e for e in events if isinstance(e, RunStarted)][-1]
        assert (recovered.cause, recovered.attempt) == ("recover", 2)
        assert isinstance(events[-1], RunCompleted)


async def test_run_of_a_dead_process_is_closed_when_the_model_cannot_go_on(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store = MemoryStore()
    async with talking(["The answer", Pause(5), " goes on"], store=store) as (talk, _):
        receipt = await talk.post("hi")
        waiting = await talk.post("and?")
        await talk.until("part.delta")
    async with open_engine(store, [ScriptedProvider(["well"])]) as engine:
        later = Talk(engine, talk.id, talk.model)
        reader = fold(await later.settled())
        assert reader.ends[receipt.run or ""] == ["RunInterrupted"]
        row = await engine.store.message(receipt.answer or "")
        assert row is not None
        assert (row.status, text_of(row.parts)) == ("incomplete", "The answer")
        assert row.failure is not None
        assert row.failure.code == "interrupted"
        assert await answer_of(later, waiting.answer) == "well"


async def test_answer_that_is_interrupted_again_and_again_is_not_gone_on_with_for_ever(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store = MemoryStore()
    # A wait right behind what was said is not waited again, so each start says one more.
    script: Script = ["x", Pause(1000)] * 15
    async with talking(script, store=store, continues=True) as (talk, _):
        receipt = await talk.post("hi")
        await talk.until("part.delta")
    for _ in range(12):
        async with open_engine(store, [ScriptedProvider(script, continues=True)]):
            await trio.sleep(1)
    events = await Talk(talk.engine, talk.id, talk.model).events()
    assert [e.attempt for e in events if isinstance(e, RunStarted)] == list(range(1, 11))
    row = await store.message(receipt.answer or "")
    assert row is not None
    assert (row.status, text_of(row.parts)) == ("incomplete", "x" * 10)


async def test_older_owner_is_fenced_and_can_show_nothing(autojump_clock: trio.testing.MockClock) -> None:
    store = MemoryStore()
    async with talking(["old", Pause(5), "er"], store=store, continues=True) as (talk, provider):
        receipt = await talk.post("hi")
        await talk.until("part.delta")
        async with open_engine(store, [ScriptedProvider(["old", "new"], continues=True)]) as other:
            later = Talk(other, talk.id, talk.model)
            other.wake(talk.id)
            await later.settled()
            await trio.sleep(10)
            assert await answer_of(later, receipt.answer) == "oldnew"
            assert provider.open_streams == 0
            assert "er" not in fold(await later.events()).parts[receipt.answer or ""]


async def test_older_owner_refuses_nothing(autojump_clock: trio.testing.MockClock) -> None:
    """It knows only what was said up to its own end: what it would refuse may well be right."""
    store = MemoryStore()
    async with talking(["Hello"], store=store) as (talk, _):
        await talk.post("hi")
        await talk.settled()
        async with open_engine(store, []) as other:
            title = UpdateConversation(new_id(), NOW, title="theirs")
            receipt = await other.submit(talk.id, title)
            header = await store.header(talk.id)
            assert header is not None
            mine = UpdateConversation(new_id(), NOW, title="mine", expected=header.version)
            with pytest.raises(FencedError):
                await talk.engine.submit(talk.id, mine)
            # Asked again, it looks who owns it, and is up to date.
            await talk.engine.submit(talk.id, mine)
            assert receipt.seq < (await talk.engine.snapshot(talk.id)).seq


async def test_lost_acknowledgement_of_a_flush_is_harmless(autojump_clock: trio.testing.MockClock) -> None:
    store = MemoryStore()
    async with talking([tuple("abcdef"), "g"], store=store) as (talk, _):
        for _ in range(3):
            store.faults.next("append", Fault(fail="after"), Fault(fail="before"))
            with pytest.raises(StorageError):
                await talk.post("hi")
            await talk.settled()
        reader = fold(await talk.events())
        assert len([row for row in reader.messages.values() if row["role"] == "user"]) == 3


async def test_provider_is_asked_while_the_question_is_committed_and_shows_nothing_before(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store = MemoryStore()
    async with talking(["at once"], store=store) as (talk, provider):
        store.faults.next("append", Fault(delay=3))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(talk.post, "hi")
            await trio.sleep(2)
            assert len(provider.requests) == 1
            assert [text_of(message.parts) for message in provider.requests[0].messages] == ["hi"]
            assert len(await talk.events()) == 1
        await talk.settled()


async def test_provider_is_not_asked_while_the_store_refuses(autojump_clock: trio.testing.MockClock) -> None:
    store = MemoryStore()
    async with talking(["a", Pause(1), "b", Pause(1), "c"], ["two"], store=store) as (talk, provider):
        await talk.post("hi")
        waiting = await talk.post("and?")
        await talk.until("part.delta")
        # The store refuses "b"; then the answer ends, and it is the waiting message's turn.
        store.faults.full = True
        await trio.sleep(10)
        assert provider.open_streams == 0
        assert len(provider.requests) == 1
        store.faults.full = False
        await talk.settled()
        assert await answer_of(talk, waiting.answer) == "two"


async def test_full_disk_is_told_and_nothing_is_lost(autojump_clock: trio.testing.MockClock) -> None:
    store = MemoryStore()
    async with talking(["a", Pause(1), "b", Pause(1), "c"], ["later"], store=store) as (talk, _):
        receipt = await talk.post("hi")
        await talk.until("part.delta")
        store.faults.full = True
        await trio.sleep(1.5)
        with pytest.raises(StorageError):
            await talk.post("again")
        assert talk.engine.statistics()["flusher"]["failing"]  # type: ignore[index]
        store.faults.full = False
        await talk.settled()
        assert await answer_of(talk, receipt.answer) == "abc"


async def test_what_is_refused_while_the_store_fails_holds_nothing_of_what_was_refused_before(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store = MemoryStore()
    async with talking(["a", Pause(1), "b"], store=store) as (talk, _):
        await talk.post("hi")
        await talk.until("part.delta")
        store.faults.full = True
        await trio.sleep(1.5)
        depths: list[int] = []
        for _again in range(3):
            with pytest.raises(StorageError) as refused:
                await talk.post("again")
            depths.append(len(traceback.extract_tb(refused.tb)))
        assert len(set(depths)) == 1
        store.faults.full = False
        await talk.settled()


async def test_provider_is_not_read_while_too_much_waits_for_the_store(autojump_clock: trio.testing.MockClock) -> None:
    store = MemoryStore()
    limits = Limits(pending_bytes=20_000, run_characters=10**9)
    async with talking(["x" * 1000], forever=True, store=store, limits=limits) as (talk, provider):
        await talk.post("hi")
        await talk.until("part.delta")
        store.faults.full = True
        await trio.sleep(30)
        read = provider.batches
        await trio.sleep(30)
        assert provider.batches == read < 100
        store.faults.full = False
        await talk.until("part.delta")
        await trio.sleep(5)
        assert provider.batches > read
        await talk.stop()


async def test_conversation_that_crashes_too_often_is_parked_alone(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with talking(["x"]) as (talk, _):
        good = await open_talk(talk.engine)

        def explode(state: object, *rest: object) -> object:
            if state.header.id == talk.id:  # type: ignore[attr-defined]
                raise ZeroDivisionError
            return real(state, *rest)  # type: ignore[arg-type]

        real = decide
        monkeypatch.setattr("trialogue._actors.cell.decide", explode)
        for _ in range(4):
            with pytest.raises(Exception, match="send it again"):
                await talk.post("hi")
        with pytest.raises(FaultedError):
            await talk.post("hi")
        await good.post("hi")
        await good.settled()


async def test_draining_finishes_runs_and_takes_nothing_new(autojump_clock: trio.testing.MockClock) -> None:
    async with talking(["a", Pause(3), "b"]) as (talk, _):
        receipt = await talk.post("hi")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(talk.engine.drain, 10)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(ClosedError):
                await talk.post("again")
        assert fold(await talk.events()).ends[receipt.run or ""] == ["RunCompleted"]
        assert trio.current_time() < 5


async def test_idle_conversations_rest_and_wake_up(autojump_clock: trio.testing.MockClock) -> None:
    async with talking(["one"], ["two"], limits=Limits(idle=10)) as (talk, provider):
        await talk.post("1")
        await talk.settled()
        await trio.sleep(30)
        assert talk.engine.statistics()["cells"] == {}
        receipt = await talk.post("2")
        await talk.settled()
        assert await answer_of(talk, receipt.answer) == "two"
        assert len(provider.requests[1].messages) == 3


async def test_reader_resumes_at_every_event(autojump_clock: trio.testing.MockClock) -> None:
    async with talking([tuple("abcdefgh"), Pause(1), "i", ReasoningPiece("j")]) as (talk, _):
        await talk.post("hi")
        await talk.settled()
        tail = await talk.engine.watch(talk.id)
        whole, end = await tail.read_log(0)
        frames = split_frames(whole)
        for place, (cursor, _, _) in enumerate(frames):
            preface, seq = await talk.engine.resume(talk.id, cursor)
            assert preface == b""
            rest, last = await tail.read_log(seq)
            assert split_frames(rest) == frames[place + 1 :]
            assert last == end


async def test_snapshot_and_tail_meet_without_a_seam(autojump_clock: trio.testing.MockClock) -> None:
    async with talking(["one ", Pause(1), "two ", Pause(1), "three"]) as (talk, _):
        receipt = await talk.post("hi")
        await talk.until("part.delta")
        snapshot = await talk.engine.snapshot(talk.id)
        assert snapshot.run is not None
        assert snapshot.run.run == receipt.run
        shown = text_of(msgspec.json.decode(snapshot.messages[-1], type=_Shown).parts)
        await talk.settled()
        rest = [e for e in (await talk.events())[snapshot.seq + 1 :] if isinstance(e, PartDelta)]
        assert shown + "".join(delta.text for delta in rest) == "one two three"
        assert rest[0].offset == len(shown)


class _Shown(msgspec.Struct):
    parts: tuple[TextPart, ...]
    siblings: tuple[str, ...]


@pytest.mark.parametrize(
    "cursor", ["0002.0000000002.000000000003", "0001.0000000009.000000000003", "0001.0000000002.000000009999"]
)
async def test_cursor_of_another_log_is_told_to_start_over(autojump_clock: trio.testing.MockClock, cursor: str) -> None:
    async with talking(["x"]) as (talk, _):
        await talk.post("hi")
        await talk.settled()
        preface, seq = await talk.engine.resume(talk.id, cursor)
        assert [kind for _, kind, _ in split_frames(preface)] == ["reset", "snapshot"]
        assert seq == len(await talk.events())


@pytest.mark.parametrize("cursor", ["", "x", "1.2.3", "0001.0000000002.00000000000٣", "9" * 5000])
async def test_text_that_is_no_cursor_is_refused(autojump_clock: trio.testing.MockClock, cursor: str) -> None:
    async with talking() as (talk, _):
        with pytest.raises(InvalidError):
            await talk.engine.resume(talk.id, cursor)


async def test_what_is_not_there_is_not_found(autojump_clock: trio.testing.MockClock) -> None:
    async with talking() as (talk, _):
        nowhere = Talk(talk.engine, new_id(), talk.model)
        for attempt in (nowhere.post, nowhere.engine.watch, nowhere.engine.snapshot):
            with pytest.raises(NotFoundError):
                await attempt(new_id())


async def test_model_nobody_serves_is_refused_by_name(autojump_clock: trio.testing.MockClock) -> None:
    async with talking() as (talk, _):
        assert await talk.engine.resolve(None) == "scripted:script"
        for model in ("other:script", "script", "scripted:", "scripted:other"):
            with pytest.raises(InvalidError) as caught:
                await talk.engine.resolve(model)
            assert caught.value.pointer == "/model"


async def test_version_seen_guards_a_change(autojump_clock: trio.testing.MockClock) -> None:
    async with talking() as (talk, _):
        await talk.engine.submit(talk.id, UpdateConversation(new_id(), NOW, title="a", expected=0))
        with pytest.raises(ConflictError) as caught:
            await talk.engine.submit(talk.id, UpdateConversation(new_id(), NOW, title="b", expected=0))
        assert caught.value.pointer == "/expected"
        await talk.engine.submit(talk.id, UpdateConversation(new_id(), NOW, settings=Settings(temperature=0.5)))
        header = await talk.engine.store.header(talk.id)
        assert header is not None
        assert (header.title, header.settings.temperature) == ("a", 0.5)


async def test_what_is_alive_can_be_printed(autojump_clock: trio.testing.MockClock) -> None:
    async with talking([Pause(1), "x"]) as (talk, _):
        await talk.post("hi")
        tree = talk.engine.tree()
        assert "flusher [up]" in tree
        assert talk.id in tree
        assert talk.engine.statistics()["cells"] == {"running": 1}
        await talk.settled()


async def test_signature_stays_with_its_thought_and_is_shown_to_the_model_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """What a provider wants back of a thought is kept through the log and the store."""
    thought = (ReasoningPiece("hm"), ReasoningPiece("", "seal"), "yes")
    async with talking([thought], ["no"]) as (talk, provider):
        await talk.post("?")
        await talk.settled()
        await talk.post("!")
        await talk.settled()
    assert provider.requests[1].messages[1].parts == (ReasoningPart("hm", "seal"), TextPart("yes"))


async def test_signatures_count_as_what_was_said(autojump_clock: trio.testing.MockClock) -> None:
    seals: Script = [ReasoningPiece("", "x" * 40)] * 9
    async with talking(seals, limits=Limits(run_characters=100)) as (talk, _):
        await talk.post("?")
        (end,) = [event for event in await talk.settled() if isinstance(event, RunIncomplete)]
        assert end.reason == "max_characters"
