"""The kit passes what keeps the promises of the port, and fails what breaks one of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import IO

import msgspec
import pytest
import trio
import trio.testing

from trialogue import (
    AnswerSchema,
    CitationPiece,
    FinishPiece,
    HandlePiece,
    Piece,
    Request,
    RequestDocument,
    ResponseStream,
    ToolCallPiece,
    ToolSpec,
    Usage,
    UsagePiece,
)
from trialogue.testing import OPENED, Fail, Pause, Script, ScriptedProvider, Step
from trialogue.testing.capability_kits import CitationKit, KeptKit, StructuredKit, ToolCallKit
from trialogue.testing.provider_kit import Case, Clock, ProviderKit, Situation

TOKENS = ["one", " two", " three"]
USAGE = UsagePiece(Usage("reported", 10, 5, cache_read_tokens=4))
SCRIPTS: dict[Situation, Script] = {
    "answer": [*TOKENS, Pause(1), FinishPiece("stop"), USAGE],
    "endless": ["on", Pause(0.1)],
    "deaf": [Pause(1e6), OPENED],
    "stalled": [*TOKENS, Pause(1e6)],
    "truncated": [*TOKENS, Fail("broken")],
    "malformed": [*TOKENS, Fail("malformed")],
    "refused": [Fail("refused"), OPENED],
    "throttled": [Fail("throttled"), OPENED],
    "unavailable": [Fail("unavailable"), OPENED],
    "calls": ["Let me ", ToolCallPiece("look", '{"at": "lake"}'), ToolCallPiece("look", ""), FinishPiece("tool_call")],
    "garbled_calls": [*TOKENS, Fail("malformed")],
    "structured": ['{"at": ', '"lake"}'],
    "cited": [*TOKENS, CitationPiece("file:f", "lakes.txt", "deep")],
    "kept": [*TOKENS, USAGE],
}
ASKED: dict[Situation, Request] = {
    "calls": Request("script", (), tools=(ToolSpec("look", "Looks.", {"type": "object"}),)),
    "structured": Request("script", (), answer_schema=AnswerSchema("a", {"type": "object", "required": ["at"]})),
    "cited": Request("script", (), documents={"f": RequestDocument("lakes.txt", "deep")}),
}


def provider_for(situation: Situation) -> ScriptedProvider:
    forever, keeps = situation == "endless", situation == "kept"
    return ScriptedProvider(SCRIPTS[situation], continues=True, forever=forever, keeps=keeps)


def case_of(provider: ScriptedProvider, asked: Request | None = None) -> Case:
    async def wait_idle() -> None:
        while provider.open_streams:  # noqa: ASYNC110 - a counter has no event; the clock is virtual
            await trio.sleep(0.01)

    return Case(provider, asked or Request("script", ()), wait_idle)


class TestScripted(ToolCallKit, StructuredKit, CitationKit, KeptKit):
    @pytest.fixture
    def kit_clock(self) -> Clock:
        return trio.testing.MockClock(autojump_threshold=0)

    @asynccontextmanager
    async def open_case(self, situation: Situation) -> AsyncGenerator[Case]:
        yield case_of(provider_for(situation), ASKED.get(situation))


class Scripted(ProviderKit):
    """The kit over one given provider, for checks that shall fail."""

    def __init__(self, provider: ScriptedProvider) -> None:
        self.provider = provider

    @asynccontextmanager
    async def open_case(self, situation: Situation) -> AsyncGenerator[Case]:
        yield case_of(self.provider)


@pytest.mark.parametrize(
    "script",
    [
        [*TOKENS, FinishPiece("stop"), "more"],
        [*TOKENS, FinishPiece("stop"), FinishPiece("stop")],
        [*TOKENS, "", FinishPiece("stop")],
    ],
)
async def test_disorder_is_found(script: Script, autojump_clock: trio.testing.MockClock) -> None:
    with pytest.raises(AssertionError):
        await Scripted(ScriptedProvider(script)).test_an_answer_is_in_order_and_ends(None)


class Cut(ResponseStream):
    """Says the first few batches of another response and then that it is over."""

    def __init__(self, inner: ResponseStream) -> None:
        self.inner = inner
        self.left = 2

    async def receive(self) -> Sequence[Piece]:
        self.left -= 1
        return await self.inner.receive() if self.left >= 0 else ()


async def test_a_missing_finish_is_found(autojump_clock: trio.testing.MockClock) -> None:
    class Forgetful(ScriptedProvider):
        @asynccontextmanager
        async def open_response(self, request: Request) -> AsyncGenerator[ResponseStream]:
            async with super().open_response(request) as stream:
                yield Cut(stream)

    with pytest.raises(AssertionError, match="0 finishes"):
        await Scripted(Forgetful(SCRIPTS["answer"])).test_an_answer_is_in_order_and_ends(None)


async def test_usage_that_does_not_add_up_is_found(autojump_clock: trio.testing.MockClock) -> None:
    wrong = UsagePiece(Usage("reported", 1, 5, cache_read_tokens=4))
    with pytest.raises(AssertionError):
        await Scripted(ScriptedProvider([*TOKENS, FinishPiece("stop"), wrong])).test_usage_adds_up(None)


async def test_a_wrong_kind_is_found(autojump_clock: trio.testing.MockClock) -> None:
    with pytest.raises(AssertionError):
        await Scripted(provider_for("truncated")).test_a_response_that_breaks_says_how(None, "malformed", "malformed")
    with pytest.raises(AssertionError):
        await Scripted(provider_for("refused")).test_a_request_that_is_turned_down_says_why(None, "throttled")


async def test_an_upstream_that_is_not_let_go_is_found(autojump_clock: trio.testing.MockClock) -> None:
    async def one_second() -> None:
        await trio.sleep(1)

    class Clinging(Scripted):
        @asynccontextmanager
        async def open_case(self, situation: Situation) -> AsyncGenerator[Case]:
            yield Case(self.provider, Request("script", ()), wait_idle=one_second)

    kit = Clinging(provider_for("endless"))
    with pytest.raises(trio.TooSlowError):
        await kit.test_leaving_early_lets_go(None)
    with pytest.raises(trio.TooSlowError):
        await kit.test_cancelled_while_receiving_lets_go(None, "endless")


async def test_a_leak_of_files_is_found(autojump_clock: trio.testing.MockClock) -> None:
    kept: list[IO[str]] = []

    class Leaking(ScriptedProvider):
        def _steps(self, request: Request) -> Iterator[Step]:
            kept.append(open("/dev/null"))  # noqa: SIM115 - it is the leak
            return super()._steps(request)

    kit = Scripted(Leaking(SCRIPTS["answer"]))
    kit.runs = 5  # type: ignore[misc]
    with pytest.raises(AssertionError, match="->"):
        await kit.test_nothing_leaks(None)
    for file in kept:
        file.close()


class Capable(ToolCallKit, StructuredKit, CitationKit, KeptKit):
    """The kits of what some can, over one given provider, for checks that shall fail."""

    def __init__(self, provider: ScriptedProvider) -> None:
        self.provider = provider

    @asynccontextmanager
    async def open_case(self, situation: Situation) -> AsyncGenerator[Case]:
        yield case_of(self.provider, ASKED.get(situation))


@pytest.mark.parametrize(
    "script",
    [
        [ToolCallPiece("look", "{}"), FinishPiece("tool_call")],
        [ToolCallPiece("look", "{}"), ToolCallPiece("look", ""), FinishPiece("stop")],
        [ToolCallPiece("look", "{}"), ToolCallPiece("invented", ""), FinishPiece("tool_call")],
        [ToolCallPiece("look", "1"), ToolCallPiece("look", ""), FinishPiece("tool_call")],
        [FinishPiece("tool_call"), ToolCallPiece("look", "{}"), ToolCallPiece("look", "")],
    ],
)
async def test_calls_that_are_none_are_found(script: Script, autojump_clock: trio.testing.MockClock) -> None:
    with pytest.raises(AssertionError):
        await Capable(ScriptedProvider(script)).test_calls_are_whole_and_what_the_answer_ends_with(None)


async def test_other_broken_promises_are_found(autojump_clock: trio.testing.MockClock) -> None:
    plain = Capable(ScriptedProvider(TOKENS))
    with pytest.raises(AssertionError):
        await plain.test_what_is_taken_from_somewhere_says_so(None)
    with pytest.raises(msgspec.DecodeError):
        await plain.test_an_answer_has_the_shape_that_is_wanted(None)
    with pytest.raises(AssertionError):
        await plain.test_a_response_goes_on_from_behind_any_handle(None)
    with pytest.raises(BaseException, match="DID NOT RAISE"):
        await plain.test_calls_that_cannot_be_put_together_are_malformed(None)


async def test_a_cursor_that_is_off_is_found(autojump_clock: trio.testing.MockClock) -> None:
    script: Script = [HandlePiece("scripted-1", 0), ("one", HandlePiece("scripted-1", 0)), "two"]
    with pytest.raises(AssertionError):
        await Capable(ScriptedProvider(script, keeps=True)).test_a_response_goes_on_from_behind_any_handle(None)
