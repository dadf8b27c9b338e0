"""A run of a dead process whose provider keeps the response goes on as if nothing had happened, and is paid for once."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from support import Talk, fold, open_talk

from trialogue import (
    Event,
    FinishPiece,
    Limits,
    PartDelta,
    RunAttached,
    RunCompleted,
    RunStarted,
    Toolbox,
    ToolCallPiece,
    Usage,
    UsagePiece,
    open_engine,
    tool,
)
from trialogue.testing import MemoryStore, Pause, Script, ScriptedProvider

COUNT = UsagePiece(Usage("reported", 7, 3))
SCRIPT: Script = ["The answer", Pause(5), " goes", Pause(5), (" on", COUNT)]


async def died(store: MemoryStore, provider: ScriptedProvider) -> tuple[Talk, str, str]:
    """A conversation whose process ended in the middle of an answer; the run and the answer."""
    async with open_engine(store, [provider]) as engine:
        talk = await open_talk(engine)
        receipt = await talk.post("hi")
        await talk.until("part.delta")
    assert receipt.run
    assert receipt.answer
    return talk, receipt.run, receipt.answer


def kinds(events: list[Event]) -> list[type[Event]]:
    return [type(event) for event in events if isinstance(event, (RunStarted, RunAttached, RunCompleted, PartDelta))]


async def test_it_goes_on_in_the_same_run(autojump_clock: trio.testing.MockClock) -> None:
    store, provider = MemoryStore(), ScriptedProvider(SCRIPT, keeps=True)
    talk, run, answer = await died(store, provider)
    async with open_engine(store, [provider]) as engine:
        events = await Talk(engine, talk.id, talk.model).settled()
    reader = fold(events)
    assert reader.parts[answer] == ["The answer goes on"]
    assert reader.ends[run] == ["RunCompleted"]
    assert len(provider.requests) == 1, "nothing was asked for anew"
    assert provider.reopened == [("scripted-1", 1)]
    assert not provider.discarded
    assert [event.reopened for event in events if isinstance(event, RunAttached)] == [0, 1, 0, 0]
    (charge,) = (await store.ledger.charges("ann", limit=9)).charges
    assert charge.reported is not None
    assert (charge.reported.input_tokens, charge.reported.output_tokens) == (7, 3)


async def test_what_was_said_before_its_handle_was_known_is_said_again_by_nobody(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Text and handle are in one append: the log has either both or none."""
    store, provider = MemoryStore(), ScriptedProvider(SCRIPT, keeps=True)
    talk, _, _ = await died(store, provider)
    async with open_engine(store, [provider]) as engine:
        events = await Talk(engine, talk.id, talk.model).settled()
    said = kinds(events)
    for place, kind in enumerate(said[:-2]):
        assert kind is not PartDelta or said[place + 1] is RunAttached


@pytest.mark.parametrize("continues", [True, False])
async def test_a_response_that_is_lost_is_recovered_from_as_ever(
    autojump_clock: trio.testing.MockClock, continues: bool
) -> None:
    store, provider = MemoryStore(), ScriptedProvider(SCRIPT, keeps=True, continues=continues)
    talk, run, answer = await died(store, provider)
    provider.forget()
    async with open_engine(store, [provider]) as engine:
        later = Talk(engine, talk.id, talk.model)
        reader = fold(await later.settled())
        # What waits gets its turn.
        second = await later.post("well?")
        await later.settled()
    assert reader.ends[run] == ["RunInterrupted"]
    assert reader.text(answer) == ("The answer goes on" if continues else "The answer")
    assert second.answer
    assert provider.open_streams == 0


async def test_a_process_that_dies_again_and_again_does_not_do_so_for_ever(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store, provider = MemoryStore(), ScriptedProvider(["a", Pause(3600), "b"], keeps=True)
    talk, run, _ = await died(store, provider)
    reader = fold([])
    for _ in range(12):
        async with open_engine(store, [provider]) as engine:
            later = Talk(engine, talk.id, talk.model)
            await trio.sleep(10)
            reader = fold(await later.events())
    assert reader.ends[run] == ["RunInterrupted"]
    assert len(provider.reopened) == 9


async def test_it_is_not_taken_over_where_that_is_not_wanted(autojump_clock: trio.testing.MockClock) -> None:
    store, provider = MemoryStore(), ScriptedProvider(SCRIPT, keeps=True)
    talk, run, _ = await died(store, provider)
    async with open_engine(store, [provider], Limits(recovery="end")) as engine:
        reader = fold(await Talk(engine, talk.id, talk.model).settled())
    assert reader.ends[run] == ["RunInterrupted"]
    assert not provider.reopened


async def test_a_tool_is_not_called_again_because_its_call_is_kept(autojump_clock: trio.testing.MockClock) -> None:
    """What the provider keeps is over once the tools it asked for are called."""
    called: list[str] = []

    @tool
    async def book() -> str:
        called.append("book")
        await trio.sleep(3600)
        return "booked"

    store = MemoryStore()
    calling: Script = ["Let me ", Pause(1), (ToolCallPiece("book", "{}"), FinishPiece("tool_call"))]
    provider = ScriptedProvider(calling, ["done"], keeps=True, tools=True)
    async with open_engine(store, [provider], toolbox=Toolbox([book])) as engine:
        talk = await open_talk(engine)
        receipt = await talk.post("hi")
        await talk.until("tool.called")
    async with open_engine(store, [provider], toolbox=Toolbox([book])) as engine:
        reader = fold(await Talk(engine, talk.id, talk.model).settled())
    assert called == ["book"]
    assert not provider.reopened
    assert reader.text(receipt.answer or "") == "Let me done"


async def test_a_call_that_was_not_heard_to_its_end_is_made(autojump_clock: trio.testing.MockClock) -> None:
    called: list[str] = []

    @tool
    async def book() -> str:
        called.append("book")
        return "booked"

    store = MemoryStore()
    calling: Script = ["Let me ", Pause(5), (ToolCallPiece("book", "{}"), FinishPiece("tool_call"))]
    provider = ScriptedProvider(calling, ["done"], keeps=True, tools=True)
    talk, run, answer = await died(store, provider)
    async with open_engine(store, [provider], toolbox=Toolbox([book])) as engine:
        reader = fold(await Talk(engine, talk.id, talk.model).settled())
    assert called == ["book"]
    assert reader.text(answer) == "Let me done"
    assert reader.ends[run] == ["RunCompleted"]
    assert provider.reopened == [("scripted-1", 1)]


async def test_a_stop_is_told_to_who_keeps_it(autojump_clock: trio.testing.MockClock) -> None:
    store, provider = MemoryStore(), ScriptedProvider(SCRIPT, keeps=True)
    async with open_engine(store, [provider]) as engine:
        talk = await open_talk(engine)
        await talk.post("hi")
        await talk.until("part.delta")
        await talk.stop()
        await trio.testing.wait_all_tasks_blocked()
        assert provider.discarded == ["scripted-1"]
        await talk.post("and now to the end")
        await talk.settled()
    assert provider.discarded == ["scripted-1"]


async def test_a_stop_of_what_was_taken_over_is_told_too(autojump_clock: trio.testing.MockClock) -> None:
    store, provider = MemoryStore(), ScriptedProvider(SCRIPT, keeps=True)
    talk, run, _ = await died(store, provider)
    async with open_engine(store, [provider]) as engine:
        later = Talk(engine, talk.id, talk.model)
        await later.stop()
        await trio.testing.wait_all_tasks_blocked()
        reader = fold(await later.settled())
    assert reader.ends[run] == ["RunCancelled"]
    assert provider.discarded == ["scripted-1"]
