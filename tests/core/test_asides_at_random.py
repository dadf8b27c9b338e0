"""Titles and summaries under random use: a person's title stays, and a summary is told only where all that it sums up stands
as it was read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from support import NOW, Talk, open_talk
from trio.testing import MockClock

from trialogue import (
    Aside,
    Command,
    CompactContext,
    EditMessage,
    GiveTitle,
    Limits,
    Message,
    RemoveMessage,
    Request,
    TextPart,
    TrialogueError,
    UpdateConversation,
    Usage,
    new_id,
    open_engine,
    text_of,
)
from trialogue._deciding.state import MOST_SUMMARIES, decode_state
from trialogue._runs.context import SUM_UP
from trialogue.testing import MemoryStore, ScriptedProvider

NUMBERS = st.integers(0, 30)
ACTIONS = st.one_of(
    st.tuples(st.just("post"), NUMBERS),
    st.tuples(st.just("post"), NUMBERS),
    st.tuples(st.just("edit"), NUMBERS),
    st.tuples(st.just("remove"), NUMBERS),
    st.tuples(st.just("head"), NUMBERS),
    st.tuples(st.just("trash"), NUMBERS),
    st.tuples(st.just("rename"), NUMBERS),
    st.tuples(st.just("read title"), NUMBERS),
    st.tuples(st.just("give title"), NUMBERS),
    st.tuples(st.just("read"), NUMBERS),
    st.tuples(st.just("sum up"), NUMBERS),
    st.tuples(st.just("read and sum up"), NUMBERS),
)


@dataclass
class Play:
    """One conversation, and what is remembered of it."""

    talk: Talk
    store: MemoryStore
    provider: ScriptedProvider
    #: The title that a person gave last, unless one of a model's came before any.
    named: str | None = None
    was: str | None = None
    #: What was read to be summed up: the branch, and the version at that time.
    read: tuple[list[Message], int] | None = None
    #: The branches that summaries were made of, by their text.
    made: dict[str, list[Message]] = field(default_factory=dict)
    number: int = 0

    def messages(self) -> list[Message]:
        row = self.store._rows[self.talk.id]
        return [message for message in row.messages.values() if message.id not in row.removed]

    async def branch(self, leaf: str | None) -> list[Message]:
        return [] if leaf is None else list(await self.store.path(self.talk.id, leaf, 1_000))

    async def act(self, kind: str, number: int) -> None:
        self.number += 1
        header = await self.talk.engine.header(self.talk.id)
        assert header is not None
        found = self.messages()
        target = found[number % len(found)].id if found else new_id()
        match kind:
            case "post":
                await self.talk.post(f"said {self.number}")
            case "read" | "read and sum up":
                self.read = (await self.branch(target), header.version)
            case "read title":
                self.was = header.title
        command = self.command(kind, target)
        if command is not None:
            await self.talk.engine.submit(self.talk.id, command)
        await self.talk.settled()
        if kind == "rename":
            self.named = f"named {self.number}"

    def command(self, kind: str, target: str) -> Command | None:
        asked = Aside(new_id(), self.talk.model, NOW, Usage("estimated"))
        match kind:
            case "edit":
                parts = (TextPart(f"other {self.number}"),)
                return EditMessage(new_id(), NOW, target, new_id(), new_id(), new_id(), parts, self.talk.model)
            case "remove":
                return RemoveMessage(new_id(), NOW, target)
            case "head":
                return UpdateConversation(new_id(), NOW, head=target)
            case "trash":
                return UpdateConversation(new_id(), NOW, deleted=self.number % 3 == 0)
            case "rename":
                return UpdateConversation(new_id(), NOW, title=f"named {self.number}")
            case "give title":
                return GiveTitle(new_id(), NOW, self.was, f"a model's {self.number}", asked)
            case "sum up" | "read and sum up" if self.read is not None and self.read[0]:
                branch, version = self.read
                self.made[f"short {self.number}"] = branch
                return CompactContext(new_id(), NOW, branch[-1].id, version, f"short {self.number}", asked)
            case _:
                return None

    async def check(self) -> None:
        header = await self.store.header(self.talk.id)
        assert header is not None
        summed = [message for message in self.messages() if message.summary is not None]
        for message in summed:
            assert said(self.made[message.summary or ""]) == said(await self.branch(message.id))
        state = decode_state(self.store._rows[self.talk.id].snapshot or b"")
        there = {message.id for message in self.messages()}
        assert {message.id for message in summed} == there & set(state.summaries)
        assert len(state.summaries) <= MOST_SUMMARIES

    async def check_request(self, request: Request) -> None:
        """It shows the branch, but for what the newest summary in it stands for."""
        header = await self.store.header(self.talk.id)
        assert header is not None
        *branch, _ = await self.branch(header.head)
        begins = max((n for n, message in enumerate(branch[:-1], 1) if message.summary), default=0)
        rest = [text_of(message.parts) for message in branch[begins:]]
        first = next((n for n, message in enumerate(branch[begins:]) if message.role == "user"), len(rest))
        told = [SUM_UP, branch[begins - 1].summary] if begins else []
        assert [text_of(message.parts) for message in request.messages] == [*told, *rest[first:]]


def said(branch: list[Message]) -> list[tuple[str, object]]:
    return [(message.id, message.parts) for message in branch]


@settings(max_examples=60, deadline=None)
@given(st.lists(ACTIONS, min_size=4, max_size=25))
def test_titles_and_summaries_stay_true(actions: list[tuple[str, int]]) -> None:
    async def main() -> None:
        store, provider = MemoryStore(), ScriptedProvider(["fine"])
        async with open_engine(store, [provider], Limits(summaries=""), default_model="scripted:script") as engine:
            await engine.models()
            play = Play(await open_talk(engine), store, provider)
            for kind, number in (("post", 0), *actions):
                asked = len(provider.requests)
                before = await engine.header(play.talk.id)
                try:
                    await play.act(kind, number)
                except TrialogueError:
                    continue
                await play.check()
                check_title(play, kind, before, await engine.header(play.talk.id))
                if len(provider.requests) > asked:
                    await play.check_request(provider.requests[-1])

    trio.run(main, clock=MockClock(autojump_threshold=0))


def check_title(play: Play, kind: str, before: Any, after: Any) -> None:  # Any: headers, which are there.
    """Only people change a title, and models one that still is as they were shown it."""
    if kind == "rename":
        assert after.title == play.named
    elif kind == "give title":
        wanted = before.title == play.was and before.deleted_at is None
        assert after.title == (f"a model's {play.number}" if wanted else before.title)
    else:
        assert after.title == before.title or before.title is None
