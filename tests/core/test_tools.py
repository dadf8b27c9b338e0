"""Tools: a run goes on with what its calls came to, and nothing that a tool does ends it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from support import NOW, Talk, open_talk

from trialogue import (
    AnswerApproval,
    ApprovalAsked,
    CitationPart,
    ConflictError,
    ContinueAnswer,
    Engine,
    Event,
    InvalidError,
    Limits,
    Message,
    Receipt,
    Searcher,
    SearchQuery,
    Settings,
    SpendingBudget,
    TextPart,
    Tool,
    Toolbox,
    ToolCallPart,
    ToolCallPiece,
    ToolContext,
    ToolError,
    ToolLike,
    ToolOutput,
    ToolResultPart,
    ToolSource,
    ToolUse,
    Usage,
    UsagePiece,
    event_type,
    new_id,
    open_engine,
    rounds_of,
    tool,
)
from trialogue._deciding.recovering import LOST
from trialogue._deciding.running import NOT_CALLED, UNKNOWN
from trialogue.testing import MemoryStore, ScriptedProvider

LIMITS = Limits()


@tool
async def add(one: int, other: int = 1) -> int:
    """Adds two numbers."""
    return one + other


@tool
async def fails() -> str:
    """Fails."""
    raise ValueError("secret")


@tool(timeout=5)
async def hangs() -> str:
    """Never returns."""
    await trio.sleep_forever()
    raise AssertionError


@tool
async def explains() -> str:
    """Fails, and says why."""
    raise ToolError("there is no such city")


@tool
async def grouped() -> str:
    """Fails in a nursery."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fails.call, {}, None)  # type: ignore[arg-type]  # it looks at neither
    raise AssertionError


class Junk(Tool):
    """Returns what a tool must not."""

    def __init__(self, name: str, output: Any) -> None:
        self.name, self.description, self.parameters, self._output = name, "Junk", {"type": "object"}, output

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> ToolOutput:
        await trio.lowlevel.checkpoint()
        return self._output  # type: ignore[no-any-return]  # on purpose


junk, broken = Junk("junk", 5), Junk("broken", ToolOutput(None))  # type: ignore[arg-type]  # on purpose


class Changing(ToolSource):
    """Has other tools each time it is asked, and is too late when it has ``"late"``."""

    name = "changing"

    def __init__(self, steps: list[Any]) -> None:
        self.closed = False
        self._steps = steps

    async def tools(self) -> Sequence[Tool]:
        now: Sequence[Tool] | str = self._steps.pop(0)
        if isinstance(now, str):
            await trio.sleep_forever()
            raise AssertionError
        return now

    async def aclose(self) -> None:
        self.closed = True


class Point(msgspec.Struct):
    x: float
    y: float


def call(name: str, arguments: str = "{}") -> ToolCallPiece:
    return ToolCallPiece(name, arguments)


def scripted(*scripts: Any) -> ScriptedProvider:  # as ScriptedProvider takes them
    return ScriptedProvider(*scripts, tools=True)


async def asked(
    provider: ScriptedProvider, *tools: ToolLike, limits: Limits = LIMITS, settings: Settings | None = None
) -> tuple[Message, list[Event]]:
    """The answer to a question, and the events of the log."""
    store = MemoryStore()
    async with open_engine(store, [provider], limits, toolbox=Toolbox(tools)) as engine:
        talk = await open_talk(engine)
        receipt = await talk.post("question", settings=settings)
        events = await talk.settled()
        answer = await store.message(receipt.answer or "")
        assert answer is not None
        return answer, events


def clock() -> Callable[[], datetime]:
    """A clock that goes with Trio's."""
    began = trio.current_time()
    return lambda: NOW + timedelta(seconds=trio.current_time() - began)


def types(events: Sequence[Event]) -> list[str]:
    return [event_type(event) for event in events]


def results(message: Message) -> list[tuple[str, bool]]:
    return [(part.text, part.failed) for part in message.parts if isinstance(part, ToolResultPart)]


async def test_a_call_is_made_and_the_model_goes_on(autojump_clock: trio.testing.MockClock) -> None:
    provider = scripted(["Let me see.", call("add", '{"one": 2, "other": 3}')], ["It is 5."])
    answer, events = await asked(provider, add)
    assert [type(part) for part in answer.parts] == [TextPart, ToolCallPart, ToolResultPart, TextPart]
    assert results(answer) == [("5", False)]
    assert answer.status == "completed"
    middle = types(events)[types(events).index("part.added") :]
    assert [name for name in middle if name not in ("usage", "part.delta")] == [
        "part.added",
        "tool.called",
        "tool.returned",
        "generation.started",
        "part.started",
        "part.ended",
        "run.completed",
    ]
    request = provider.requests[1]
    assert request.messages[-1].role == "assistant"
    assert request.prefix == ""
    (round_,) = rounds_of(request.messages[-1].parts)
    assert [part.text for part in round_.results] == ["5"]
    assert [spec.name for spec in provider.requests[0].tools] == ["add"]


async def test_calls_are_made_side_by_side_and_shown_in_their_order(autojump_clock: trio.testing.MockClock) -> None:
    @tool
    async def wait(seconds: float) -> str:
        await trio.sleep(seconds)
        return f"after {seconds}"

    provider = scripted([call("wait", '{"seconds": 3}'), call("wait", '{"seconds": 1}')], ["Done."])
    began = trio.current_time()
    answer, _ = await asked(provider, wait)
    assert trio.current_time() - began < 4
    assert results(answer) == [("after 1.0", False), ("after 3.0", False)], "as they came"
    (round_, *_) = rounds_of(provider.requests[1].messages[-1].parts)
    assert [part.text for part in round_.results] == ["after 3.0", "after 1.0"], "as they were asked for"


@pytest.mark.parametrize(
    ("piece", "words"),
    [
        (call("fails"), "the tool failed for a reason of its own"),
        (call("hangs"), "longer than 5 seconds"),
        (call("nobody"), "there is no tool 'nobody'"),
        (call("add", '{"one": "x"}'), "the arguments do not fit: Expected 'int', got 'str' - at '$.one'"),
        (call("add", '{"two": 1, "one": 1}'), "unknown field 'two'"),
        (call("add", "[1]"), "no JSON object"),
        (call("add", '{"one"'), "no JSON object"),
        (call("add", '{"one": 1' + " " * 200 + "}"), "longer than 100 characters (tool_argument_characters)"),
        (call("junk"), "for a reason of its own"),
        (call("broken"), "for a reason of its own"),
        (call("grouped"), "the tool failed"),
        (call("explains"), "there is no such city"),
    ],
)
async def test_what_goes_wrong_is_told_to_the_model(
    autojump_clock: trio.testing.MockClock, piece: ToolCallPiece, words: str
) -> None:
    provider = scripted([piece], ["Then not."])
    tools = [add, fails, hangs, junk, broken, grouped, explains]
    answer, _ = await asked(provider, *tools, limits=Limits(tool_arguments=100))
    ((text, failed),) = results(answer)
    assert failed
    assert words in text
    assert "secret" not in text
    assert answer.status == "completed"


async def test_a_long_output_is_cut_and_says_so(autojump_clock: trio.testing.MockClock) -> None:
    @tool
    async def talk() -> str:
        return "x" * 50_000_000 + "\ud800"

    answer, _ = await asked(scripted([call("talk")], ["Done."]), talk, limits=Limits(tool_output=1000))
    ((text, failed),) = results(answer)
    assert not failed
    assert text.startswith("x" * 1000 + "\n[49999001 characters left out")
    assert len(text) < 1200


async def test_halves_of_characters_are_replaced(autojump_clock: trio.testing.MockClock) -> None:
    @tool
    async def half() -> ToolOutput:
        return ToolOutput("a\ud800", (CitationPart("b\udfff", "c\ud800"),))

    answer, _ = await asked(scripted([call("half")], ["Done."]), half)
    part = answer.parts[1]
    assert part == ToolResultPart(part.call, "a?", citations=(CitationPart("b?", "c?"),))  # type: ignore[union-attr]


async def test_more_calls_than_may_be_are_refused(autojump_clock: trio.testing.MockClock) -> None:
    provider = scripted([tuple(call("add", '{"one": 1}') for _ in range(4))], ["Done."])
    answer, _ = await asked(provider, add, limits=Limits(tool_calls=3))
    assert [failed for _, failed in results(answer)].count(True) == 1


async def test_the_last_generation_does_without_tools(autojump_clock: trio.testing.MockClock) -> None:
    provider = scripted([call("add", '{"one": 1}')])
    answer, events = await asked(provider, add, limits=Limits(generations=3))
    assert [request.tool_choice for request in provider.requests] == ["auto", "auto", "none"]
    assert (answer.status, events[-1].reason) == ("incomplete", "max_generations")  # type: ignore[union-attr]
    assert results(answer)[-1] == ("The tool was not called: the answer ended before.", True)


async def test_the_run_ends_with_its_time(autojump_clock: trio.testing.MockClock) -> None:
    limits = Limits(run_seconds=3, tool_seconds=60)
    answer, events = await asked(scripted([call("hangs")]), hangs, limits=limits)
    assert events[-1].reason == "max_seconds"  # type: ignore[union-attr]
    assert results(answer)[0][1]


async def test_only_named_tools_are_offered_and_called(autojump_clock: trio.testing.MockClock) -> None:
    provider = scripted([call("fails")], ["Done."])
    answer, _ = await asked(provider, add, fails, settings=Settings(tools=(ToolUse("add"),)))
    assert [spec.name for spec in provider.requests[0].tools] == ["add"]
    assert results(answer) == [("there is no tool 'fails' for you to call", True)]


async def test_a_model_without_tools_is_told_of_none(autojump_clock: trio.testing.MockClock) -> None:
    provider = ScriptedProvider(["Hello."])
    await asked(provider, add)
    assert provider.requests[0].tools == ()


async def test_a_tool_that_must_be_called_is_called_once(autojump_clock: trio.testing.MockClock) -> None:
    provider = scripted([call("add", '{"one": 1}')], ["Done."])
    await asked(provider, add, settings=Settings(tool_choice="required"))
    assert [request.tool_choice for request in provider.requests] == ["required", "auto"]


async def test_a_source_s_tools_come_and_go(autojump_clock: trio.testing.MockClock) -> None:
    source = Changing([[add], [], [fails, hangs], "late"])
    provider = scripted(["1"], ["2"], ["3"], ["4"])
    async with open_engine(MemoryStore(), [provider], toolbox=Toolbox([source, fails])) as engine:
        talk = await open_talk(engine)
        aside: list[dict[str, str]] = []
        for _ in range(4):
            await talk.post("go on")
            await talk.settled()
            aside.append(engine.toolbox.set_aside)
        assert aside == [{}, {}, {"fails": "another tool has this name"}, {}]
    offered = [[spec.name for spec in request.tools] for request in provider.requests]
    assert offered == [["fails", "add"], ["fails"], ["fails", "hangs"], ["fails"]]
    assert source.closed


async def test_a_tool_of_the_wrong_name_is_set_aside() -> None:
    toolbox = Toolbox([tool(name="no blanks")(lambda: "x")])
    assert "no blanks" in toolbox.set_aside
    with pytest.raises(InvalidError, match="the tools here are none"):
        toolbox.check(Settings(tools=(ToolUse("no blanks"),)))


async def test_stop_cancels_tools_and_settles_their_calls(autojump_clock: trio.testing.MockClock) -> None:
    provider = scripted(["Wait.", call("hangs"), call("add", '{"one": 1}')])
    store = MemoryStore()
    async with open_engine(store, [provider], toolbox=Toolbox([add, hangs])) as engine:
        talk = await open_talk(engine)
        await talk.post("question")
        await talk.until("tool.returned")
        receipt = await talk.stop()
        answer = await store.message(receipt.answer or "")
        assert answer is not None
        assert answer.status == "cancelled"
        assert [text for text, _ in results(answer)] == ["2", UNKNOWN]


async def test_a_steering_message_is_taken_between_generations(autojump_clock: trio.testing.MockClock) -> None:
    go = trio.Event()

    @tool
    async def wait() -> str:
        await go.wait()
        return "found"

    provider = scripted(["Looking.", call("wait")], ["In French: trouvé."])
    async with open_engine(MemoryStore(), [provider], toolbox=Toolbox([wait])) as engine:
        talk = await open_talk(engine)
        first = await talk.post("look")
        await talk.until("tool.called")
        steering = await talk.post("in French", policy="steer")
        assert steering.queued
        go.set()
        await talk.settled()
        answer = await engine.store.message(first.answer or "")
        assert answer is not None
        assert (answer.status, answer.finish_reason) == ("completed", "tool_call")
    assert [m.role for m in provider.requests[1].messages] == ["user", "assistant", "user"]
    assert len(provider.requests) == 2


async def test_usage_is_that_of_all_generations(autojump_clock: trio.testing.MockClock) -> None:
    first, second = Usage("reported", 10, 5, cost=100), Usage("reported", 30, 7, cost=300)
    provider = scripted([call("add", '{"one": 1}'), UsagePiece(first)], ["Done.", UsagePiece(second)])
    answer, _ = await asked(provider, add)
    assert answer.usage == Usage("reported", 40, 12, cost=400)
    provider = scripted([call("add", '{"one": 1}'), UsagePiece(first)], ["Done."])
    answer, _ = await asked(provider, add)
    assert answer.usage is not None
    assert answer.usage.source == "estimated", "a part of it is"
    assert (answer.usage.input_tokens or 0) > 10


async def test_the_budget_is_looked_at_before_each_generation(autojump_clock: trio.testing.MockClock) -> None:
    usage = Usage("reported", 400, 100)
    provider = scripted([call("add", '{"one": 1}'), UsagePiece(usage)], ["Done.", UsagePiece(usage)])
    store = MemoryStore()
    budget = SpendingBudget(day_tokens=520)
    async with open_engine(store, [provider], toolbox=Toolbox([add]), budget=budget) as engine:
        talk = await open_talk(engine)
        receipt = await talk.post("question")
        events = await talk.settled()
        assert events[-1].reason == "budget"  # type: ignore[union-attr]
        charge = await store.ledger.charge("ann", receipt.run or "")
        assert charge is not None
        assert charge.reported == usage
    assert len(provider.requests) == 1


def test_schemas_are_those_of_the_annotations() -> None:
    assert add.parameters == {
        "type": "object",
        "properties": {"one": {"type": "integer"}, "other": {"type": "integer", "default": 1}},
        "required": ["one"],
        "additionalProperties": False,
    }
    assert add.description == "Adds two numbers."

    def of(point: Point, context: ToolContext) -> str:
        return context.owner

    nested = tool(of).parameters
    assert nested["properties"]["point"] == {"$ref": "#/$defs/Point"}
    assert list(nested["$defs"]) == ["Point"]
    with pytest.raises(TypeError, match="needs an annotation"):
        tool(lambda x: x)


async def test_a_function_that_blocks_runs_in_a_thread() -> None:
    @tool
    def where(context: ToolContext) -> list[object]:
        return [threading.current_thread() is threading.main_thread(), context.owner, context.call]

    answer, _ = await asked(scripted([call("where")], ["Done."]), where)
    ((text, _),) = results(answer)
    assert text == f'[false,"ann","{answer.id}-0"]'


async def test_a_tool_searches_what_its_user_has(autojump_clock: trio.testing.MockClock) -> None:
    @tool
    async def recall(text: str, context: ToolContext) -> list[str]:
        assert context.search is not None
        return [hit.conversation or "" for hit in (await context.search(SearchQuery(text, ("message",)), 10)).hits]

    store, provider = MemoryStore(), scripted(["Noted."], ["Noted."], [call("recall", '{"text": "walrus"}')], ["Done."])
    toolbox = Toolbox([recall], Searcher(store.index))
    async with open_engine(store, [provider], toolbox=toolbox) as engine:
        ann, bob = await open_talk(engine), await open_talk(engine, owner="bob")
        for talk in (ann, bob):
            await talk.post("a walrus")
            await talk.settled()
        asking = await open_talk(engine)
        receipt = await asking.post("which animal?")
        await asking.settled()
        answer = await store.message(receipt.answer or "")
        assert answer is not None
        assert results(answer) == [(f'["{ann.id}"]', False)]


# --- approvals -----------------------------------------------------------------------------------------------------


@tool(needs_approval=True)
async def send(to: str) -> str:
    """Sends something."""
    return f"sent to {to}"


class Waiting:
    """A conversation whose answer waits for somebody's approval."""

    def __init__(self, talk: Talk, store: MemoryStore, run: str, call: str) -> None:
        self.talk, self.store, self.run, self.call = talk, store, run, call

    async def decide(
        self, decision: Any, arguments: str | None = None, reason: str | None = None, at: datetime = NOW
    ) -> Receipt:
        command = AnswerApproval(self.call, at, self.call, decision, arguments, reason)
        return await self.talk.engine.submit(self.talk.id, command)

    async def answer(self) -> Message:
        await self.talk.settled()
        message = await self.store.message(self.call.rpartition("-")[0])
        assert message is not None
        return message


async def waiting(engine: Engine, store: MemoryStore) -> Waiting:
    talk = await open_talk(engine)
    receipt = await talk.post("question")
    events = await talk.until("approval.asked")
    await trio.testing.wait_all_tasks_blocked()
    (asked,) = [event for event in events if isinstance(event, ApprovalAsked)]
    return Waiting(talk, store, receipt.run or "", asked.call)


def sending() -> ScriptedProvider:
    return scripted([call("send", '{"to": "ann"}')], ["Done."])


async def test_an_approved_call_is_made(autojump_clock: trio.testing.MockClock) -> None:
    store = MemoryStore()
    async with open_engine(store, [sending()], toolbox=Toolbox([send]), now=lambda: NOW) as engine:
        wait = await waiting(engine, store)
        assert engine.statistics()["shards"]["live"] == 0, "nobody waits"  # type: ignore[index]
        receipt = await wait.decide("approve")
        assert receipt.run == wait.run
        assert results(await wait.answer()) == [("sent to ann", False)]
        assert await wait.decide("approve") == receipt, "said twice is said once"
        with pytest.raises(ConflictError, match="and otherwise"):
            await wait.decide("deny")


async def test_a_denied_call_is_not_made_and_the_model_goes_on(autojump_clock: trio.testing.MockClock) -> None:
    store, provider = MemoryStore(), sending()
    async with open_engine(store, [provider], toolbox=Toolbox([send]), now=lambda: NOW) as engine:
        wait = await waiting(engine, store)
        await wait.decide("deny", reason="not now")
        ((text, failed),) = results(await wait.answer())
        assert (text, failed) == ("The tool was not called: the user declined. They said: not now", True)
        assert "tool.called" not in types(await wait.talk.events())
    assert len(provider.requests) == 2


async def test_arguments_can_be_put_in_their_place(autojump_clock: trio.testing.MockClock) -> None:
    store, provider = MemoryStore(), sending()
    async with open_engine(store, [provider], toolbox=Toolbox([send]), now=lambda: NOW) as engine:
        wait = await waiting(engine, store)
        await wait.decide("edit", '{"to": "bob"}')
        answer = await wait.answer()
        assert results(answer) == [("sent to bob", False)]
        assert answer.parts[0] == ToolCallPart(wait.call, "send", '{"to": "ann"}', edited='{"to": "bob"}')
    (round_, *_) = rounds_of(provider.requests[1].messages[-1].parts)
    assert round_.said == (ToolCallPart(wait.call, "send", '{"to": "bob"}'),), "the model is shown what was called"


async def test_nobody_decides_in_time(autojump_clock: trio.testing.MockClock) -> None:
    store = MemoryStore()
    now = clock()
    async with open_engine(store, [sending()], Limits(approval=600), toolbox=Toolbox([send]), now=now) as engine:
        wait = await waiting(engine, store)
        with pytest.raises(ConflictError, match="the time to decide"):
            await wait.decide("approve", at=now() + timedelta(seconds=600))
        ((text, failed),) = results(await wait.answer())
        assert (text, failed) == ("The tool was not called: the user did not answer in time.", True)
        assert 600 <= trio.current_time() < 700
        with pytest.raises(ConflictError, match="waits for nobody"):
            await wait.decide("approve", at=now())


async def test_an_approval_survives_a_restart(autojump_clock: trio.testing.MockClock) -> None:
    store, provider = MemoryStore(), sending()
    async with open_engine(store, [provider], toolbox=Toolbox([send]), now=lambda: NOW) as engine:
        wait = await waiting(engine, store)
        with trio.fail_after(1):
            await engine.drain(60)  # It does not wait for whoever is asked.
    before = len(await wait.talk.events())
    async with open_engine(store, [provider], toolbox=Toolbox([send]), now=lambda: NOW) as engine:
        wait.talk.engine = engine
        await trio.sleep(300)
        assert len(await wait.talk.events()) == before, "it goes on waiting"
        snapshot = await engine.snapshot(wait.talk.id)
        assert snapshot.run is not None
        assert [(one.call, one.state) for one in snapshot.run.calls] == [(wait.call, "asked")]
        await wait.decide("approve")
        assert results(await wait.answer()) == [("sent to ann", False)]
        assert "run.interrupted" not in types(await wait.talk.events())
    assert len(provider.requests) == 2


async def test_stop_ends_what_waits(autojump_clock: trio.testing.MockClock) -> None:
    store = MemoryStore()
    async with open_engine(store, [sending()], toolbox=Toolbox([send]), now=lambda: NOW) as engine:
        wait = await waiting(engine, store)
        with trio.fail_after(1):
            await wait.talk.stop()
        answer = await wait.answer()
        assert answer.status == "cancelled"
        assert results(answer) == [(NOT_CALLED, True)]
        with pytest.raises(ConflictError, match="waits for nobody"):
            await wait.decide("approve")


async def test_who_is_asked_is_the_conversation_s_choice_and_the_operator_s(
    autojump_clock: trio.testing.MockClock,
) -> None:
    never, ask = Settings(tools=(ToolUse("send", "never"),)), Settings(tools=(ToolUse("add", "ask"),))
    answer, _ = await asked(sending(), send, settings=never)
    assert results(answer) == [("sent to ann", False)]
    toolbox = Toolbox([add, send], always_ask=["send"])
    assert toolbox.asks(send, never)
    assert toolbox.asks(add, ask)
    assert not toolbox.asks(add, Settings())


# --- crashes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("idempotent", [False, True])
async def test_a_call_that_a_crash_cut_off(autojump_clock: trio.testing.MockClock, idempotent: bool) -> None:
    made: list[str] = []

    @tool(idempotent=idempotent)
    async def book(context: ToolContext) -> str:
        made.append(context.call)
        if len(made) == 1:
            await trio.sleep_forever()
        return "booked"

    store, provider = MemoryStore(), scripted(["Booking.", call("book"), call("add", '{"one": 1}')], ["Done."])
    async with open_engine(store, [provider], toolbox=Toolbox([add, book])) as engine:
        talk = await open_talk(engine)
        receipt = await talk.post("question")
        await talk.until("tool.returned")
    async with open_engine(store, [provider], toolbox=Toolbox([add, book])) as engine:
        talk.engine = engine
        events = await talk.settled()
        answer = await store.message(receipt.answer or "")
        assert answer is not None
        assert results(answer) == [("2", False), ("booked", False) if idempotent else (LOST, True)]
        assert answer.status == "completed"
        assert types(events).count("run.started") == 2
    assert len(made) == 1 + idempotent
    assert len(set(made)) == 1, "the same id when it is made again"
    assert len(provider.requests) == 2, "the model cannot go on from a prefix, and need not"


async def test_a_stopped_answer_with_tools_can_be_continued(autojump_clock: trio.testing.MockClock) -> None:
    store, provider = MemoryStore(), scripted(["Wait.", call("hangs")], ["Done."])
    async with open_engine(store, [provider], toolbox=Toolbox([hangs])) as engine:
        talk = await open_talk(engine)
        receipt = await talk.post("question")
        await talk.until("tool.called")
        await talk.stop()
        await engine.submit(talk.id, ContinueAnswer(new_id(), NOW, receipt.answer or "", new_id(), talk.model))
        await talk.settled()
        answer = await store.message(receipt.answer or "")
        assert answer is not None
        assert answer.status == "completed"
        assert [type(part) for part in answer.parts] == [TextPart, ToolCallPart, ToolResultPart, TextPart]
    assert provider.requests[1].messages[-1].role == "assistant"
