"""Tools and schemas in Chat Completions: calls gathered from their pieces, and what a request becomes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialogue import (
    AnswerSchema,
    FinishPiece,
    Message,
    Part,
    Piece,
    ReasoningPart,
    Request,
    Role,
    TextPart,
    TextPiece,
    ToolCallPart,
    ToolCallPiece,
    ToolResultPart,
    ToolSpec,
    Usage,
    UsagePiece,
)
from trialogue.openai_dialect import LONGEST_ARGUMENTS, MOST_CALLS, ChatDecoder, chat_body, is_strict
from trialogue.testing.upstream import chat_call, chat_delta, chat_end, chat_event

#: Any JSON.
Json = dict[str, Any]


def plain(*chunks: bytes) -> bytes:
    """Events without HTTP's coding around them."""
    lines = b"".join(chunks).split(b"\n")
    return b"".join(line + b"\n\n" for line in lines if line.startswith(b"data: "))


def decode(*reads: bytes) -> tuple[list[Piece], ChatDecoder]:
    decoder = ChatDecoder()
    pieces = [piece for data in reads for piece in decoder.feed(data)]
    decoder.end()
    return pieces, decoder


def called(*steps: bytes, finish: str = "tool_calls") -> list[Piece]:
    pieces, decoder = decode(plain(*steps, *chat_end(finish=finish)))
    assert decoder.failure is None
    return pieces[:-1]


END = FinishPiece("tool_call")
CALLING = plain(
    chat_event("Let me "),
    chat_call(0, "call_a", "look"),
    chat_call(0, arguments='{"at"'),
    chat_call(1, "call_b", "now"),
    chat_call(0, arguments=': "Zürich"}'),
    chat_call(1, arguments=""),
    *chat_end(finish="tool_calls"),
)
PIECES: list[Piece] = [
    TextPiece("Let me "),
    ToolCallPiece("look", '{"at": "Zürich"}', "call_a"),
    ToolCallPiece("now", "", "call_b"),
    END,
    UsagePiece(Usage("reported", 7, 3)),
]


@given(st.lists(st.integers(0, len(CALLING)), max_size=12))
def test_cuts_do_not_matter(cuts: Sequence[int]) -> None:
    ends = [0, *sorted(cuts), len(CALLING)]
    pieces, decoder = decode(*(CALLING[a:b] for a, b in pairwise(ends)))
    assert pieces == PIECES
    assert decoder.over


def whole(*calls: Json, **delta: Any) -> bytes:  # Any more of the delta.
    return chat_delta({"tool_calls": list(calls), **delta})


def one(name: str, arguments: str, **fields: Any) -> Json:  # Any of a call's fields.
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **fields}


@pytest.mark.parametrize(
    "steps",
    [
        [whole(one("a", "1", index=0, id="x"), one("b", "2", index=1, id="y"))],
        [whole(one("a", "1", index=0, id="x")), whole(one("b", "2", index=0, id="y"))],
        [whole(one("a", "1", id="x"), one("b", "2", id="y"))],
        [whole(one("a", "1", index=5, id="x")), whole(one("b", "2", index=3, id="y"))],
    ],
    ids=["as they should", "the same index for each", "no index", "any index"],
)
def test_servers_number_calls_as_they_like(steps: list[bytes]) -> None:
    assert called(*steps) == [ToolCallPiece("a", "1", "x"), ToolCallPiece("b", "2", "y"), END]


def test_an_id_may_be_missing_or_repeated() -> None:
    assert called(whole(one("a", "", index=0), one("b", "", index=1))) == [
        ToolCallPiece("a", ""),
        ToolCallPiece("b", ""),
        END,
    ]
    repeated = whole(one("a", "", index=0, id="x"), one("b", "", index=1, id="x"))
    assert [piece.signature for piece in called(repeated) if isinstance(piece, ToolCallPiece)] == ["x", "x"]


def test_a_server_may_not_tell_that_it_calls_or_say_it_does_when_it_does_not() -> None:
    assert called(whole(one("a", "{}", index=0)), finish="stop")[-1] == END
    assert called(chat_event("a"), finish="tool_calls")[-1] == FinishPiece("stop")
    # As it was done before there were tools.
    legacy = chat_delta({"function_call": {"name": "a", "arguments": "{}"}})
    assert called(legacy, finish="function_call") == [FinishPiece("stop")]


def test_a_call_that_is_cut_off_is_left_out() -> None:
    cut = whole(one("a", '{"x": 1}', index=0, id="x"), one("b", '{"x": ', index=1, id="y"))
    assert called(cut, finish="length") == [ToolCallPiece("a", '{"x": 1}', "x"), FinishPiece("length")]
    assert len(called(cut)) == 3, "what the model means as a call is told, so that it can be told what is wrong"


BIG = "x" * (LONGEST_ARGUMENTS // 2 + 1)


@pytest.mark.parametrize(
    "step",
    [
        whole({"index": 0, "id": "x"}),
        whole({"index": 0, "id": "x", "function": {"arguments": "{}"}}),
        whole(one("n" * 1000, "{}", index=0)),
        whole({"index": "zero"}),
        whole(one("a", "{}", index=0), one("b", "{}", index=0, id=7)),
        chat_delta({"tool_calls": "garbage"}),
        whole(one("a", BIG, index=0, id="x"), one("b", BIG, index=1, id="y")),
        whole(*(one("a", "", index=n, id=f"{n}") for n in range(MOST_CALLS + 1))),
    ],
    ids=["nothing", "no name", "endless name", "no number", "no id", "no calls", "too large", "too many"],
)
def test_what_cannot_be_calls_is_malformed(step: bytes) -> None:
    pieces, decoder = decode(plain(chat_event("a"), step, *chat_end(finish="tool_calls")))
    assert pieces == [TextPiece("a")]
    assert decoder.failure is not None
    assert decoder.failure.kind == "malformed"
    assert len(decoder.failure.detail) < 200


def test_a_call_after_the_finish_is_malformed() -> None:
    _, decoder = decode(plain(chat_event("a", "stop"), whole(one("a", "{}", index=0))))
    assert decoder.failure is not None


def test_a_refusal_is_said_and_is_a_filter() -> None:
    assert called(chat_delta({"refusal": "I will not"}), finish="stop") == [
        TextPiece("I will not"),
        FinishPiece("content_filter"),
    ]


# --- requests --------------------------------------------------------------------------------------------------------

SCHEMA: Json = {
    "type": "object",
    "properties": {"at": {"type": "string"}},
    "required": ["at"],
    "additionalProperties": False,
}
LOOSE: Json = {"type": "object", "properties": {"at": {"type": "string", "default": "here"}}}


def said(role: Role, *parts: Part | str, model: str | None = None) -> Message:
    texts = tuple(TextPart(part) if isinstance(part, str) else part for part in parts)
    return Message("m", "c", role, texts, datetime.now(UTC), model=model)


def body(request: Request, own: str | None = None) -> Json:
    found: Json = msgspec.json.decode(chat_body(request, own=own))
    return found


def test_tools_and_a_schema_are_told() -> None:
    request = Request(
        "gpt",
        (said("user", "?"),),
        tools=(ToolSpec("look", "Looks.", SCHEMA), ToolSpec("now", "Tells.", LOOSE)),
        tool_choice="required",
        answer_schema=AnswerSchema("place", LOOSE),
    )
    found = body(request)
    look = {"name": "look", "description": "Looks.", "parameters": SCHEMA, "strict": True}
    now = {"name": "now", "description": "Tells.", "parameters": LOOSE}
    assert found["tools"] == [{"type": "function", "function": look}, {"type": "function", "function": now}]
    assert found["tool_choice"] == "required"
    assert found["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "place", "schema": LOOSE, "strict": False},
    }


ANSWER = said(
    "assistant",
    ReasoningPart("hm"),
    "Let me look.",
    ToolCallPart("m-2", "look", '{"at": "lake"}', edited='{"at": "sea"}', signature="call_a"),
    ToolCallPart("m-3", "now", "", signature="call_a"),
    ToolResultPart("m-3", "noon"),
    ToolResultPart("m-2", "a sea", failed=True),
    "It is noon.",
    model="openai:gpt",
)


def test_an_answer_with_calls_is_told_in_turns() -> None:
    found = body(Request("gpt", (said("user", "?"), ANSWER, said("user", "!"))), own="openai:gpt")["messages"]
    look = {"id": "call_a", "type": "function", "function": {"name": "look", "arguments": '{"at": "sea"}'}}
    now = {"id": "m-3", "type": "function", "function": {"name": "now", "arguments": "{}"}}
    assert found[1:] == [
        {"role": "assistant", "content": "Let me look.", "tool_calls": [look, now]},
        {"role": "tool", "tool_call_id": "call_a", "content": "a sea"},
        {"role": "tool", "tool_call_id": "m-3", "content": "noon"},
        {"role": "assistant", "content": "It is noon."},
        {"role": "user", "content": "!"},
    ]


def test_another_model_is_told_our_ids() -> None:
    found = body(Request("o9", (said("user", "?"), ANSWER)), own="openai:o9")["messages"]
    assert [message["tool_call_id"] for message in found if message["role"] == "tool"] == ["m-2", "m-3"]


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (SCHEMA, True),
        ({"type": "object", "properties": {}, "additionalProperties": False}, True),
        ({"type": "object", "properties": {"a": SCHEMA}, "required": ["a"], "additionalProperties": False}, True),
        (LOOSE, False),
        ({**SCHEMA, "required": []}, False),
        ({**SCHEMA, "additionalProperties": True}, False),
        ({**SCHEMA, "properties": {"at": {"type": "string", "minLength": 1}}}, False),
        ({**SCHEMA, "properties": {"at": {"type": "string", "format": "uri"}}}, False),
        ({**SCHEMA, "properties": {"at": LOOSE}}, False),
        ({**SCHEMA, "anyOf": []}, False),
        ({"anyOf": [SCHEMA]}, False),
        ({"$ref": "#/$defs/a", "$defs": {"a": SCHEMA}}, False),
        ({**SCHEMA, "$defs": {"a": LOOSE}}, False),
        ({**SCHEMA, "properties": {"at": {"type": "array", "items": LOOSE}}}, False),
        ({**SCHEMA, "properties": {"at": True}}, False),
        ({**SCHEMA, "properties": [1]}, False),
        ({**SCHEMA, "required": [["at"]]}, False),
        ({}, False),
    ],
)
def test_strict_is_what_strict_mode_takes(schema: Json, expected: bool) -> None:
    assert is_strict(schema) is expected


def test_a_schema_may_nest_and_grow_only_so_far() -> None:
    deep = SCHEMA
    for _ in range(9):
        deep = {**SCHEMA, "properties": {"at": deep}}
    assert not is_strict(deep)
    many = {f"p{n}": {"type": "string"} for n in range(101)}
    assert not is_strict({**SCHEMA, "properties": many, "required": list(many)})
