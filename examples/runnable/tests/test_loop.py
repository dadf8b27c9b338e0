"""The runnable answers in turns of a real engine: word for word, as slowly as it is read, until it is stopped."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import trio
import trio.testing
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import RunnableLambda, RunnableParallel
from trialogue_runnable import chain, trialogue_turns
from trialogue_runnable.chain import BETTER
from trialogue_runnable.loop import RunnableLoop

from trialogue import (
    ConfigurationError,
    FinishPiece,
    Message,
    Piece,
    ProviderError,
    Request,
    ResponseStream,
    TextPart,
    TextPiece,
    TurnContext,
    Usage,
    UsagePiece,
    text_of,
)
from trialogue.testing import Fail, ScriptedProvider

TURN = TurnContext("ann", "c", "r", "m", "scripted:script")


def request(text: str = "Why?") -> Request:
    return Request("script", (Message("m", "c", "user", (TextPart(text),), datetime.now(UTC)),), system="Be brief.")


@asynccontextmanager
async def turn(provider: ScriptedProvider, made: Any = chain.chain) -> AsyncGenerator[ResponseStream]:
    """What the loop says."""
    with pytest.MonkeyPatch.context() as patch, trio.fail_after(30):
        patch.setattr(chain, "chain", made)
        async with RunnableLoop().open_turn(TURN, request(), provider.open_response) as stream:
            yield stream
    assert provider.open_streams == 0


def plain(model: Any) -> Any:
    return model | StrOutputParser()


async def drain(stream: ResponseStream) -> list[Piece]:
    pieces: list[Piece] = []
    while batch := await stream.receive():
        pieces += batch
    return pieces


def said(pieces: Sequence[Piece]) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, TextPiece))


async def test_it_thinks_twice() -> None:
    provider = ScriptedProvider(["a ", "draft"], ["much ", "better"])
    async with turn(provider) as stream:
        pieces = await drain(stream)
        assert await stream.receive() == ()
    assert [piece.text for piece in pieces if isinstance(piece, TextPiece)] == ["much ", "better"]
    assert pieces[-1] == FinishPiece("stop")
    first, second = provider.requests
    assert [one.system for one in (first, second)] == ["Be brief."] * 2
    assert [text_of(one.parts) for one in second.messages] == ["Why?", BETTER.format(draft="a draft")]


def reporting(*tokens: int) -> list[Any]:
    return [f"{tokens[0]} ", "said", FinishPiece("stop"), UsagePiece(Usage("reported", *tokens))]


async def test_what_all_generations_report_is_what_it_has_cost() -> None:
    async with turn(ScriptedProvider(reporting(7, 3, 2, 1), reporting(20, 5, 4, 0, 2))) as stream:
        pieces = await drain(stream)
    assert said(pieces) == "20 said"
    assert [piece.usage for piece in pieces if isinstance(piece, UsagePiece)] == [Usage("reported", 27, 8, 6, 1, 2)]
    assert pieces[-1] == FinishPiece("stop")


@pytest.mark.parametrize(
    "scripts",
    [
        [["a draft"], ["better"]],
        [reporting(7, 3), ["better"]],
        [["a draft"], reporting(7, 3)],
        [reporting(7, 3), ["x", FinishPiece("stop"), UsagePiece(Usage("estimated", 7, 3))]],
    ],
)
async def test_what_is_not_reported_of_all_is_left_to_be_estimated(scripts: list[list[Any]]) -> None:
    async with turn(ScriptedProvider(*scripts)) as stream:
        pieces = await drain(stream)
    assert not any(isinstance(piece, UsagePiece) for piece in pieces)


async def test_generations_may_go_on_side_by_side() -> None:
    def both(model: Any) -> Any:
        return RunnableParallel(one=model, other=model) | (lambda found: f"{found['one'].text} {found['other'].text}")

    async with turn(ScriptedProvider(["same"]), both) as stream:
        assert said(await drain(stream)) == "same same"


async def test_a_model_that_fails_fails_the_turn_as_it_does() -> None:
    async with turn(ScriptedProvider(["draft", Fail("throttled")])) as stream:
        with pytest.raises(ProviderError) as caught:
            await drain(stream)
    assert caught.value.kind == "throttled"


async def test_a_chain_may_do_without_a_model_that_fails() -> None:
    def careful(model: Any) -> Any:
        return (model | (lambda message: message.text)).with_fallbacks([RunnableLambda(lambda _: "another time")])

    async with turn(ScriptedProvider([Fail("unavailable")]), careful) as stream:
        assert said(await drain(stream)) == "another time"


async def test_a_slow_reader_slows_it_down() -> None:
    provider = ScriptedProvider(["draft"], ["x"] * 1000)
    async with turn(provider) as stream:
        await stream.receive()
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert provider.batches < 200
        assert len(said(await drain(stream))) == 999


async def test_it_ends_when_it_is_stopped() -> None:
    before, provider = threading.active_count(), ScriptedProvider(["x"], forever=True)
    async with turn(provider, plain) as stream:
        with trio.move_on_after(0.05) as scope:
            await drain(stream)
        assert scope.cancelled_caught
        began = trio.current_time()
    assert trio.current_time() - began < 0.25
    assert threading.active_count() <= before + 2, "threads rest for a while before they go"


async def test_who_raises_within_sees_what_was_raised() -> None:
    async def raises() -> None:
        async with turn(ScriptedProvider(["x"], forever=True), plain) as stream:
            await stream.receive()
            raise ProviderError("mine", kind="broken")

    with pytest.raises(ProviderError, match="mine"):
        await raises()


def test_it_is_there_when_it_is_wanted() -> None:
    assert trialogue_turns({}) == []
    (loop,) = trialogue_turns({"RUNNABLE": "on"})
    assert repr(loop) == "<RunnableLoop 'runnable'>"
    with pytest.raises(ConfigurationError, match="RUNNABLE='yes'"):
        trialogue_turns({"RUNNABLE": "yes"})
