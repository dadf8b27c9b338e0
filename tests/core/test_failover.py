"""Answers that fail are gone on with: by whom, from where, at whose cost, and never with a text said twice."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from msgspec.structs import replace
from support import NOW, Talk, fold, open_talk
from trio.testing import MockClock

from trialogue import (
    AskingLimits,
    Charge,
    Event,
    FinishPiece,
    LaneLimits,
    Limits,
    Message,
    Model,
    PriceList,
    Prices,
    ReasoningPart,
    Request,
    RequestImage,
    RunCompleted,
    RunFailed,
    RunStarted,
    RunWaiting,
    Settings,
    Stop,
    TextPart,
    Tool,
    Toolbox,
    ToolCallPart,
    ToolCallPiece,
    ToolResultPart,
    UpdateConversation,
    Usage,
    UsagePiece,
    new_id,
    open_engine,
    text_of,
    tool,
)
from trialogue._deciding.live_run import LiveRun
from trialogue._paying.prices import Listed
from trialogue._runs.failover import _goes_on as goes_on
from trialogue._runs.failover import _taken_along as taken_along
from trialogue._runs.failover import candidates, is_able
from trialogue.testing import OPENED, Fail, MemoryStore, Pause, ScriptedProvider

DONE = FinishPiece("stop")
FALLBACKS = {"one:script": ("two:script", "three:script")}
PRICED = PriceList(own={"one:*": Listed(Prices(1_000_000, 2_000_000)), "two:*": Listed(Prices(10_000_000, 20_000_000))})


def scripted(name: str, *scripts: Sequence[Any], continues: bool = False) -> ScriptedProvider:
    return ScriptedProvider(*scripts, name=name, continues=continues)


@asynccontextmanager
async def talking(*providers: ScriptedProvider, **limits: Any) -> AsyncGenerator[Talk]:
    bounds = replace(Limits(fallbacks=FALLBACKS), **limits)
    async with open_engine(MemoryStore(), providers, bounds, prices=PRICED, default_model="one:script") as engine:
        await engine.models()
        yield await open_talk(engine)
    assert [provider.open_streams for provider in providers] == [0] * len(providers)


async def message_of(talk: Talk, message: str | None) -> Message:
    found = await talk.engine.store.message(message or "")
    assert found is not None
    return found


async def charges(talk: Talk, events: Sequence[Event]) -> list[Charge]:
    found = [await talk.engine.store.ledger.charge("ann", run.run) for run in starts(events)]
    return [charge for charge in found if charge is not None]


def starts(events: Sequence[Event]) -> list[RunStarted]:
    return [event for event in events if isinstance(event, RunStarted)]


async def test_broken_answer_goes_on_from_its_last_word(autojump_clock: MockClock) -> None:
    one = scripted("one", ["Hel", ("lo", " wor"), Fail("broken"), "ld", DONE], continues=True)
    async with talking(one) as talk:
        receipt = await talk.post("hi")
        events = await talk.settled()
        answer = await message_of(talk, receipt.answer)
        assert text_of(answer.parts) == "Hello world" == fold(events).text(answer.id)
        assert (answer.status, answer.model, answer.asked, answer.attempt) == ("completed", "one:script", None, 2)
        failed = next(event for event in events if isinstance(event, RunFailed))
        first, second = starts(events)
        assert (failed.run, failed.next) == (first.run, second.run)
        assert (second.cause, second.first_part, second.before) == ("failover", 1, (first.run,))
        assert one.requests[1].prefix == "Hello wor"


async def test_next_model_answers_when_the_first_does_not_begin(autojump_clock: MockClock) -> None:
    one = scripted("one", [Fail("unavailable", "it is down"), OPENED])
    two = scripted("two", ["fine"])
    async with talking(one, two) as talk:
        receipt = await talk.post("hi")
        events = await talk.settled()
        answer = await message_of(talk, receipt.answer)
        assert text_of(answer.parts) == "fine"
        assert (answer.model, answer.asked, answer.failure) == ("two:script", "one:script", None)
        assert len(one.requests) == 3
        first, second = await charges(talk, events)
        assert (first.model, first.status, first.billed) == ("one:script", "failed", Usage("estimated", 0, 0, cost=0))
        assert (second.model, second.status) == ("two:script", "completed")


async def test_each_run_is_charged_at_its_own_price(autojump_clock: MockClock) -> None:
    one = scripted("one", [("a", "b"), UsagePiece(Usage("reported", 10, 2)), Fail("broken")])
    two = scripted("two", ["c", UsagePiece(Usage("reported", 12, 1))], continues=True)
    two_does = {"one:script": ("two:script",)}
    async with talking(one, two, fallbacks=two_does, failovers=2) as talk:
        one.then([Fail("unavailable"), OPENED])
        await talk.post("hi")
        events = await talk.settled()
        found = await charges(talk, events)
        assert [charge.model for charge in found] == ["one:script", "one:script", "two:script"]
        assert [charge.billed and charge.billed.cost for charge in found] == [14_000, 0, 140_000]
        total = await talk.engine.store.ledger.total("ann", NOW.date(), found[-1].started_at.date())
        assert (total.runs, total.cost) == (3, 154_000)


async def test_answer_that_cannot_go_on_is_begun_anew_beside_it(autojump_clock: MockClock) -> None:
    one = scripted("one", ["half an ans", Fail("broken", "cut off")], ["a whole answer"])
    async with talking(one) as talk:
        receipt = await talk.post("hi")
        events = await talk.settled()
        reader = fold(events)
        old = await message_of(talk, receipt.answer)
        new = await message_of(talk, reader.head)
        assert (text_of(old.parts), old.status) == ("half an ans", "failed")
        assert old.failure is not None
        assert old.failure.detail == "cut off"
        assert (text_of(new.parts), new.status, new.parent, new.attempt) == (
            "a whole answer",
            "completed",
            old.parent,
            1,
        )
        assert reader.text(old.id) == "half an ans"
        assert reader.text(new.id) == "a whole answer"
        assert one.requests[1].prefix == ""
        await talk.post("and?")
        await talk.settled()
        assert [text_of(message.parts) for message in one.requests[2].messages] == ["hi", "a whole answer", "and?"]


async def test_nothing_is_begun_beside_what_nobody_looks_at(autojump_clock: MockClock) -> None:
    """The head was moved to another branch: it stays there, and the answer has failed."""
    one = scripted("one", ["half", Pause(5), Fail("broken")], ["another"])
    async with talking(one) as talk:
        receipt = await talk.post("hi")
        await talk.until("part.delta")
        await talk.engine.submit(talk.id, UpdateConversation(new_id(), NOW, head=receipt.message))
        await talk.settled()
        assert (await message_of(talk, receipt.answer)).status == "failed"
        assert len(one.requests) == 1


async def test_it_is_tried_only_so_often(autojump_clock: MockClock) -> None:
    one = scripted("one", ["a", Fail("broken")])
    async with talking(one, failovers=2) as talk:
        await talk.post("hi")
        events = await talk.settled()
        assert len(one.requests) == 3
        last = events[-1]
        assert isinstance(last, RunFailed)
        assert last.next is None
        assert [start.before for start in starts(events)][1:] == [
            (starts(events)[0].run,),
            (starts(events)[0].run, starts(events)[1].run),
        ]


async def test_what_is_refused_is_not_asked_elsewhere(autojump_clock: MockClock) -> None:
    one, two = scripted("one", [Fail("refused"), OPENED]), scripted("two")
    async with talking(one, two) as talk:
        await talk.post("hi")
        assert isinstance((await talk.settled())[-1], RunFailed)
        assert two.requests == []


@pytest.mark.parametrize("kind", ["throttled", "unavailable", "stalled", "broken", "malformed"])
async def test_what_another_may_do_is_asked_elsewhere(autojump_clock: MockClock, kind: str) -> None:
    one, two = scripted("one", [Fail(kind), OPENED]), scripted("two", ["fine"])
    async with talking(one, two) as talk:
        receipt = await talk.post("hi")
        await talk.settled()
        assert (await message_of(talk, receipt.answer)).model == "two:script"


async def test_silence_goes_elsewhere_as_well(autojump_clock: MockClock) -> None:
    one, two = scripted("one", [Pause(1000)]), scripted("two", ["fine"])
    async with talking(one, two, asking=AskingLimits(first_token=9)) as talk:
        began = trio.current_time()
        receipt = await talk.post("hi")
        await talk.settled()
        assert (await message_of(talk, receipt.answer)).model == "two:script"
        assert trio.current_time() - began < 10


async def test_model_that_is_left_alone_is_not_asked_in_its_turn(autojump_clock: MockClock) -> None:
    one, two = (scripted(name, [Fail("broken"), OPENED]) for name in ("one", "two"))
    three = scripted("three", ["fine"])
    async with talking(one, two, three, failovers=2) as talk:
        for _ in range(5):
            await talk.post("hi")
            await talk.settled()
        assert [talk.engine.health(f"{name}:script").status for name in ("one", "two", "three")] == [
            "down",
            "down",
            "ok",
        ]
        before = len(one.requests), len(two.requests)
        receipt = await talk.post("hi")
        events = await talk.settled()
        assert (await message_of(talk, receipt.answer)).model == "three:script"
        assert (len(one.requests), len(two.requests)) == before
        assert [start.model for start in starts(events)][-2:] == ["one:script", "three:script"]


async def test_stop_by_the_first_runs_id_stops_the_one_that_goes_on(autojump_clock: MockClock) -> None:
    one = scripted("one", [Fail("broken"), OPENED])
    two = scripted("two", ["going on", Pause(500), "and on"])
    async with talking(one, two) as talk:
        receipt = await talk.post("hi")
        await talk.until("part.delta")
        stopped = await talk.engine.submit(talk.id, Stop(new_id(), NOW, receipt.run))
        assert stopped.answer == receipt.answer
        assert two.open_streams == 0
        assert (await message_of(talk, receipt.answer)).status == "cancelled"


async def test_message_that_waits_is_answered_after_the_whole_answer(autojump_clock: MockClock) -> None:
    one = scripted("one", ["a", Pause(3), Fail("broken"), "b", DONE], ["a", "b"], ["c"], continues=True)
    async with talking(one) as talk:
        await talk.post("hi")
        second = await talk.post("later")
        assert second.queued
        reader = fold(await talk.settled())
        assert [reader.ends[run] for run in reader.ends] == [["RunFailed"], ["RunCompleted"], ["RunCompleted"]]


async def test_tokens_that_are_left_bound_what_follows(autojump_clock: MockClock) -> None:
    one = scripted("one", [("a", "b", "c"), Fail("broken"), "d", DONE], continues=True)
    async with talking(one) as talk:
        command = replace(talk.post_command("hi"), settings=Settings(max_tokens=10, temperature=0.5))
        await talk.engine.submit(talk.id, command)
        await talk.settled()
        assert [request.settings for request in one.requests] == [
            Settings(max_tokens=10, temperature=0.5),
            Settings(max_tokens=7, temperature=0.5),
        ]


async def test_answer_that_waits_says_so_and_goes_on(autojump_clock: MockClock) -> None:
    one = scripted("one", [Fail("throttled", retry_after=8), OPENED], ["a"])
    async with talking(one) as talk:
        receipt = await talk.post("hi")
        await talk.until("run.waiting")
        snapshot = await talk.engine.snapshot(talk.id)
        assert snapshot.run is not None
        assert snapshot.run.waiting == "retry"
        events = await talk.settled()
        (waiting,) = (event for event in events if isinstance(event, RunWaiting))
        assert waiting.until is not None
        assert 8 <= (waiting.until - waiting.at).total_seconds() < 9
        assert (await message_of(talk, receipt.answer)).status == "completed"


async def test_waiting_for_a_turn_is_a_state_and_no_error(autojump_clock: MockClock) -> None:
    one = scripted("one", ["a", Pause(5), "b"])
    async with talking(one, asking=AskingLimits(lanes={"one": LaneLimits(concurrency=1)})) as talk:
        other = await open_talk(talk.engine)
        await talk.post("hi")
        await talk.until("part.delta")
        await other.post("hi")
        (waiting,) = (event for event in await other.until("run.waiting") if isinstance(event, RunWaiting))
        assert (waiting.reason, waiting.until) == ("turn", None)
        assert isinstance((await other.settled())[-1], RunCompleted)
        assert one.most_open_streams == 1


async def test_run_that_waits_is_stopped_at_once(autojump_clock: MockClock) -> None:
    one = scripted("one", [Fail("throttled", retry_after=18), OPENED], ["a"])
    async with talking(one) as talk:
        await talk.post("hi")
        await talk.until("run.waiting")
        began = trio.current_time()
        await talk.stop()
        assert trio.current_time() == began


class Counter:
    """A tool with an effect: it counts how often it was called."""

    def __init__(self) -> None:
        self.calls = 0

    @property
    def tool(self) -> Tool:
        @tool
        async def count() -> int:
            """Counts."""
            self.calls += 1
            return self.calls

        return count


@asynccontextmanager
async def counting(*providers: ScriptedProvider) -> AsyncGenerator[tuple[Talk, Counter]]:
    counter = Counter()
    limits = Limits(fallbacks=FALLBACKS)
    async with open_engine(
        MemoryStore(), providers, limits, default_model="one:script", toolbox=Toolbox([counter.tool])
    ) as engine:
        await engine.models()
        yield await open_talk(engine), counter


async def test_another_model_goes_on_with_the_results_of_tools(autojump_clock: MockClock) -> None:
    one = ScriptedProvider([ToolCallPiece("count", "{}")], [Fail("unavailable"), OPENED], name="one", tools=True)
    two = ScriptedProvider(["It is one."], name="two", tools=True)
    async with counting(one, two) as (talk, counter):
        receipt = await talk.post("How many?")
        await talk.settled()
        answer = await message_of(talk, receipt.answer)
        assert [type(part) for part in answer.parts] == [ToolCallPart, ToolResultPart, TextPart]
        assert (answer.model, answer.status, counter.calls) == ("two:script", "completed", 1)


async def test_no_call_is_made_again_when_an_answer_is_begun_anew(autojump_clock: MockClock) -> None:
    one = ScriptedProvider(
        [ToolCallPiece("count", "{}")], ["It is o", Fail("broken")], ["It is one."], name="one", tools=True
    )
    async with counting(one) as (talk, counter):
        receipt = await talk.post("How many?")
        reader = fold(await talk.settled())
        old, new = await message_of(talk, receipt.answer), await message_of(talk, reader.head)
        assert [type(part) for part in new.parts] == [ToolCallPart, ToolResultPart, TextPart]
        assert new.parts[:2] == old.parts[:2]
        assert (text_of(old.parts), text_of(new.parts), counter.calls) == ("It is o", "It is one.", 1)


async def test_call_of_a_response_that_broke_is_not_made(autojump_clock: MockClock) -> None:
    one = ScriptedProvider([ToolCallPiece("count", "{}"), Fail("broken")], ["No need."], name="one", tools=True)
    async with counting(one) as (talk, counter):
        receipt = await talk.post("How many?")
        reader = fold(await talk.settled())
        old, new = await message_of(talk, receipt.answer), await message_of(talk, reader.head)
        assert [type(part) for part in old.parts] == [ToolCallPart, ToolResultPart]
        assert (new.parts, counter.calls) == ((TextPart("No need."),), 0)


async def test_model_without_tools_is_passed_over(autojump_clock: MockClock) -> None:
    one = ScriptedProvider([Fail("unavailable"), OPENED], name="one", tools=True)
    two, three = scripted("two"), ScriptedProvider(["fine"], name="three", tools=True)
    async with counting(one, two, three) as (talk, _):
        receipt = await talk.post("How many?")
        await talk.settled()
        assert (await message_of(talk, receipt.answer)).model == "three:script"


# --- who may go on, and with what --------------------------------------------------------------------------------

LIVE = LiveRun("run", "answer", "one:script", Settings(), 5)


def test_same_model_only_where_it_had_begun() -> None:
    assert candidates(LIVE, FALLBACKS, begun=False) == ("two:script", "three:script")
    assert candidates(LIVE, FALLBACKS, begun=True) == ("one:script", "two:script", "three:script")


def test_chain_goes_on_from_where_it_is_and_never_back() -> None:
    second = replace(LIVE, model="two:script", asked="one:script")
    assert candidates(second, FALLBACKS, begun=False) == ("three:script",)
    third = replace(LIVE, model="three:script", asked="one:script")
    assert candidates(third, FALLBACKS, begun=False) == ()
    assert candidates(third, FALLBACKS, begun=True) == ("three:script",)
    assert candidates(replace(LIVE, model="other:script"), FALLBACKS, begun=False) == ()


@pytest.mark.parametrize(
    ("capability", "asked"),
    [("vision", {"images": {"f": RequestImage("image/png", "")}})],
)
def test_model_that_cannot_do_what_is_asked_is_passed_over(capability: str, asked: dict[str, Any]) -> None:
    request = Request("script", (), **asked)
    assert not is_able(Model("m:m", "m", "m", 1000), request)
    assert is_able(Model("m:m", "m", "m", 1000, (capability,)), request)
    assert is_able(Model("m:m", "m", "m", 1000), Request("script", ()))


def answer(*parts: Any) -> Message:
    return Message("a", "c", "assistant", parts, NOW, "q", "in_progress", "one:m", "run")


CALL, RESULT = ToolCallPart("a-1", "clock", "{}", signature="s"), ToolResultPart("a-1", "noon")


def test_tool_calls_that_were_answered_are_taken_along_and_others_are_not() -> None:
    said = answer(ReasoningPart("hm", "sig"), TextPart("let me see"), CALL, RESULT, TextPart("it is no"), CALL)
    assert taken_along(said, same=True) == said.parts[:4]
    assert taken_along(said, same=False) == (TextPart("let me see"), replace(CALL, signature=None), RESULT)
    assert taken_along(answer(TextPart("half")), same=True) == ()


def test_going_on_within_an_answer() -> None:
    able, unable = Model("one:m", "one", "m", 1000, ("continues",)), Model("one:m", "one", "m", 1000)
    other = replace(able, id="two:m")
    assert goes_on(answer(TextPart("half")), "one:m", able)
    assert not goes_on(answer(TextPart("half")), "one:m", unable)
    assert goes_on(answer(), "one:m", replace(unable, id="two:m"))
    assert goes_on(answer(CALL, RESULT), "one:m", unable)
    assert not goes_on(answer(CALL, RESULT), "one:m", other), "what one vendor has signed is nothing to another"
    assert not goes_on(answer(TextPart("half"), CALL), "one:m", able), "nobody has answered the call"
