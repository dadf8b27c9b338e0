"""What is given out and taken in again is the same, whatever was done in the conversations before."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from support import NOW, Talk

from trialogue import (
    Aside,
    CompactContext,
    ContinueAnswer,
    Conversation,
    CreateConversation,
    DataPart,
    EditMessage,
    Engine,
    FilePart,
    ForkConversation,
    Message,
    PostMessage,
    ReasoningPiece,
    Regenerate,
    RemoveMessage,
    Settings,
    Stop,
    Store,
    TextPart,
    TrialogueError,
    UpdateConversation,
    Usage,
    UsagePiece,
    new_id,
    open_engine,
)
from trialogue.testing import Fail, MemoryStore, Pause, Script, ScriptedProvider
from trialogue_server._exchange.document import ExportedConversation, ExportedHeader, ExportedMessage
from trialogue_server._exchange.export import Outlet, headers_of, sole, write_json, write_markdown
from trialogue_server._exchange.ours import read_ours, renamed
from trialogue_server._exchange.splitter import split

SCRIPTS: tuple[Script, ...] = (
    [ReasoningPiece("hm "), "Hello", " world", UsagePiece(Usage("reported", 3, 2, 1, reasoning_tokens=1))],
    ["Half a"],
    ["Broken", Fail("broken")],
    ["Once more 🦉\n```\nopen"],
)
ACTIONS = st.one_of(
    st.tuples(st.just("post"), st.integers(0, 9), st.booleans()),
    st.tuples(st.just("edit"), st.integers(0, 9), st.booleans()),
    st.tuples(st.just("regenerate"), st.integers(0, 9), st.booleans()),
    st.tuples(st.just("continue"), st.integers(0, 9), st.booleans()),
    st.tuples(st.just("remove"), st.integers(0, 9), st.booleans()),
    st.tuples(st.just("head"), st.integers(0, 9), st.booleans()),
    st.tuples(st.just("set"), st.integers(0, 4), st.booleans()),
    st.tuples(st.just("fork"), st.integers(0, 9), st.booleans()),
    st.tuples(st.just("trash"), st.just(0), st.booleans()),
    st.tuples(st.just("stop"), st.just(0), st.booleans()),
    st.tuples(st.just("sum up"), st.integers(0, 9), st.booleans()),
)


@asynccontextmanager
async def opened() -> AsyncGenerator[Engine]:
    async with open_engine(MemoryStore(), [ScriptedProvider(*SCRIPTS, continues=True)]) as engine:
        await engine.models()
        yield engine


async def exported(store: Store, owner: str) -> bytes:
    pieces: list[bytes] = []

    async def write(piece: bytes) -> None:
        pieces.append(piece)

    await write_json(store, headers_of(store, owner), Outlet(write))
    return b"".join(pieces)


async def taken_in(engine: Engine, document: bytes, owner: str) -> None:
    for piece in split(io.BytesIO(document).read, 1_000_000):
        assert isinstance(piece, bytes)
        beginning = read_ours(piece, owner, datetime.now(UTC))
        await engine.begin(beginning, ("import", owner, beginning.header.id))


def fresh(kind: Any, *fields: Any, **named: Any) -> Any:  # Any: of each command, checked by it.
    """A command with an id and a time."""
    return kind(new_id(), NOW, *fields, **named)


async def act(talk: Talk, made: list[str], action: tuple[str, int, bool]) -> None:
    kind, number, flag = action
    tree = await talk.engine.all_branches(talk.id, 200)
    names = [msgspec.json.decode(message)["id"] for message in tree.messages] or ["nobody"]
    name, parts = names[number % len(names)], (TextPart(f"said {kind} {number}"), DataPart("d", {"n": [number, None]}))
    match kind:
        case "post":
            command = fresh(
                PostMessage, new_id(), new_id(), new_id(), parts, talk.model, respond=flag, metadata={"k": number}
            )
        case "edit":
            command = fresh(EditMessage, name, new_id(), new_id(), new_id(), parts, talk.model, respond=flag)
        case "regenerate":
            command = fresh(Regenerate, name, new_id(), new_id(), talk.model)
        case "continue":
            command = fresh(ContinueAnswer, name, new_id(), talk.model)
        case "remove":
            command = fresh(RemoveMessage, name)
        case "head":
            command = fresh(UpdateConversation, head=name)
        case "set":
            title = f"Title {number}" if flag else None
            command = fresh(UpdateConversation, title=title, archived=flag, folder="f", settings=Settings(seed=number))
        case "fork":
            made.append(new_id())
            await talk.engine.fork(ForkConversation(made[-1], "ann", NOW, talk.id, name))
            return
        case "trash":
            command = fresh(UpdateConversation, deleted=flag)
        case "sum up":
            asked = Aside(new_id(), talk.model, NOW, Usage("estimated"))
            command = fresh(CompactContext, name, tree.conversation.version, f"in short {number}", asked)
        case _:
            command = fresh(Stop)
    await talk.engine.submit(talk.id, command)
    if flag:
        await trio.sleep(1)  # The answer is written meanwhile.


async def played(engine: Engine, actions: list[tuple[str, int, bool]]) -> None:
    made = [new_id()]
    await engine.create(CreateConversation(made[0], "ann", NOW, title="Tea", system="Be brief.", metadata={"a": [1]}))
    talk = Talk(engine, made[0], await engine.resolve(None))
    for action in actions:
        try:
            await act(talk, made, action)
        except TrialogueError:
            continue
    await trio.sleep(100)


@settings(max_examples=25, deadline=None)
@given(st.lists(ACTIONS, max_size=14))
def test_export_taken_in_and_given_out_again_is_the_same(actions: list[tuple[str, int, bool]]) -> None:
    async def main() -> None:
        async with opened() as here, opened() as there:
            await played(here, actions)
            first = await exported(here.store, "ann")
            await taken_in(there, first, "bob")
            second = await exported(there.store, "bob")
            assert second == first
            json.loads(first)
            # Nothing of it changes when it is done again, and the log behind it folds to the same.
            await taken_in(there, first, "bob")
            assert await exported(there.store, "bob") == first
            for header in [h async for h in headers_of(there.store, "bob")]:
                claim = await there.store.claim(header.id, "other")
                assert claim is not None
                assert claim.snapshot is not None
                assert msgspec.json.decode(claim.snapshot)["header"]["head"] == header.head

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_nothing_of_a_conversation_or_message_is_left_out() -> None:
    """A field that is added to either must be given out too."""

    def names(kind: type[msgspec.Struct]) -> set[str]:
        return {field.name for field in msgspec.structs.fields(kind)}

    assert names(ExportedHeader) == names(Conversation) - {"owner", "version"}
    assert names(ExportedMessage) == names(Message) - {"conversation"} | {"wordings"}


async def test_wordings_of_a_corrected_answer_are_kept(autojump_clock: trio.testing.MockClock) -> None:
    async with opened() as here, opened() as there:
        await here.create(CreateConversation("c" * 8, "ann", NOW))
        name = new_id()
        await here.create(CreateConversation(name, "ann", NOW))
        talk = Talk(here, name, await here.resolve(None))
        receipt = await talk.post("Hi")
        await talk.settled()
        for number, text in enumerate(("better", "best")):
            command = EditMessage(
                new_id(), NOW + timedelta(seconds=number), receipt.answer or "", new_id(), new_id(), new_id(),
                (TextPart(text),), talk.model,
            )  # fmt: skip
            await here.submit(name, command)
        header = await here.store.header(name)
        assert header is not None
        pieces: list[bytes] = []

        async def write(piece: bytes) -> None:
            pieces.append(piece)

        await write_json(here.store, sole(header), Outlet(write))
        answer = json.loads(b"".join(pieces))["conversations"][0]["messages"][1]
        said = [[part["text"] for part in wording["parts"]] for wording in answer["wordings"]]
        assert said == [["hm ", "Hello world"], ["better"], ["best"]]
        await taken_in(there, b"".join(pieces), "bob")
        revised = [e async for e in _events(there, name) if e["type"] == "message.revised"]
        assert [event["message"]["revision"] for event in revised] == [1, 2]


async def _events(engine: Engine, conversation: str) -> AsyncGenerator[dict[str, Any]]:
    for entry in await engine.store.events(conversation, 0, 1000):
        yield msgspec.json.decode(entry.data)


@pytest.mark.parametrize("texts", [["better"], ["better", "best"]])
async def test_first_wording_that_is_not_kept_is_left_out(
    autojump_clock: trio.testing.MockClock, texts: list[str]
) -> None:
    async with opened() as here, opened() as there:
        name = new_id()
        await here.create(CreateConversation(name, "ann", NOW))
        talk = Talk(here, name, await here.resolve(None))
        receipt = await talk.post("Hi")
        await talk.settled()
        await here.store.prune(datetime(2100, 1, 1, tzinfo=UTC), 9)
        for number, text in enumerate(texts, 1):
            fields = (receipt.answer, new_id(), new_id(), new_id(), (TextPart(text),), talk.model)
            await here.submit(name, EditMessage(new_id(), NOW + timedelta(hours=number), *fields))  # type: ignore[arg-type]
        document = await exported(here.store, "ann")
        wordings = json.loads(document)["conversations"][0]["messages"][1]["wordings"]
        assert [(one["revision"], one["parts"][0]["text"]) for one in wordings] == [*enumerate(texts, 1)]
        await taken_in(there, document, "bob")
        assert await exported(there.store, "bob") == document


async def test_corrected_answer_that_was_gone_on_with_comes_back(autojump_clock: trio.testing.MockClock) -> None:
    provider = ScriptedProvider(["Hello", Fail("refused")], ["better and on"], continues=True)
    async with open_engine(MemoryStore(), [provider]) as here, opened() as there:
        await here.models()
        name = new_id()
        await here.create(CreateConversation(name, "ann", NOW))
        talk = Talk(here, name, await here.resolve(None))
        receipt = await talk.post("Hi")
        await talk.settled()
        await here.submit(
            name, fresh(EditMessage, receipt.answer, *(new_id() for _ in range(3)), (TextPart("better"),), "m")
        )
        await here.submit(name, fresh(ContinueAnswer, receipt.answer, new_id(), talk.model))
        await trio.sleep(1)
        document = await exported(here.store, "ann")
        answer = json.loads(document)["conversations"][0]["messages"][1]
        assert [one["text"] for one in answer["parts"]] == ["better", " and on"]
        assert answer["wordings"][-1]["parts"] == answer["parts"]
        await taken_in(there, document, "bob")
        assert await exported(there.store, "bob") == document


async def test_live_answer_is_told_so_far_and_taken_in_as_incomplete(autojump_clock: trio.testing.MockClock) -> None:
    provider = ScriptedProvider(["Hello", Pause(3000), " world"])
    async with open_engine(MemoryStore(), [provider]) as here, opened() as there:
        await here.models()
        name = new_id()
        await here.create(CreateConversation(name, "ann", NOW))
        talk = Talk(here, name, await here.resolve(None))
        await talk.post("Hi")
        await talk.until("part.delta")
        await talk.post("and then?")
        document = await exported(here.store, "ann")
        told = json.loads(document)["conversations"][0]
        assert (told["messages"][1]["status"], told["messages"][1]["parts"][0]["text"]) == ("in_progress", "Hello")
        assert told["waiting"][0]["parts"][0]["text"] == "and then?"
        await taken_in(there, document, "bob")
        path = await there.store.path(name, (await there.snapshot(name)).conversation.head or "", 9)
        assert [(m.role, m.status) for m in path] == [
            ("user", "completed"), ("assistant", "incomplete"), ("user", "completed"),
        ]  # fmt: skip


def test_other_ids_are_the_same_tree() -> None:
    message = ExportedMessage(new_id(), "user", (TextPart("Hi"), FilePart("f", "a", "b")), NOW)
    below = ExportedMessage(new_id(), "assistant", (TextPart("Yo"),), NOW, message.id, run=new_id())
    header = ExportedHeader(new_id(), NOW, NOW, head=below.id)
    piece = msgspec.json.encode(ExportedConversation(header, (message, below)))
    beginning = read_ours(piece, "ann", NOW)
    other = renamed(beginning, "ann")
    assert other.header.id != header.id
    assert other == renamed(beginning, "ann") != renamed(beginning, "bob")
    assert other.messages[1].parent == other.messages[0].id
    assert other.header.head == other.messages[1].id


HOSTILE: list[dict[str, Any]] = [
    {"conversation": {"id": "x"}},
    {"conversation": {"id": "../../etc", "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"},
     "messages": []},
    {"conversation": {"created_at": "9999-01-01T00:00:00Z"}},
    {"conversation": {"created_at": "2026-01-01T00:00:00"}},
    {"conversation": {"updated_at": "0001-01-01T00:00:00+14:00"}},
    {"conversation": {"title": "x" * 501}},
    {"conversation": {"metadata": {"a": 10**30}}},
    {"messages": [{"created_at": "9999-12-31T23:59:59-14:00"}]},
    {"messages": [{"id": "x"}]},
    {"messages": [{"role": "owner"}]},
    {"messages": [{"parts": [{"type": "data", "name": "n", "data": 10**30}]}]},
    {"messages": [{"parent": "019cd000-0000-7000-8000-000000000000"}]},
]  # fmt: skip


@pytest.mark.parametrize("wrong", HOSTILE, ids=lambda wrong: str(wrong)[:60])
async def test_hostile_document_is_refused(wrong: dict[str, Any]) -> None:
    good: dict[str, Any] = {"id": new_id(), "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}
    said = {"id": new_id(), "role": "user", "parts": [], "created_at": "2026-01-01T00:00:00Z"}
    document = {
        "conversation": {**good, **wrong.get("conversation", {})},
        "messages": [{**said, **message} for message in wrong.get("messages", [{}])],
    }
    with pytest.raises((TrialogueError, msgspec.ValidationError, msgspec.DecodeError)):
        async with opened() as engine:
            await engine.begin(read_ours(json.dumps(document).encode(), "ann", NOW), "asked")


# --- for people --------------------------------------------------------------------------------------------------


async def markdown_of(store: Store, owner: str) -> str:
    pieces: list[bytes] = []

    async def write(piece: bytes) -> None:
        pieces.append(piece)

    await write_markdown(store, headers_of(store, owner), Outlet(write))
    return b"".join(pieces).decode()


async def test_markdown_shows_the_active_branch_and_the_others(autojump_clock: trio.testing.MockClock) -> None:
    async with opened() as engine:
        name = new_id()
        await engine.create(CreateConversation(name, "ann", NOW, title="Tea & *co*", system="Be brief."))
        talk = Talk(engine, name, await engine.resolve(None))
        first = await talk.post("Look:\n```python\nprint(1)")  # A fence that is not closed.
        await talk.settled()
        await engine.submit(name, Regenerate(new_id(), NOW, first.answer or "", new_id(), new_id(), talk.model))
        await trio.sleep(1)
        text = await markdown_of(engine.store, "ann")
    assert text.startswith("# Tea & \\*co\\*\n")
    assert "\n## System\n\nBe brief.\n" in text
    assert "\n## 1. You · 2026-01-01 00:00 UTC\n\nLook:\n```python\nprint(1)\n```\n" in text
    assert "\n## 2. Assistant · scripted:script" in text
    assert "\n# Other branches\n" in text
    assert "· below 1" in text
    assert "> *Thought:* hm\n\nHello world" in text


@settings(max_examples=10, deadline=None)
@given(st.lists(ACTIONS, max_size=10))
def test_markdown_of_anything_is_written(actions: list[tuple[str, int, bool]]) -> None:
    async def main() -> None:
        async with opened() as engine:
            await played(engine, actions)
            text = await markdown_of(engine.store, "ann")
            fences = [line for line in text.split("\n") if line.startswith("```")]
            assert len(fences) % 2 == 0

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
