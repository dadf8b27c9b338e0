"""Conversations that are closed, and commits that are told of, while somebody in them does what he must not."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from support import Talk, fold, open_talk

from trialogue import BrokenError, ElsewhereError, Request, ResponseStream, TrialogueError, open_engine
from trialogue._actors.cell import CLOSING
from trialogue.testing import Fault, MemoryStore, Pause, ScriptedProvider


class _Deaf(ScriptedProvider):
    """Does not let itself be cancelled for an hour."""

    @asynccontextmanager
    async def open_response(self, request: Request) -> AsyncGenerator[ResponseStream]:
        async with super().open_response(request) as stream:
            try:
                yield stream
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(3600)


async def test_provider_that_cannot_be_cancelled_holds_up_no_removal(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_engine(MemoryStore(), [_Deaf(["a", Pause(9999)])]) as engine:
        talk = await open_talk(engine)
        await talk.post("hi")
        await talk.until("part.delta")
        began = trio.current_time()
        await engine.purge(talk.id)
        assert trio.current_time() - began == pytest.approx(CLOSING, abs=0.1)
        assert await engine.store.header(talk.id) is None
    assert [record.levelname for record in caplog.records if "does not end" in record.message] == ["ERROR"]


async def test_actor_closed_while_it_is_being_activated_begins_nothing(autojump_clock: trio.testing.MockClock) -> None:
    store, provider = MemoryStore(), ScriptedProvider(["a", Pause(9999)], ["b"])
    async with open_engine(store, [provider]) as engine:
        talk = await open_talk(engine)
        await talk.post("hi")
        await talk.until("part.delta")
    before = len(await talk.events())
    store.faults.next("claim", Fault(delay=1.0))
    async with open_engine(store, [provider]) as engine:
        await trio.sleep(0.5)
        await engine.removed(talk.id)
        await trio.sleep(0.6)
    assert len(await talk.events()) == before, "nothing was recovered"
    assert len(provider.requests) == 1


async def test_one_bad_reader_costs_the_others_of_a_commit_nothing(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    store, provider = MemoryStore(), ScriptedProvider(forever=True)
    async with open_engine(store, [provider]) as engine:
        bad, good = await open_talk(engine), await open_talk(engine)
        store.faults.next("append", Fault(delay=1.0))
        first = await good.post("gathers the others behind it", respond=False)
        raises = [ZeroDivisionError()]

        def wake() -> None:
            if raises:
                raise raises.pop()

        detach = (await engine.watch(bad.id)).attach(wake)
        errors: list[TrialogueError] = []
        async with trio.open_nursery() as nursery:
            store.faults.next("append", Fault(delay=1.0))
            for talk in (good, bad, good):
                nursery.start_soon(_post, talk, errors)
        detach()
        assert first.message
        assert not raises
        assert [type(error) for error in errors] == [BrokenError]
        assert len(fold(await good.events()).messages) == 3
        assert (await bad.post("again", respond=False)).message
    assert any("what follows a commit failed" in record.message for record in caplog.records)


async def _post(talk: Talk, errors: list[TrialogueError]) -> None:
    try:
        await talk.post("hi", respond=False)
    except TrialogueError as error:
        errors.append(error)


async def test_each_who_waits_is_told_by_an_error_of_his_own(autojump_clock: trio.testing.MockClock) -> None:
    store, errors = MemoryStore(), list[TrialogueError]()
    async with open_engine(store, [ScriptedProvider()]) as engine:
        talk = await open_talk(engine)
        store.faults.next("append", Fault(delay=60.0))
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(_post, talk, errors)
            await trio.sleep(0.5)
            await engine.removed(talk.id)
    assert len(errors) == len(set(map(id, errors))) == 3
    assert {error.detail for error in errors} == {"the conversation was removed for good"}


def test_error_again_says_the_same() -> None:
    error = ElsewhereError("there", "node", retry_after=2.0)
    error.__cause__ = OSError("gone")
    with pytest.raises(ElsewhereError):
        raise error
    twin = error.again()
    assert twin is not error
    assert (str(twin), twin.node, twin.retry_after, twin.__cause__) == ("there", "node", 2.0, error.__cause__)
    assert twin.__traceback__ is None
