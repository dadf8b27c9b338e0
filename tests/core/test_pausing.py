"""Turns that a provider pauses: gone on with from what was said, as it is, as often as a model may be asked."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio
import trio.testing
from support import open_talk

from trialogue import (
    Event,
    FinishPiece,
    GenerationStarted,
    Limits,
    Message,
    ReasoningPart,
    ReasoningPiece,
    RunIncomplete,
    TextPart,
    Toolbox,
    ToolCallPiece,
    Usage,
    UsagePiece,
    open_engine,
    text_of,
    tool,
)
from trialogue.testing import MemoryStore, Pause, ScriptedProvider
from trialogue.testing.providers import Script

PAUSE = FinishPiece("pause")


@tool
async def add(one: int) -> int:
    """Adds one."""
    return one + 1


async def asked(*scripts: Script, limits: Limits | None = None) -> tuple[Message, Sequence[Event], ScriptedProvider]:
    store, provider = MemoryStore(), ScriptedProvider(*scripts, tools=True)
    async with open_engine(store, [provider], limits or Limits(), toolbox=Toolbox([add])) as engine:
        talk = await open_talk(engine)
        receipt = await talk.post("question")
        events = await talk.settled()
        answer = await store.message(receipt.answer or "")
        assert answer is not None
        return answer, events, provider


async def test_paused_turn_goes_on_with_what_was_said(autojump_clock: trio.testing.MockClock) -> None:
    first: Script = [ReasoningPiece("Hm.", "seal"), "Let me ", "see.", PAUSE, UsagePiece(Usage("reported", 7, 3))]
    second: Script = [" It is", " 5.", FinishPiece("stop"), UsagePiece(Usage("reported", 11, 2))]
    answer, events, provider = await asked(first, second)
    assert text_of(answer.parts) == "Let me see. It is 5."
    assert (answer.status, answer.finish_reason) == ("completed", "stop")
    (started,) = (event for event in events if isinstance(event, GenerationStarted))
    assert (started.generation, started.paused) == (2, True)
    # Both are paid for.
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (18, 5)
    sent = provider.requests[1]
    assert (sent.paused, sent.prefix, len(sent.messages)) == (True, "", 2)
    assert sent.messages[-1].parts == (ReasoningPart("Hm.", "seal"), TextPart("Let me see."))


async def test_turn_that_is_paused_again_and_again_ends(autojump_clock: trio.testing.MockClock) -> None:
    answer, events, provider = await asked(["x", PAUSE], limits=Limits(generations=3))
    assert len(provider.requests) == 3
    assert text_of(answer.parts) == "xxx"
    assert answer.status == "incomplete"
    assert [event.reason for event in events if isinstance(event, RunIncomplete)] == ["max_generations"]


async def test_turn_that_is_paused_before_anything_was_said(autojump_clock: trio.testing.MockClock) -> None:
    answer, _, provider = await asked([PAUSE], ["Done."])
    assert text_of(answer.parts) == "Done."
    assert [message.role for message in provider.requests[1].messages] == ["user"]


async def test_calls_of_a_paused_turn_are_made(autojump_clock: trio.testing.MockClock) -> None:
    call = ToolCallPiece("add", '{"one": 1}')
    answer, _, provider = await asked(["Let me.", call, PAUSE], ["See:", PAUSE], [" 2."])
    assert text_of(answer.parts) == "Let me.See: 2."
    assert [request.paused for request in provider.requests] == [False, False, True]
    assert answer.status == "completed"


@pytest.mark.parametrize("continues", [False, True])
async def test_crash_while_a_paused_turn_goes_on(autojump_clock: trio.testing.MockClock, continues: bool) -> None:
    store = MemoryStore()
    provider = ScriptedProvider(["One, ", PAUSE], ["two, ", Pause(3600)], ["One, two, three."], continues=continues)
    async with open_engine(store, [provider]) as engine:
        talk = await open_talk(engine)
        receipt = await talk.post("question")
        await talk.until("generation.started")
        while not any(getattr(event, "text", "") == "two, " for event in await talk.events()):  # noqa: ASYNC110 - of a delta
            await trio.sleep(0.1)
    async with open_engine(store, [provider]) as engine:
        talk.engine = engine
        await talk.settled()
        answer = await store.message(receipt.answer or "")
        assert answer is not None
        assert text_of(answer.parts) == ("One, two, three." if continues else "One, two, ")
        assert answer.status == ("completed" if continues else "incomplete")
