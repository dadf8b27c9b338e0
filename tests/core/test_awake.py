"""One user keeps only so many conversations awake; what that costs is a read, and nothing that is at work is lost."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from support import Talk, open_talk

from trialogue import Engine, Limits, ThrottledError, open_engine
from trialogue.testing import MemoryStore, Script, ScriptedProvider


@asynccontextmanager
async def engine_of(awake: int, *scripts: Script, store: MemoryStore | None = None) -> AsyncGenerator[Engine]:
    provider = ScriptedProvider(*scripts, continues=True)
    async with open_engine(store or MemoryStore(), [provider], Limits(awake=awake)) as engine:
        yield engine


async def noted(engine: Engine, owner: str = "ann") -> Talk:
    """A conversation that was woken by a note, a second after the one before."""
    talk = await open_talk(engine, owner=owner)
    await talk.post("a note", respond=False)
    await trio.sleep(1)
    return talk


def awake(engine: Engine, *talks: Talk) -> list[bool]:
    return [engine.activation(talk.id) is not None for talk in talks]


async def test_conversation_used_longest_ago_goes_to_rest(autojump_clock: trio.testing.MockClock) -> None:
    async with engine_of(2, ["x"]) as engine:
        first, second = await noted(engine), await noted(engine)
        await first.post("used again", respond=False)
        await trio.sleep(1)
        third = await noted(engine)
        assert awake(engine, first, second, third) == [True, False, True]
        await second.post("back", respond=False)
        assert awake(engine, first, second, third) == [False, True, True]


async def test_others_are_not_concerned(autojump_clock: trio.testing.MockClock) -> None:
    async with engine_of(1, ["x"]) as engine:
        talks = [await noted(engine, owner) for owner in ("ann", "bob", "cid")]
        assert awake(engine, *talks) == [True] * 3


async def test_where_all_are_at_work_another_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    go = trio.Event()
    async with engine_of(2, ["x", go]) as engine:
        talks = [await open_talk(engine) for _ in range(3)]
        await talks[0].post("hi")
        await talks[1].post("hi")
        refused = talks[2].post_command("hi")
        with pytest.raises(ThrottledError, match="awake_per_user"):
            await engine.submit(talks[2].id, refused)
        await talks[0].stop()
        await engine.submit(talks[2].id, refused)  # As it was: the refusal left nothing.
        go.set()
        for talk in talks[1:]:
            await talk.settled()


async def test_what_a_crash_left_goes_on_however_much_it_is(autojump_clock: trio.testing.MockClock) -> None:
    store = MemoryStore()
    async with engine_of(9, ["begun", trio.Event()], store=store) as engine:
        talks = [await open_talk(engine) for _ in range(4)]
        for talk in talks:
            await talk.post("hi")
            await talk.until("part.delta")
    async with engine_of(1, ["begun", " and done"], store=store) as engine:
        for talk in talks:
            await Talk(engine, talk.id, talk.model).settled()
