"""Giving the store to another process: live runs end, none begins any more, and what is said waits for the next."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from support import NOW, Talk, fold, open_talk

from trialogue import ClosedError, Engine, Policy, Regenerate, new_id, open_engine
from trialogue.testing import MemoryStore, Pause, Script, ScriptedProvider


async def answered_next(store: MemoryStore, talk: Talk, *scripts: Script) -> list[str]:
    """What the next process says in a conversation that the last one left."""
    async with open_engine(store, [ScriptedProvider(*scripts)]) as engine:
        later = Talk(engine, talk.id, talk.model)
        reader = fold(await later.settled())
        return [text for message in reader.messages if (text := reader.text(message))]


async def held(engine: Engine, nursery: trio.Nursery) -> None:
    nursery.start_soon(engine.hold, 10)
    await trio.testing.wait_all_tasks_blocked()


async def test_live_run_ends_and_what_is_said_meanwhile_is_answered_next(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    store = MemoryStore()
    async with open_engine(store, [ScriptedProvider(["a", Pause(3), "b"])]) as engine:
        talk = await open_talk(engine)
        first = await talk.post("1")
        await talk.until("part.delta")
        await held(engine, nursery)
        second = await talk.post("2")
        assert second.queued
        await trio.sleep(5)
        reader = fold(await talk.events())
        assert reader.ends == {first.run: ["RunCompleted"]}
        assert reader.waiting == [second.message]
    assert await answered_next(store, talk, ["c"]) == ["1", "ab", "2", "c"]


@pytest.mark.parametrize("policy", ["queue", "steer", "interrupt", "latest", "reject"])
async def test_idle_conversation_takes_a_message_and_keeps_it(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery, policy: Policy
) -> None:
    store = MemoryStore()
    async with open_engine(store, [ScriptedProvider(["a"])]) as engine:
        talk = await open_talk(engine)
        await held(engine, nursery)
        assert (await talk.post("1", policy=policy)).queued
        assert fold(await talk.events()).live is None
    assert await answered_next(store, talk, ["b"]) == ["1", "b"]


async def test_interrupted_run_ends_though_no_other_begins(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    store = MemoryStore()
    async with open_engine(store, [ScriptedProvider(["a", Pause(100)])]) as engine:
        talk = await open_talk(engine)
        first = await talk.post("1")
        await talk.until("part.delta")
        await held(engine, nursery)
        await talk.post("2", policy="interrupt")
        assert fold(await talk.events()).ends == {first.run: ["RunCancelled"]}
    assert await answered_next(store, talk, ["b"]) == ["1", "a", "2", "b"]


async def test_what_else_would_begin_a_run_is_refused(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    async with open_engine(MemoryStore(), [ScriptedProvider(["a"])]) as engine:
        talk = await open_talk(engine)
        receipt = await talk.post("1")
        await talk.settled()
        await held(engine, nursery)
        again = Regenerate(new_id(), NOW, receipt.answer or "", new_id(), new_id(), talk.model)
        with pytest.raises(ClosedError, match="try again"):
            await engine.submit(talk.id, again)


async def test_moment_of_calm_is_waited_for_with_everything_going_on(autojump_clock: trio.testing.MockClock) -> None:
    async with open_engine(MemoryStore(), [ScriptedProvider(["a", Pause(3)], ["b", Pause(5)])]) as engine:
        talk, other = await open_talk(engine), await open_talk(engine)
        await talk.post("1")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(engine.calm, 60)
            await trio.sleep(2)
            await other.post("2")
        assert trio.current_time() >= 7
        assert fold(await other.events()).live is None


async def test_no_calm_is_not_waited_for_longer(autojump_clock: trio.testing.MockClock) -> None:
    async with open_engine(MemoryStore(), [ScriptedProvider(["a", Pause(100)])]) as engine:
        await (await open_talk(engine)).post("1")
        assert not await engine.calm(5)
        assert trio.current_time() < 6
