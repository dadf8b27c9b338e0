"""Conversations that begin with what was said before: the log folds to what was asked for, and forks tell the truth."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from support import NOW, Talk, fold, open_talk

from trialogue import (
    AddMessages,
    Beginning,
    ConflictError,
    Conversation,
    ConversationCreated,
    Engine,
    ForkConversation,
    ForkedFrom,
    InvalidError,
    LimitError,
    Limits,
    Message,
    MessageRevised,
    NotFoundError,
    Part,
    ReasoningPart,
    State,
    TextPart,
    UpdateConversation,
    begin,
    evolve,
    new_id,
    open_engine,
    text_of,
)
from trialogue._deciding.history import cut, events_of, prepare
from trialogue._deciding.state import decode_state
from trialogue.testing import MemoryStore, Pause, Script, ScriptedProvider


@asynccontextmanager
async def opened(script: Script, **limits: Any) -> AsyncGenerator[Engine]:
    provider = ScriptedProvider(script)
    async with open_engine(MemoryStore(), [provider], Limits(**limits)) as engine:
        await engine.models()
        yield engine


def fork_of(talk: Talk, **fields: object) -> ForkConversation:
    values: dict[str, object] = {"id": new_id(), "owner": "ann", "at": NOW, "source": talk.id, **fields}
    return msgspec.convert(values, ForkConversation)


# --- a beginning -----------------------------------------------------------------------------------------------------


@st.composite
def beginnings(draw: st.DrawFn) -> Beginning:
    """A tree of messages, some corrected, in a conversation with any header."""
    messages: list[Message] = []
    for number in range(draw(st.integers(0, 8))):
        parent = draw(st.sampled_from([None, *(message.id for message in messages)]))
        at = NOW + timedelta(seconds=draw(st.integers(0, 99)))
        messages.append(Message(f"m{number}", "c", "assistant", (TextPart(draw(st.text(max_size=5))),), at, parent))
    revised = draw(st.lists(st.sampled_from(messages), max_size=3, unique_by=lambda one: one.id)) if messages else []
    header = Conversation(
        "c",
        "ann",
        NOW,
        NOW + timedelta(seconds=draw(st.integers(0, 99))),
        title=draw(st.none() | st.text(max_size=5)),
        archived=draw(st.booleans()),
        pinned=draw(st.booleans()),
        head=draw(st.sampled_from([None, *(message.id for message in messages)])),
        deleted_at=draw(st.none() | st.just(NOW)),
        forked_from=draw(st.none() | st.just(ForkedFrom("a", "b", 3))),
    )
    corrections = (MessageRevised(replace(one, parts=(TextPart("better"),), revision=1), NOW) for one in revised)
    return Beginning(header, tuple(messages), tuple(corrections))


@settings(max_examples=150, deadline=None)
@given(beginnings())
def test_log_of_a_beginning_folds_to_its_header(beginning: Beginning) -> None:
    state: State | None = None
    log = list(events_of(beginning))
    for event in log:
        state = begin(event) if isinstance(event, ConversationCreated) else evolve(state, event)  # type: ignore[arg-type]
    assert state is not None
    assert state.header == replace(beginning.header, version=len(log) - 1)
    made = prepare(beginning)
    assert made.header == state.header
    assert decode_state(made.history.snapshot) == state
    reader = fold(log)
    assert {row.id: [text_of(row.parts)] for row in made.history.messages} == {
        name: ["".join(parts)] for name, parts in reader.parts.items()
    }
    assert [entry.seq for entry in (made.entry, *made.history.entries)] == list(range(len(log)))


HEADER = Conversation("c", "ann", NOW, NOW)


def said(name: str, parent: str | None = None, **fields: object) -> Message:
    return msgspec.convert(
        {"id": name, "conversation": "c", "role": "user", "parts": (), "created_at": NOW, "parent": parent, **fields},
        Message,
    )


@pytest.mark.parametrize(
    ("messages", "head"),
    [
        ((said("a"), said("a")), "a"),
        ((said("a", "b"), said("b")), "b"),
        ((said("a", "a"),), "a"),
        ((said("a", conversation="d"),), "a"),
        ((said("a", status="in_progress"),), "a"),
        ((said("a"),), "b"),
        ((), "b"),
    ],
)
def test_what_is_no_tree_is_refused(messages: tuple[Message, ...], head: str) -> None:
    with pytest.raises(InvalidError):
        prepare(Beginning(replace(HEADER, head=head), messages))


async def test_beginning_longer_than_the_limit_is_refused() -> None:
    async with opened([], history=2) as engine:
        with pytest.raises(LimitError, match="history_messages"):
            await engine.begin(Beginning(HEADER, (said("a"), said("b"), said("d"))), "asked")


# --- forks -----------------------------------------------------------------------------------------------------------


async def test_fork_copies_the_branch_and_nothing_beside_it() -> None:
    async with opened(["yes"]) as engine:
        talk = await open_talk(engine)
        first = await talk.post("one")
        await talk.settled()
        await talk.post("two")
        await talk.settled()
        command = fork_of(talk, message=first.answer)
        await engine.fork(command)
        copy = await engine.snapshot(command.id)
        source = await engine.store.path(talk.id, first.answer or "", 9)
        shown = await engine.store.path(command.id, copy.conversation.head or "", 9)
        assert [(m.role, m.parts, m.created_at, m.status, m.usage) for m in shown] == [
            (m.role, m.parts, m.created_at, m.status, m.usage) for m in source
        ]
        assert not {m.id for m in shown} & {m.id for m in source}
        assert copy.conversation.forked_from == ForkedFrom(talk.id, first.answer or "")
        assert copy.conversation.title == "one"
        assert copy.run is None


async def test_fork_goes_on_by_itself() -> None:
    async with opened(["yes"]) as engine:
        talk = await open_talk(engine)
        await talk.post("one")
        await talk.settled()
        command = fork_of(talk)
        await engine.fork(command)
        copy = Talk(engine, command.id, talk.model)
        await copy.post("two")
        await copy.settled()
        assert (await engine.snapshot(copy.id)).messages[-1] != (await engine.snapshot(talk.id)).messages[-1]
        assert len((await engine.snapshot(copy.id)).messages) == 4
        assert len((await engine.snapshot(talk.id)).messages) == 2
        reader = fold(await copy.events())
        assert reader.head == (await engine.snapshot(copy.id)).conversation.head


async def test_fork_of_an_answer_that_is_being_written_is_marked(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(["Hello", Pause(60), " world"], stall=100) as engine:
        talk = await open_talk(engine)
        receipt = await talk.post("one")
        await talk.until("part.delta")
        command = fork_of(talk)
        await engine.fork(command)
        shown = await engine.store.path(command.id, (await engine.snapshot(command.id)).conversation.head or "", 9)
        assert text_of(shown[-1].parts) == "Hello"
        assert shown[-1].status == "incomplete"
        assert shown[-1].failure is not None
        assert shown[-1].failure.code == "copied"
        await talk.settled()
        original = await engine.store.message(receipt.answer or "")
        assert original is not None
        assert (text_of(original.parts), original.status) == ("Hello world", "completed")


async def test_fork_is_cut_where_asked() -> None:
    async with opened(["Hello 🦉 world"]) as engine:
        talk = await open_talk(engine)
        await talk.post("one")
        await talk.settled()
        for at, text, status in ((7, "Hello 🦉", "incomplete"), (13, "Hello 🦉 world", "completed")):
            command = fork_of(talk, cut=at)
            await engine.fork(command)
            header = (await engine.snapshot(command.id)).conversation
            shown = await engine.store.message(header.head or "")
            assert shown is not None
            assert (text_of(shown.parts), shown.status) == (text, status)
        for at in (0, 14, -1):
            with pytest.raises(InvalidError, match="1 to 13"):
                await engine.fork(fork_of(talk, cut=at))


def test_cut_keeps_what_stands_before() -> None:
    parts: tuple[Part, ...] = (ReasoningPart("hm"), TextPart("ab"), ReasoningPart("hm"), TextPart("cd"))
    answer = said("a", role="assistant", parts=parts)
    assert cut(answer, 1).parts == (ReasoningPart("hm"), TextPart("a"))
    assert cut(answer, 2).parts == parts[:2]
    assert cut(answer, 3).parts == (*parts[:3], TextPart("c"))
    with pytest.raises(InvalidError, match="only an answer"):
        cut(said("a", parts=parts), 1)


async def test_fork_takes_effect_once() -> None:
    async with opened(["yes"]) as engine:
        talk = await open_talk(engine)
        await talk.post("one")
        await talk.settled()
        command = fork_of(talk)
        first = await engine.fork(command)
        await talk.post("two")  # The branch has grown: the repeat is the same fork all the same.
        await talk.settled()
        assert await engine.fork(replace(command, at=NOW + timedelta(1))) == first
        assert len((await engine.snapshot(command.id)).messages) == 2
        with pytest.raises(ConflictError):
            await engine.fork(replace(command, title="other"))


async def test_fork_of_a_branch_that_is_too_large_reads_no_more_of_it_than_shows_that() -> None:
    async with opened([], history_bytes=10_000) as engine:
        talk = await open_talk(engine)
        for _ in range(9):
            await talk.post("x" * 4_000, respond=False)
        leaf = (await engine.snapshot(talk.id)).conversation.head
        engine.store.page_bytes = 5_000
        with pytest.raises(LimitError, match="history_bytes"):
            await engine.fork(fork_of(talk))
        shorter = (await engine.store.path(talk.id, leaf or "", 9))[0].parent
        for _ in range(6):
            shorter = (await engine.store.path(talk.id, shorter or "", 1))[0].parent
        await engine.fork(fork_of(talk, message=shorter))
        await talk.post("a word", respond=False)  # Nothing was held up.


async def test_fork_of_what_is_not_there() -> None:
    async with opened(["yes"], history=2) as engine:
        talk, other = await open_talk(engine), await open_talk(engine)
        receipt = await other.post("one")
        await other.settled()
        for source, message in ((new_id(), None), (talk.id, new_id()), (talk.id, receipt.answer)):
            with pytest.raises(NotFoundError):
                await engine.fork(fork_of(talk, source=source, message=message))
        await engine.fork(fork_of(talk))  # An empty one, of an empty one.
        await other.post("two")
        await other.settled()
        with pytest.raises(LimitError, match="history_messages"):
            await engine.fork(fork_of(other))
        await engine.submit(other.id, UpdateConversation(new_id(), NOW, deleted=True))
        with pytest.raises(ConflictError, match="trash"):
            await engine.fork(fork_of(other, message=receipt.answer))


# --- all branches, and the trash -------------------------------------------------------------------------------------


async def test_tree_shows_the_live_answer_so_far(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(["Hello", Pause(60), " world"], stall=100) as engine:
        talk = await open_talk(engine)
        receipt = await talk.post("one")
        await talk.until("part.delta")
        tree = await engine.all_branches(talk.id, 9)
        assert tree.run is not None
        assert [msgspec.json.decode(message)["id"] for message in tree.messages] == [receipt.message, receipt.answer]
        assert msgspec.json.decode(tree.messages[-1])["parts"] == [{"type": "text", "text": "Hello"}]


async def test_trash_is_emptied_after_its_time(autojump_clock: trio.testing.MockClock) -> None:
    moment = NOW
    store = MemoryStore()
    async with open_engine(
        store, [ScriptedProvider(["yes"])], Limits(trash=3600, idle=40), now=lambda: moment
    ) as engine:
        await engine.models()
        kept, gone, back = [await open_talk(engine) for _ in range(3)]
        for talk in (gone, back):
            await engine.submit(talk.id, UpdateConversation(new_id(), NOW, deleted=True))
        await engine.submit(back.id, UpdateConversation(new_id(), NOW, deleted=False))
        await sweep()
        assert await store.header(gone.id) is not None
        moment = NOW + timedelta(hours=2)
        await sweep()
        assert await store.header(gone.id) is None
        assert await store.header(kept.id) is not None
        assert await store.header(back.id) is not None


async def sweep() -> None:
    """Housekeeping has looked once more."""
    await trio.sleep(30)


def test_events_of_every_kind_are_told() -> None:
    header = replace(HEADER, head="a", deleted_at=NOW)
    kinds = [type(event).__name__ for event in events_of(Beginning(header, (said("a"), said("b", "a"))))]
    assert kinds == ["ConversationCreated", "MessageAdded", "MessageAdded", "ConversationUpdated", "HeadMoved"]


# --- what was said elsewhere, added later ------------------------------------------------------------------------


async def test_added_messages_stand_where_they_hang(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(["yes"]) as engine:
        talk = await open_talk(engine)
        receipt = await talk.post("one")
        await talk.settled()
        more = [said(new_id(), receipt.answer, conversation=talk.id)]
        more.append(said(new_id(), more[0].id, conversation=talk.id, role="assistant"))
        command = AddMessages(new_id(), NOW, tuple(more), more[1].id, receipt.answer)
        await engine.submit(talk.id, command)
        assert (await engine.snapshot(talk.id)).conversation.head == more[1].id
        assert fold(await talk.events()).head == more[1].id
        await talk.post("two")
        await talk.settled()
        head = (await engine.snapshot(talk.id)).conversation.head
        beside = said(new_id(), more[0].id, conversation=talk.id)
        await engine.submit(talk.id, AddMessages(new_id(), NOW, (beside,), beside.id, more[1].id))
        assert (await engine.snapshot(talk.id)).conversation.head == head  # Somebody went on here.
        assert await engine.store.message(beside.id) == beside


@pytest.mark.parametrize("wrong", ["taken", "nowhere", "unfinished", "elsewhere"])
async def test_messages_that_cannot_be_added(wrong: str) -> None:
    async with opened(["yes"]) as engine:
        talk = await open_talk(engine)
        receipt = await talk.post("one", respond=False)
        cases: dict[str, dict[str, Any]] = {
            "taken": {"name": receipt.message},
            "nowhere": {"parent": new_id()},
            "unfinished": {"status": "in_progress"},
            "elsewhere": {"conversation": new_id()},
        }
        fields = {"name": new_id(), "parent": receipt.message, "conversation": talk.id, **cases[wrong]}
        message = said(**fields)
        with pytest.raises((ConflictError, NotFoundError, InvalidError)):
            await engine.submit(talk.id, AddMessages(new_id(), NOW, (message,)))
