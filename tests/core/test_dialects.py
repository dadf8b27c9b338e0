"""What all dialects hold to: JSON that is deeper than anybody can read is the upstream's mistake, or the model's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from trialogue import Message, Request, TextPart, ToolCallPart
from trialogue.anthropic_dialect import MessagesDecoder, messages_body
from trialogue.openai_dialect import ChatDecoder, ResponsesDecoder

DEEP = '{"a":' + "[" * 40_000


@pytest.mark.parametrize("made", [ChatDecoder, MessagesDecoder, ResponsesDecoder])
@pytest.mark.parametrize("end", ["", "]" * 40_000 + "}"])
def test_an_event_that_is_too_deep_is_malformed(
    made: type[ChatDecoder | MessagesDecoder | ResponsesDecoder], end: str
) -> None:
    decoder = made()
    assert decoder.feed(f'data: {{"type":"error","x":{DEEP}{end}\n'.encode()) == []
    assert decoder.failure is not None
    assert decoder.failure.kind == "malformed"


def test_a_call_with_arguments_that_are_too_deep_does_not_end_the_conversation() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    call = ToolCallPart("call", "look", DEEP + "]" * 40_000 + "}")
    messages = (
        Message("q", "c", "user", (TextPart("?"),), now),
        Message("a", "c", "assistant", (call,), now),
    )
    sent: dict[str, Any] = msgspec.json.decode(messages_body(Request("m", messages), max_tokens=1))
    assert sent["messages"][1]["content"][0]["input"] == {}


def test_an_answer_that_is_cut_in_a_call_that_is_too_deep_is_told_without_it() -> None:
    decoder = ChatDecoder()
    call = {"index": 0, "id": "i", "function": {"name": "look", "arguments": DEEP}}
    for choice in ({"delta": {"tool_calls": [call]}}, {"finish_reason": "length"}):
        pieces = decoder.feed(b"data: %b\n" % msgspec.json.encode({"choices": [choice]}))
    assert [type(piece).__name__ for piece in pieces] == ["FinishPiece"]
