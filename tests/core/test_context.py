"""What a model is shown: the end of the branch that fits, oldest first, and no more reading than that takes."""

from __future__ import annotations

import trio.testing
from support import NOW, Talk, open_talk

from trialogue import EditMessage, Limits, RemoveMessage, TextPart, new_id, open_engine, text_of
from trialogue.testing import Fail, MemoryStore, ScriptedProvider


async def said(talk: Talk, *texts: str) -> None:
    for text in texts:
        await talk.post(text)
        await talk.settled()


async def test_whole_branch_is_shown_when_it_fits(autojump_clock: trio.testing.MockClock) -> None:
    provider = ScriptedProvider(["answer"])
    async with open_engine(MemoryStore(), [provider]) as engine:
        await said(await open_talk(engine), "one", "two", "three")
    shown = [text_of(message.parts) for message in provider.requests[-1].messages]
    assert shown == ["one", "answer", "two", "answer", "three"]


async def test_oldest_messages_give_way_and_a_user_speaks_first(autojump_clock: trio.testing.MockClock) -> None:
    provider = ScriptedProvider(["answer"], context_tokens=100)
    async with open_engine(MemoryStore(), [provider], Limits(context_share=0.75)) as engine:
        await said(await open_talk(engine), *(f"{number:030}" for number in range(10)))
    shown = provider.requests[-1].messages
    assert [text_of(message.parts) for message in shown][-1] == f"{9:030}"
    assert shown[0].role == "user"
    assert len(shown) < 19


async def test_question_is_shown_however_long(autojump_clock: trio.testing.MockClock) -> None:
    provider = ScriptedProvider(["answer"], context_tokens=10)
    async with open_engine(MemoryStore(), [provider]) as engine:
        await said(await open_talk(engine), "x" * 1000)
    assert len(provider.requests[0].messages) == 1


async def test_answers_without_text_are_left_out(autojump_clock: trio.testing.MockClock) -> None:
    provider = ScriptedProvider([Fail("refused")], ["answer"])
    async with open_engine(MemoryStore(), [provider]) as engine:
        await said(await open_talk(engine), "one", "two")
    assert [message.role for message in provider.requests[-1].messages] == ["user", "user"]


class Counting(MemoryStore):
    read = 0

    async def path(self, conversation: str, leaf: str, limit: int) -> object:  # type: ignore[override]
        found = await super().path(conversation, leaf, limit)
        self.read += len(found)
        return found


async def test_long_conversation_is_read_only_as_far_as_needed(autojump_clock: trio.testing.MockClock) -> None:
    store = Counting()
    provider = ScriptedProvider(["answer"], context_tokens=500)
    async with open_engine(store, [provider]) as engine:
        talk = await open_talk(engine)
        await said(talk, *("a question of a certain length" for _ in range(100)))
    assert store.read == 0, "all of it was at hand"
    shown = provider.requests[-1].messages
    async with open_engine(store, [provider]) as engine:
        talk.engine = engine
        await said(talk, "a question of a certain length")
        assert 0 < store.read <= 64
        assert [text_of(m.parts) for m in provider.requests[-1].messages] == [text_of(m.parts) for m in shown]
        store.read = 0
        await said(talk, "and the last one")
    assert store.read == 0, "what was read once is at hand"


async def test_what_was_changed_is_shown_as_it_is_now(autojump_clock: trio.testing.MockClock) -> None:
    store = Counting()
    provider = ScriptedProvider(["answer"])
    async with open_engine(store, [provider]) as engine:
        talk = await open_talk(engine)
        first = await talk.post("one")
        await talk.settled()
        assert first.answer is not None
        corrected = (TextPart("corrected"),)
        edit = EditMessage(new_id(), NOW, first.answer, new_id(), new_id(), new_id(), corrected, talk.model)
        await engine.submit(talk.id, edit)
        await said(talk, "two")
        assert [text_of(m.parts) for m in provider.requests[-1].messages] == ["one", "corrected", "two"]
        second = await talk.post("three")
        await talk.settled()
        assert second.message is not None
        await engine.submit(talk.id, RemoveMessage(new_id(), NOW, second.message))
        await said(talk, "four")
    shown = [text_of(m.parts) for m in provider.requests[-1].messages]
    assert shown == ["one", "corrected", "two", "answer", "four"]
