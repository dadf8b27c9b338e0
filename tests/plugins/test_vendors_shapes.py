"""What our scripted upstreams send is what the vendors' own SDKs expect, so that our fakes cannot drift from the vendors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from trialogue.testing.upstream import (
    ReplyStep,
    chat_call,
    chat_delta,
    chat_end,
    chat_event,
    chat_head,
    message_begin,
    message_block,
    message_call,
    message_citation,
    message_end,
    message_text,
    message_thought,
)
from trialogue.testing.upstream_responses import (
    begin_events,
    call_events,
    end_event,
    response_steps,
    text_events,
    thought_events,
)

CHAT: list[ReplyStep] = [
    chat_head(),
    chat_event(""),
    chat_event("Hi"),
    chat_delta({"refusal": "no"}),
    chat_call(0, "call_1", "look"),
    chat_call(0, arguments='{"at": 1}'),
    *chat_end(finish="tool_calls"),
]
MESSAGES: list[ReplyStep] = [
    chat_head(),
    *message_begin(block=False),
    *message_thought(0, "hm", "seal"),
    message_block(1, {"type": "redacted_thinking", "data": "xx"}),
    message_block(2, {"type": "text", "text": "", "citations": None}),
    message_text("Hi", 2),
    message_citation(0, "what it says", "a file", 2),
    *message_call(3, "toolu_1", "look", '{"at"', ": 1}"),
    *message_end(index=None, reason="tool_use"),
]
RESPONSES: list[ReplyStep] = response_steps(
    [
        *begin_events(),
        *thought_events("one", "two"),
        *text_events("Hi", " there", item=1),
        *call_events("call_1", "look", '{"at"', ": 1}", item=2),
        end_event(),
    ]
)


def sent(steps: Sequence[ReplyStep]) -> list[dict[str, Any]]:
    """The events of a reply, decoded; any JSON."""
    lines = b"".join(step for step in steps if isinstance(step, bytes)).split(b"\n")
    data = [line[6:].strip() for line in lines if line.startswith(b"data: ")]
    return [json.loads(event) for event in data if event != b"[DONE]"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_chat_completions() -> None:
    from openai.types.chat import ChatCompletionChunk
    from pydantic import TypeAdapter

    chunks = [TypeAdapter(ChatCompletionChunk).validate_python(event) for event in sent(CHAT)]
    calls = [call for chunk in chunks for choice in chunk.choices for call in choice.delta.tool_calls or []]
    assert [call.function.name for call in calls if call.function] == ["look", None]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 10


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_messages() -> None:
    from anthropic.types import RawMessageStreamEvent
    from pydantic import TypeAdapter

    adapter: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)
    kinds = {adapter.validate_python(event).type for event in sent(MESSAGES)}
    assert len(kinds) == 6


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_responses() -> None:
    from openai.types.responses import ResponseStreamEvent
    from pydantic import TypeAdapter

    adapter: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
    events = [adapter.validate_python(event) for event in sent(RESPONSES)]
    assert [event.sequence_number for event in events] == list(range(len(events)))
