"""Echo passes the conformance kit in virtual time, and its directives do what its README says."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import ClassVar

import pytest
import trio
import trio.testing
from msgspec.structs import replace

import trialogue_echo
from trialogue import (
    FinishPiece,
    Message,
    Piece,
    ProviderError,
    ReasoningPiece,
    Request,
    ResponseStream,
    Settings,
    TextPart,
    TextPiece,
    ToolCallPart,
    ToolCallPiece,
    ToolResultPart,
    ToolSpec,
    UsagePiece,
)
from trialogue.testing.provider_kit import Case, Clock, ProviderKit, Situation, check_order, drain, text_of_pieces
from trialogue_echo import EchoProvider, parse, tokens_of

PROMPTS: dict[Situation, str] = {
    "answer": "Hello [[rate=100]]",
    "endless": "[[endless rate=20]]",
    "stalled": "[[endless stall=3]]",
    "truncated": "[[tokens=9 die=4]]",
    "malformed": "[[tokens=9 garbage=4]]",
    "refused": "[[fail=0 kind=refused]]",
    "throttled": "[[fail=0 kind=throttled retry_after=3]]",
    "unavailable": "[[fail=0]]",
}


def request(prompt: str, prefix: str = "", settings: Settings | None = None) -> Request:
    message = Message("m", "c", "user", (TextPart(prompt),), datetime.now(UTC))
    return Request("echo", (message,), settings or Settings(), prefix=prefix)


async def answer(prompt: str, prefix: str = "", settings: Settings | None = None) -> list[Piece]:
    async with EchoProvider().open_response(request(prompt, prefix, settings)) as stream:
        pieces = await drain(stream)
    check_order(pieces)
    return pieces


class TestKit(ProviderKit):
    not_applicable: ClassVar[dict[Situation, str]] = {"deaf": "nothing is asked of anyone while a response is opened"}

    @pytest.fixture
    def kit_clock(self) -> Clock:
        return trio.testing.MockClock(autojump_threshold=0)

    @asynccontextmanager
    async def open_case(self, situation: Situation) -> AsyncGenerator[Case]:
        yield Case(EchoProvider(), request(PROMPTS[situation]))


def test_it_is_declared_without_any_setting() -> None:
    (provider,) = trialogue_echo.trialogue_providers({})
    assert provider.name == "echo"


async def test_it_repeats_what_was_said_without_the_directives(autojump_clock: trio.testing.MockClock) -> None:
    text = text_of_pieces(await answer("Hello\nworld [[rate=0]]"))
    assert "> Hello\n> world\n" in text
    assert "rate=0" not in text


@pytest.mark.parametrize("rate", [10, 50, 400])
async def test_tokens_come_at_their_rate(rate: int, autojump_clock: trio.testing.MockClock) -> None:
    started = trio.current_time()
    pieces = await answer(f"[[tokens=201 rate={rate} delay=0.5]]")
    assert trio.current_time() - started == pytest.approx(0.5 + 201 / rate), "the finish takes the time of a token"
    assert len([piece for piece in pieces if isinstance(piece, TextPiece)]) == 201


async def test_a_paced_reader_gets_all_that_is_due(autojump_clock: trio.testing.MockClock) -> None:
    async with EchoProvider().open_response(request("[[tokens=100 rate=50]]")) as stream:
        sizes = []
        while batch := await stream.receive():
            sizes.append(len(batch))
            await trio.sleep(0.1)
    assert sizes[:-1] == [1, *[5] * 19, 4]


async def test_an_answer_is_the_same_every_time_and_numbered_on_demand(autojump_clock: trio.testing.MockClock) -> None:
    first, second = [text_of_pieces(await answer("[[tokens=300 rate=0]]")) for _ in range(2)]
    assert first == second
    assert len(tokens_of(first)) == 300
    assert text_of_pieces(await answer("[[tokens=4 numbered]]")) == "0 1 2 3 "


@pytest.mark.parametrize("prompt", ["Hi [[rate=0]]", "[[tokens=40 reason=5 rate=0]]", "[[tokens=7 numbered rate=0]]"])
async def test_every_prefix_is_continued_exactly(prompt: str, autojump_clock: trio.testing.MockClock) -> None:
    whole = text_of_pieces(await answer(prompt))
    for cut in range(1, len(whole)):
        pieces = await answer(prompt, whole[:cut])
        assert whole[:cut] + text_of_pieces(pieces) == whole
        assert not any(isinstance(piece, ReasoningPiece) for piece in pieces)


async def test_a_fault_is_passed_over_by_the_continuation(autojump_clock: trio.testing.MockClock) -> None:
    prompt = "[[tokens=20 numbered fail=5 kind=broken]]"
    pieces: list[Piece] = []
    async with EchoProvider().open_response(request(prompt)) as stream:
        with pytest.raises(ProviderError, match="fail after 5"):
            await _collect(stream, pieces)
    assert text_of_pieces(pieces) == "0 1 2 3 4 "
    rest = text_of_pieces(await answer(prompt, "0 1 2 3 4 "))
    assert rest == "".join(f"{i} " for i in range(5, 20))


async def _collect(stream: ResponseStream, pieces: list[Piece]) -> None:
    while batch := await stream.receive():
        pieces.extend(batch)


async def test_a_prefix_it_would_not_have_said_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    with pytest.raises(ProviderError) as refused:
        await answer("[[tokens=5 numbered]]", "0 2")
    assert refused.value.kind == "refused"


async def test_a_stall_is_silence_for_ever(autojump_clock: trio.testing.MockClock) -> None:
    with trio.move_on_after(10_000) as scope:
        await answer("[[tokens=9 stall=3]]")
    assert scope.cancelled_caught


async def test_thoughts_come_first_and_are_counted(autojump_clock: trio.testing.MockClock) -> None:
    pieces = await answer("[[tokens=3 reason=4]]")
    assert [type(piece) for piece in pieces] == [ReasoningPiece] * 4 + [TextPiece] * 3 + [FinishPiece, UsagePiece]
    assert isinstance(pieces[-1], UsagePiece)
    usage = pieces[-1].usage
    assert (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens) == (2, 7, 4)


async def test_the_limit_cuts(autojump_clock: trio.testing.MockClock) -> None:
    pieces = await answer("[[tokens=9 numbered]]", settings=Settings(max_tokens=4))
    assert text_of_pieces(pieces) == "0 1 2 3 "
    assert FinishPiece("length") in pieces
    assert FinishPiece("stop") in await answer("[[tokens=4 numbered]]", settings=Settings(max_tokens=4))
    assert FinishPiece("content_filter") in await answer("[[tokens=4 finish=content_filter]]")


@pytest.mark.parametrize("text", ["see [[a page]]", "[[rate=-1]]", "[[rate=fast]]", "[[]]", "[[rate=1 colour=2]]"])
def test_brackets_that_are_not_directives_are_left_alone(text: str) -> None:
    assert parse(text) == (trialogue_echo.Directives(), text)


def test_the_readme_names_every_directive() -> None:
    from importlib.resources import files

    text = files("trialogue_echo").joinpath("README.md").read_text()
    for name in trialogue_echo.Directives.__struct_fields__:
        assert f"`{name}" in text


async def test_a_tool_is_called_and_its_result_told() -> None:
    spec = ToolSpec("look", "Looks.", {"type": "object"})
    asked = replace(request('See [[call=look:{"at":1} calls=2 rate=0]]'), tools=(spec,))
    first = await drained(asked)
    assert text_of_pieces(first) == "I shall see."
    assert [piece for piece in first if isinstance(piece, ToolCallPiece)] == [ToolCallPiece("look", '{"at":1}')] * 2
    assert [piece.reason for piece in first if isinstance(piece, FinishPiece)] == ["tool_call"]
    parts = (ToolCallPart("a", "look", "{}"), ToolResultPart("a", "nothing there"))
    answer = Message("n", "c", "assistant", (TextPart("I shall see."), *parts), datetime.now(UTC))
    second = await drained(replace(asked, messages=(*asked.messages, answer)))
    assert text_of_pieces(second) == "The tools said:\n\n> nothing there"
    without = await drained(replace(asked, tool_choice="none"))
    assert not any(isinstance(piece, ToolCallPiece) for piece in without)


async def drained(asked: Request) -> list[Piece]:
    async with EchoProvider().open_response(asked) as stream:
        pieces = await drain(stream)
    check_order(pieces)
    return pieces


async def test_summary_is_the_first_words_of_each_line() -> None:
    said = "<conversation>\nuser: What is it that flies at night?\n\nassistant: A bat.\n</conversation>"
    asked = replace(request(f"{said} [[rate=0]]"), purpose="summary")
    assert text_of_pieces(await drained(asked)) == "user: What is it that flies\nassistant: A bat."


async def test_title_is_the_first_words() -> None:
    asked = replace(request("user: What is it  that flies at night? [[rate=0]]\n\nassistant: A bat."), purpose="title")
    assert text_of_pieces(await drained(asked)) == "What is it that flies at"
