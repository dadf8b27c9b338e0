"""A user's list as a stream: whole rows, only what is committed, resumable or honestly begun anew."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from support import NOW, Talk, open_talk, split_frames

from trialogue import (
    CreateConversation,
    Engine,
    Feed,
    InvalidError,
    StorageError,
    UpdateConversation,
    new_id,
    open_engine,
)
from trialogue._lists import feed as feeds
from trialogue.testing import MemoryStore, ScriptedProvider
from trialogue.testing.memory_faults import Fault

ANN = "ann"


class Sidebar:
    """A list as a client keeps it: rows by id, from a snapshot and what follows."""

    def __init__(self, engine: Engine, owner: str = ANN) -> None:
        self.engine = engine
        self.owner = owner
        self.feed: Feed | None = None
        self.seq = 0
        self.cursor: str | None = None
        self.rows: dict[str, dict[str, Any]] = {}
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self._leave: Callable[[], None] = lambda: None

    async def open(self) -> None:
        """Connect, from where it was."""
        self.feed, data, self.seq = await self.engine.feeds.resume(self.owner, self.cursor)
        self._leave = self.feed.attach(self._wake)
        self._take(data)

    def close(self) -> None:
        """Disconnect."""
        self._leave()
        self.feed, self._leave = None, lambda: None

    def _wake(self) -> None:
        """Nothing: ``read`` looks for itself."""

    async def read(self) -> list[str]:
        """Take in what there is; returns the types of the events."""
        assert self.feed is not None
        before = len(self.seen)
        while self.seq < self.feed.next_seq:
            found = self.feed.read(self.seq)
            data, self.seq = found if found is not None else await self.feed.read_log(self.seq)
            self._take(data)
        return [kind for kind, _ in self.seen[before:]]

    def _take(self, data: bytes) -> None:
        for cursor, kind, body in split_frames(data):
            event = msgspec.json.decode(body)
            assert event["type"] == kind
            self.cursor = cursor or self.cursor
            self.seen.append((kind, event))
            if kind == "snapshot":
                assert event["token"] == cursor
                self.rows = {row["id"]: row for row in (*event["conversations"], *event["running"])}
            elif kind == "conversation.changed":
                self.rows[event["conversation"]["id"]] = event["conversation"]
            elif kind == "conversation.purged":
                self.rows.pop(event["conversation"], None)


@asynccontextmanager
async def engine_of(*answers: Any, store: MemoryStore | None = None) -> AsyncGenerator[Engine]:
    provider = ScriptedProvider(*answers or (["Hello", " world"],))
    async with open_engine(store or MemoryStore(), [provider]) as engine:
        await engine.models()
        yield engine


@asynccontextmanager
async def watching(engine: Engine, owner: str = ANN) -> AsyncGenerator[Sidebar]:
    sidebar = Sidebar(engine, owner)
    await sidebar.open()
    yield sidebar
    sidebar.close()


async def change(talk: Talk, **fields: Any) -> None:
    await talk.engine.submit(talk.id, UpdateConversation(new_id(), NOW, **fields))


async def test_snapshot_comes_first_and_every_change_follows(autojump_clock: trio.testing.MockClock) -> None:
    async with engine_of() as engine:
        old = await open_talk(engine)
        async with watching(engine) as sidebar:
            assert list(sidebar.rows) == [old.id]
            talk = await open_talk(engine)
            await change(talk, title="Owls", pinned=True, folder="birds")
            await sidebar.read()
            row = sidebar.rows[talk.id]
            assert (row["title"], row["pinned"], row["folder"], row["run"], row["waiting"]) == (
                "Owls",
                True,
                "birds",
                None,
                0,
            )
            await change(talk, deleted=True)
            await sidebar.read()
            assert sidebar.rows[talk.id]["deleted_at"] is not None
            await change(talk, deleted=False)
            await sidebar.read()
            assert sidebar.rows[talk.id]["deleted_at"] is None
            await engine.purge(talk.id)
            await sidebar.read()
            assert list(sidebar.rows) == [old.id]


async def test_who_is_speaking_and_what_waits_is_told(autojump_clock: trio.testing.MockClock) -> None:
    gate = trio.Event()
    async with engine_of(["Hello", gate, " world"]) as engine, watching(engine) as sidebar:
        talk = await open_talk(engine)
        receipt = await talk.post("Hi")
        await talk.until("part.delta")
        await talk.post("And then?")
        await sidebar.read()
        row = sidebar.rows[talk.id]
        assert row["run"] == {"run": receipt.run, "message": receipt.answer, "model": talk.model}
        assert row["waiting"] == 1
        async with watching(engine) as late:
            assert late.rows == sidebar.rows
        gate.set()
        await talk.settled()
        await sidebar.read()
        assert (sidebar.rows[talk.id]["run"], sidebar.rows[talk.id]["waiting"]) == (None, 0)
        happened = [event["events"] for kind, event in sidebar.seen if kind == "conversation.changed"]
        assert happened[0] == ["conversation.created"]
        assert ["run.completed"] in [[name for name in names if name.startswith("run.c")] for names in happened]
        assert not any(name.startswith("part.") for names in happened for name in names)
        seqs = [event["conversation"]["seq"] for kind, event in sidebar.seen if kind == "conversation.changed"]
        assert seqs == sorted(seqs)


async def test_running_conversations_beyond_the_page_are_in_the_snapshot(autojump_clock: Any) -> None:
    gate = trio.Event()
    async with engine_of(["Hello", gate]) as engine:
        talk = await open_talk(engine)
        await change(talk, archived=True)
        await talk.post("Hi")
        await talk.until("run.started")
        await open_talk(engine, owner="bob")
        _, data, _ = await engine.feeds.resume(ANN, None)
        ((_, _, body),) = split_frames(data)
        snapshot = msgspec.json.decode(body)
        assert snapshot["conversations"] == []
        assert [row["id"] for row in snapshot["running"]] == [talk.id]
        gate.set()
        await talk.settled()


async def test_resuming_at_every_event_gives_the_same_list(autojump_clock: Any) -> None:
    async with engine_of() as engine, watching(engine) as whole:
        talk = await open_talk(engine)
        await change(talk, title="One")
        await talk.post("Hi")
        await talk.settled()
        other = await open_talk(engine)
        await change(other, archived=True)
        await engine.purge(other.id)
        await whole.read()
        cursors = [whole.feed.token(seq) for seq in range(whole.feed.next_seq)] if whole.feed else []
        assert len(cursors) > 6
        for seq, cursor in enumerate(cursors):
            again = Sidebar(engine)
            again.cursor = cursor
            # What it saw before the cut.
            again.rows = {}
            for kind, event in [pair for pair in whole.seen if pair[0] != "snapshot"][:seq]:
                again.rows.pop(event["conversation"] if kind.endswith("purged") else "", None)
                if kind == "conversation.changed":
                    again.rows[event["conversation"]["id"]] = event["conversation"]
            await again.open()
            assert "snapshot" not in [kind for kind, _ in again.seen]
            await again.read()
            assert again.rows == whole.rows
            again.close()


async def test_what_leaves_the_trash_for_good_is_told(autojump_clock: Any) -> None:
    async with engine_of() as engine, watching(engine) as sidebar:
        kept, talk = await open_talk(engine), await open_talk(engine)
        await change(talk, deleted=True)
        for name in (kept.id, talk.id, new_id()):
            await engine.purge_trash(name, NOW + timedelta(seconds=1))
        await sidebar.read()
        assert list(sidebar.rows) == [kept.id]


async def test_another_users_changes_are_not_shown(autojump_clock: Any) -> None:
    async with engine_of() as engine, watching(engine, "bob") as bob:
        talk = await open_talk(engine)
        await change(talk, title="Secret")
        assert await bob.read() == []
        await engine.feeds.advanced("bob", talk.id)
        assert await bob.read() == []


async def test_nothing_is_made_for_whom_nobody_watches(autojump_clock: Any) -> None:
    async with engine_of() as engine:
        talk = await open_talk(engine)
        await talk.post("Hi")
        await talk.settled()
        assert engine.feeds.statistics() == {"feeds": 0, "watched": 0, "bytes": 0}


async def test_feed_outlives_its_reader_for_a_while(autojump_clock: Any) -> None:
    async with engine_of() as engine:
        async with watching(engine) as sidebar:
            pass
        await trio.sleep(feeds.KEPT / 2)
        talk = await open_talk(engine)
        await sidebar.open()
        assert await sidebar.read() == ["conversation.changed"]
        assert list(sidebar.rows) == [talk.id]
        sidebar.close()
        await trio.sleep(feeds.KEPT + 100)
        assert engine.feeds.statistics()["feeds"] == 0
        await sidebar.open()
        assert [kind for kind, _ in sidebar.seen[-2:]] == ["reset", "snapshot"]
        assert list(sidebar.rows) == [talk.id]


async def test_feeds_without_readers_are_bounded(autojump_clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "MOST_KEPT", 3)
    async with engine_of() as engine, watching(engine, "held") as held:
        for number in range(10):
            async with watching(engine, f"user {number}"):
                pass
        assert engine.feeds.statistics()["feeds"] == 4
        await open_talk(engine, owner="held")
        assert await held.read() == ["conversation.changed"], "a feed that is read must not be forgotten"


async def test_reader_who_is_too_far_behind_starts_over(autojump_clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "BYTES", 2_000)
    async with engine_of() as engine, watching(engine) as slow:
        talk = await open_talk(engine)
        cursor = slow.cursor
        for number in range(30):
            await change(talk, title=f"Title {number}")
        assert (await slow.read())[:2] == ["reset", "snapshot"]
        assert slow.rows[talk.id]["title"] == "Title 29"
        assert engine.feeds.statistics()["bytes"] <= 2_000
        late = Sidebar(engine)
        late.cursor = cursor
        await late.open()
        assert [kind for kind, _ in late.seen] == ["reset", "snapshot"]


@pytest.mark.parametrize("cursor", ["yesterday", "", "0001.0000000001.000000000001", "0" * 16 + ".1"])
async def test_what_is_no_cursor_is_refused(autojump_clock: Any, cursor: str) -> None:
    async with engine_of() as engine:
        with pytest.raises(InvalidError, match="not a cursor"):
            await engine.feeds.resume(ANN, cursor)


@pytest.mark.parametrize("other", ["name", "number"])
async def test_cursor_of_another_journal_starts_over(autojump_clock: Any, other: str) -> None:
    async with engine_of() as engine, watching(engine) as sidebar:
        assert sidebar.feed is not None
        cursor = f"{'0' * 16}.{0:012d}" if other == "name" else sidebar.feed.token(99)
        _, data, _ = await engine.feeds.resume(ANN, cursor)
        assert [kind for _, kind, _ in split_frames(data)] == ["reset", "snapshot"]


async def test_what_nobody_knows_the_outcome_of_makes_readers_start_over(autojump_clock: Any) -> None:
    """A conversation whose creation was not acknowledged exists all the same."""
    store = MemoryStore()
    async with engine_of(store=store) as engine, watching(engine) as sidebar:
        store.faults.next("create", Fault(fail="after"))
        name = new_id()
        with pytest.raises(StorageError):
            await engine.create(CreateConversation(name, ANN, NOW))
        assert await sidebar.read() == ["reset", "snapshot"]
        assert list(sidebar.rows) == [name]
        store.faults.next("purge", Fault(fail="after"))
        with pytest.raises(StorageError):
            await engine.purge(name)
        assert await sidebar.read() == ["reset", "snapshot"]
        assert sidebar.rows == {}


async def test_creating_is_shown_though_it_cannot_be_read_back(autojump_clock: Any) -> None:
    store = MemoryStore()
    async with engine_of(store=store) as engine, watching(engine) as sidebar:
        store.faults.next("view", Fault(fail="before"))
        talk = await open_talk(engine)
        assert await sidebar.read() == ["reset", "snapshot"]
        assert list(sidebar.rows) == [talk.id]


async def test_creating_again_does_not_bring_back_what_was(autojump_clock: Any) -> None:
    async with engine_of() as engine, watching(engine) as sidebar:
        command = CreateConversation(new_id(), ANN, NOW, title="First")
        await engine.create(command)
        await engine.submit(command.id, UpdateConversation(new_id(), NOW, title="Second"))
        await engine.create(command)
        await sidebar.read()
        assert sidebar.rows[command.id]["title"] == "Second"


async def test_what_another_node_did_is_read_from_the_store(autojump_clock: Any) -> None:
    store = MemoryStore()
    async with engine_of(store=store) as here, engine_of(store=store) as there, watching(here) as sidebar:
        talk = await open_talk(there)
        await talk.post("Hi")
        await talk.settled()
        assert await sidebar.read() == []
        await here.feeds.advanced(ANN, talk.id, ("run.completed",))
        assert await sidebar.read() == ["conversation.changed"]
        assert sidebar.rows[talk.id]["run"] is None
        await there.purge(talk.id)
        await here.feeds.advanced(ANN, talk.id)
        assert await sidebar.read() == ["conversation.purged"]
