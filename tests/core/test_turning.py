"""Those who take part in turns: what they may do, and that one who raises or hangs harms nobody else."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from msgspec.structs import replace
from support import Talk, open_talk
from trio.testing import MockClock

from trialogue import (
    FinishPiece,
    ForbiddenError,
    Generate,
    HandlePiece,
    Limits,
    Message,
    Piece,
    Request,
    ResponseStream,
    TextPiece,
    Tool,
    Toolbox,
    ToolCallPiece,
    ToolResultPart,
    TurnContext,
    TurnEnd,
    TurnHook,
    TurnLoop,
    open_engine,
    text_of,
    tool,
)
from trialogue.testing import Fail, MemoryStore, ScriptedProvider


@tool
async def add(one: int, other: int) -> int:
    """Adds two numbers."""
    return one + other


@asynccontextmanager
async def talking(
    provider: ScriptedProvider, *hooks: TurnHook, tools: Sequence[Tool] = (), **limits: Any
) -> AsyncGenerator[Talk]:
    async with open_engine(
        MemoryStore(),
        [provider],
        Limits(**limits),
        default_model="scripted:script",
        turns=hooks,
        toolbox=Toolbox(tools),
    ) as engine:
        await engine.models()
        yield await open_talk(engine)
    assert provider.open_streams == 0


async def answer_to(talk: Talk, text: str) -> Message:
    receipt = await talk.post(text)
    await talk.settled()
    found = await talk.engine.store.message(receipt.answer or "")
    assert found is not None
    return found


class Polite(TurnHook):
    name = "polite"

    def __init__(self) -> None:
        self.told: list[TurnEnd] = []

    async def before(self, turn: TurnContext, request: Request) -> Request:
        return replace(request, model="another", system=f"Be polite to {turn.owner}.")

    async def after(self, turn: TurnContext, end: TurnEnd) -> None:
        self.told.append(end)


class Strict(TurnHook):
    name = "strict"

    async def before(self, turn: TurnContext, request: Request) -> Request:
        raise ForbiddenError("that is not said here")


class Broken(TurnHook):
    name = "broken"

    def __init__(self, *, hangs: bool) -> None:
        self.hangs = hangs
        self.asked = 0

    async def before(self, turn: TurnContext, request: Request) -> Request:
        self.asked += 1
        if self.hangs:
            await trio.sleep_forever()
        raise RuntimeError("a mistake in the plugin")

    async def after(self, turn: TurnContext, end: TurnEnd) -> None:
        await self.before(turn, Request("", ()))


class Wrong(TurnHook):
    name = "wrong"

    async def before(self, turn: TurnContext, request: Request) -> Any:
        return "no request"


class Said(ResponseStream):
    """Gives each of its batches; raises one that is an exception."""

    def __init__(self, *batches: Sequence[Piece] | Exception) -> None:
        self._batches = list(batches)

    async def receive(self) -> Sequence[Piece]:
        await trio.lowlevel.checkpoint()
        batch = self._batches.pop(0) if self._batches else ()
        if isinstance(batch, Exception):
            raise batch
        return batch


class Scripted(TurnLoop):
    """Says the batches of each turn, one script after the other."""

    name = "scripted"

    def __init__(self, *scripts: Sequence[Sequence[Piece] | Exception]) -> None:
        self.scripts = list(scripts)
        self.requests: list[Request] = []

    def takes(self, turn: TurnContext, request: Request) -> bool:
        return text_of(request.messages[0].parts).startswith("loop")

    @asynccontextmanager
    async def open_turn(
        self, turn: TurnContext, request: Request, generate: Generate
    ) -> AsyncGenerator[ResponseStream]:
        self.requests.append(request)
        yield Said(*self.scripts.pop(0))


class Asks(TurnLoop):
    """Asks the model twice: for a draft, and to make it better."""

    name = "asks"

    def takes(self, turn: TurnContext, request: Request) -> bool:
        return True

    @asynccontextmanager
    async def open_turn(
        self, turn: TurnContext, request: Request, generate: Generate
    ) -> AsyncGenerator[ResponseStream]:
        draft = ""
        async with generate(request) as stream:
            while batch := await stream.receive():
                draft += "".join(piece.text for piece in batch if isinstance(piece, TextPiece))
        async with generate(replace(request, system=f"Make this better: {draft}")) as stream:
            yield stream


async def test_request_is_changed_and_its_end_told(autojump_clock: MockClock) -> None:
    provider, hook = ScriptedProvider(["fine"]), Polite()
    async with talking(provider, hook) as talk:
        assert text_of((await answer_to(talk, "hi")).parts) == "fine"
        await trio.sleep(1)
    (asked,) = provider.requests
    assert (asked.system, asked.model) == ("Be polite to ann.", "script")
    (end,) = hook.told
    assert (end.outcome, text_of(end.answer.parts), end.error) == ("completed", "fine", None)


async def test_failure_is_told(autojump_clock: MockClock) -> None:
    hook = Polite()
    async with talking(ScriptedProvider(["f", Fail("refused")]), hook) as talk:
        await answer_to(talk, "hi")
        await trio.sleep(1)
    (end,) = hook.told
    assert (end.outcome, text_of(end.answer.parts), end.error) == ("failed", "f", "provider_refused")


async def test_request_is_refused_before_anybody_is_asked() -> None:
    provider = ScriptedProvider(["fine"])
    async with talking(provider, Strict()) as talk:
        answer = await answer_to(talk, "hi")
    assert answer.failure is not None
    assert (answer.failure.code, answer.failure.detail) == ("forbidden", "that is not said here")
    assert provider.requests == []


@pytest.mark.parametrize("hook", [Broken(hangs=False), Broken(hangs=True), Wrong()], ids=repr)
async def test_one_that_fails_is_gone_on_without(hook: TurnHook, autojump_clock: MockClock) -> None:
    other = Polite()
    async with talking(ScriptedProvider(["fine"]), hook, other) as talk:
        assert (await answer_to(talk, "hi")).status == "completed"
        await trio.sleep(10)
    assert [end.outcome for end in other.told] == ["completed"]


async def test_one_that_hangs_is_left_alone_and_asked_again_later(autojump_clock: MockClock) -> None:
    hook = Broken(hangs=True)
    async with talking(ScriptedProvider(["fine"]), hook) as talk:
        for _ in range(3):
            await answer_to(talk, "hi")
        asked, began = hook.asked, trio.current_time()
        await answer_to(talk, "hi")
        assert (hook.asked, trio.current_time() - began < 1) == (asked, True)
        await trio.sleep(70)
        await answer_to(talk, "hi")
        assert hook.asked > asked


async def test_loop_answers_in_the_place_of_the_model() -> None:
    provider = ScriptedProvider(["the model"])
    kept = HandlePiece("kept", 1)
    loop = Scripted([[TextPiece("the "), kept], [kept], [TextPiece("loop")], [FinishPiece("stop")]])
    async with talking(provider, loop) as talk:
        answer = await answer_to(talk, "loop, please")
    assert (text_of(answer.parts), answer.status, provider.requests) == ("the loop", "completed", [])


async def test_question_that_no_loop_takes_goes_to_the_model() -> None:
    async with talking(ScriptedProvider(["the model"]), Scripted()) as talk:
        assert text_of((await answer_to(talk, "hi")).parts) == "the model"


async def test_loop_asks_the_model() -> None:
    provider = ScriptedProvider(["draft"], ["final"])
    async with talking(provider, Asks()) as talk:
        assert text_of((await answer_to(talk, "hi")).parts) == "final"
    assert provider.requests[1].system == "Make this better: draft"


async def test_calls_of_a_loop_are_made_and_their_results_given_back() -> None:
    loop = Scripted(
        [[ToolCallPiece("add", '{"one": 2, "other": 3}'), FinishPiece("tool_call")]],
        [[TextPiece("five"), FinishPiece("stop")]],
    )
    async with talking(ScriptedProvider(tools=True), loop, tools=[add]) as talk:
        answer = await answer_to(talk, "loop")
    assert text_of(answer.parts) == "five"
    (result,) = [part for part in loop.requests[1].messages[-1].parts if isinstance(part, ToolResultPart)]
    assert result.text == "5"


async def test_loop_that_fails_harms_its_own_answers_alone(autojump_clock: MockClock) -> None:
    script: list[Sequence[Piece] | Exception] = [[TextPiece("half")], RuntimeError("a mistake in the plugin")]
    loop = Scripted(*[script] * 40)
    async with talking(ScriptedProvider(["fine"]), loop, failovers=0) as talk:
        for _ in range(6):
            answer = await answer_to(talk, "loop")
            assert answer.failure is not None
            assert "mistake" not in answer.failure.detail
        circuits = talk.engine._node.asking.circuits
        assert circuits.of("turn-scripted:scripted:script").failed
        assert not circuits.of("scripted:script").failed
        loop.takes = lambda turn, request: False  # type: ignore[method-assign]
        assert (await answer_to(talk, "hi")).status == "completed"


class Nesting(TurnLoop):
    """Asks the model within a nursery of its own."""

    name = "nesting"

    def takes(self, turn: TurnContext, request: Request) -> bool:
        return True

    @asynccontextmanager
    async def open_turn(
        self, turn: TurnContext, request: Request, generate: Generate
    ) -> AsyncGenerator[ResponseStream]:
        async with trio.open_nursery(), generate(request) as stream, trio.open_nursery():
            yield stream


@pytest.mark.parametrize("script", [[Fail("throttled")], ["half", Fail("throttled")]])
async def test_what_fails_in_a_nursery_of_a_loop_is_told_as_it_is(script: Any, autojump_clock: MockClock) -> None:
    async with talking(ScriptedProvider(script), Nesting(), failovers=0) as talk:
        answer = await answer_to(talk, "hi")
    assert answer.failure is not None
    assert answer.failure.code == "provider_throttled"


async def test_answer_of_a_loop_with_a_nursery_can_be_stopped(autojump_clock: MockClock) -> None:
    provider = ScriptedProvider(["x"], forever=True)
    async with talking(provider, Nesting()) as talk:
        receipt = await talk.post("hi")
        await talk.until("part.delta")
        await talk.stop()
        await talk.settled()
        answer = await talk.engine.store.message(receipt.answer or "")
        assert answer is not None
        assert answer.status == "cancelled"


async def test_loop_that_hangs_is_ended_as_a_silent_provider_is(autojump_clock: MockClock) -> None:
    class Hangs(TurnLoop):
        name = "hangs"

        def takes(self, turn: TurnContext, request: Request) -> bool:
            return True

        @asynccontextmanager
        async def open_turn(
            self, turn: TurnContext, request: Request, generate: Generate
        ) -> AsyncGenerator[ResponseStream]:
            await trio.sleep_forever()
            yield Said()

    async with talking(ScriptedProvider(["fine"]), Hangs(), failovers=0, run_seconds=30.0) as talk:
        answer = await answer_to(talk, "hi")
    assert answer.status in ("failed", "incomplete")


async def test_loop_whose_choice_raises_takes_nothing() -> None:
    class Undecided(Scripted):
        def takes(self, turn: TurnContext, request: Request) -> bool:
            raise RuntimeError("a mistake in the plugin")

    async with talking(ScriptedProvider(["the model"]), Undecided()) as talk:
        assert text_of((await answer_to(talk, "hi")).parts) == "the model"
