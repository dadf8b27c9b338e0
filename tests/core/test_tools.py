"""Tools: a run goes on with what its calls came to, and nothing that a tool does ends it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import trio
import trio.testing
from support import Talk, open_talk

from trialogue import (
    CitationPart,
    Engine,
    Event,
    InvalidError,
    Limits,
    Message,
    Request,
    Settings,
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
    event_type,
    open_engine,
    rounds_of,
    tool,
)
from trialogue.testing import MemoryStore, Pause, ScriptedProvider


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


def call(name: str, arguments: str = "{}") -> ToolCallPiece:
    return ToolCallPiece(name, arguments)


def scripted(*scripts: Any) -> ScriptedProvider:  # as ScriptedProvider takes them
    return ScriptedProvider(*scripts, tools=True)


async def asked(
    provider: ScriptedProvider, *tools: ToolLike, limits: Limits = Limits(), settings: Settings | None = None
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
