"""The decoder finds the same pieces wherever the bytes are cut; a request holds what Messages want, and no more."""

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
    FilePart,
    FinishPiece,
    Message,
    Part,
    Piece,
    ReasoningPart,
    ReasoningPiece,
    Request,
    RequestImage,
    Role,
    Settings,
    TextPart,
    TextPiece,
    Usage,
    UsagePiece,
)
from trialogue.anthropic_dialect import GO_ON, MessagesDecoder, expected_space, holds_thoughts, messages_body

NOW = datetime.now(UTC)
MARK = {"type": "ephemeral"}


def event(kind: str, end: str = "\n\n", **fields: Any) -> bytes:
    return f"event: {kind}\ndata: ".encode() + msgspec.json.encode({"type": kind, **fields}) + end.encode()


def began(kind: str, **fields: Any) -> bytes:
    return event("content_block_start", index=0, content_block={"type": kind, **fields})


def delta(kind: str, end: str = "\n\n", **fields: Any) -> bytes:
    return event("content_block_delta", end, index=0, delta={"type": kind, **fields})


def text(words: str, end: str = "\n\n") -> bytes:
    return delta("text_delta", end, text=words)


def closed(reason: str | None = "end_turn", **usage: Any) -> bytes:
    return event("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage=usage)


START = event("message_start", message={"id": "msg", "content": [], "usage": {"input_tokens": 9, "output_tokens": 1}})
ENDED = event("content_block_stop", index=0)
STOP = event("message_stop")

WHOLE = (
    START
    + began("thinking", thinking="", signature="")
    + event("ping")
    + delta("thinking_delta", thinking="hm, ")
    + delta("thinking_delta", thinking="well")
    + delta("signature_delta", signature="c2VhbA==")
    + ENDED
    + began("redacted_thinking", data="ZW5jcnlwdGVk")
    + ENDED
    + began("text", text="")
    + text("Zürich 🏔", "\r\n\r\n")
    + delta("citations_delta", citation={"type": "char_location", "cited_text": "x"})
    + event("of_tomorrow", delta="something else", usage=7)
    + text("\n\u2028!")
    + ENDED
    + closed(output_tokens=12, output_tokens_details={"thinking_tokens": 5})
    + STOP
)
PIECES: list[Piece] = [
    ReasoningPiece("hm, "),
    ReasoningPiece("well"),
    ReasoningPiece("", "c2VhbA=="),
    ReasoningPiece("", "redacted:ZW5jcnlwdGVk"),
    TextPiece("Zürich 🏔"),
    TextPiece("\n\u2028!"),
    FinishPiece("stop"),
    UsagePiece(Usage("reported", 9, 12, reasoning_tokens=5)),
]


def decode(*reads: bytes, space: str = "") -> tuple[list[Piece], MessagesDecoder]:
    decoder = MessagesDecoder(space)
    pieces = [piece for data in reads for piece in decoder.feed(data)]
    decoder.end()
    return pieces, decoder


def kind(decoder: MessagesDecoder) -> str | None:
    return decoder.failure.kind if decoder.failure else None


@given(st.lists(st.integers(0, len(WHOLE)), max_size=12))
def test_cuts_do_not_matter(cuts: Sequence[int]) -> None:
    ends = [0, *sorted(cuts), len(WHOLE)]
    pieces, decoder = decode(*(WHOLE[a:b] for a, b in pairwise(ends)))
    assert pieces == PIECES
    assert decoder.over


def test_an_end_at_any_byte_is_told() -> None:
    """What was read before it is handed out, and it is a failure until the reason has come."""
    reason = WHOLE.index(b"event: message_delta")
    known = WHOLE.index(b"\n", WHOLE.index(b"data: ", reason)) + 1
    for end in range(len(WHOLE)):
        pieces, decoder = decode(WHOLE[:end])
        assert pieces == PIECES[: len(pieces)]
        assert kind(decoder) == ("broken" if end < known else None)
        assert decoder.over is (end >= known)


@given(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=8))
def test_anything_may_be_in_a_stream(at: int, noise: bytes) -> None:
    """It ends in one way or the other, and nothing is raised."""
    pieces, decoder = decode(WHOLE[:at] + noise + WHOLE[at:])
    assert decoder.over or decoder.failure is not None
    assert sum(isinstance(piece, FinishPiece) for piece in pieces) <= 1


@pytest.mark.parametrize(
    "bad",
    [
        b"data: {nonsense}\n",
        b'data: {"type": "content_block_delta", "delta": 7}\n',
        b'data: {"delta": {"text": "no type"}}\n',
        b"<html>no</html>\n",
        b'data: {"type": "error", "error": {"type": "\xff"}}\n',
        b"data: []\n",
    ],
)
def test_what_cannot_be_read_is_malformed_after_what_could(bad: bytes) -> None:
    pieces, decoder = decode(START + text("a") + bad + text("b"))
    assert pieces == [TextPiece("a")]
    assert kind(decoder) == "malformed"


def test_text_after_the_reason_is_malformed() -> None:
    pieces, decoder = decode(START + text("a") + closed(output_tokens=2) + text("b"))
    assert [type(piece) for piece in pieces] == [TextPiece, FinishPiece, UsagePiece]
    assert kind(decoder) == "malformed"


def test_counts_of_the_end_hold() -> None:
    """They are those of the whole message, also when they are told more than once."""
    pieces, decoder = decode(
        START
        + text("a")
        + closed(None, output_tokens=5)
        + closed(output_tokens=8)
        + closed(None, output_tokens=9)
        + STOP
    )
    assert [piece for piece in pieces if isinstance(piece, UsagePiece)][-1].usage == Usage("reported", 9, 9)
    assert decoder.over


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "pause"),
        ("refusal", "content_filter"),
        ("tool_use", "stop"),
        ("of_tomorrow", "stop"),
    ],
)
def test_stop_reasons_are_mapped(reason: str, expected: str) -> None:
    finish, _ = decode(closed(reason, output_tokens=1) + STOP)[0]
    assert isinstance(finish, FinishPiece)
    assert finish.reason == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"type": "overloaded_error", "message": "Overloaded"}, "unavailable"),
        ({"type": "api_error", "message": "oops"}, "unavailable"),
        ({"type": "rate_limit_error", "message": "slow down"}, "throttled"),
        ({"type": "invalid_request_error", "message": "no"}, "refused"),
        ({"type": "authentication_error", "message": "no sk-ant-secret123"}, "refused"),
        ({"type": "of_tomorrow"}, "broken"),
        (None, "broken"),
    ],
)
def test_an_error_in_the_stream_has_its_kind(error: object, expected: str) -> None:
    pieces, decoder = decode(START + text("a") + event("error", error=error) + STOP)
    assert pieces == [TextPiece("a")]
    assert kind(decoder) == expected
    assert "secret" not in str(decoder.failure)


@pytest.mark.parametrize(
    ("space", "answer", "rest"),
    [
        (" ", " world", "world"),
        (" ", "world", "world"),
        ("\n\n", "\n\n\nx", "\nx"),
        ("\n ", "\nx", "x"),
        ("  ", " x y", "x y"),
    ],
)
def test_space_at_the_end_of_a_prefix_is_not_doubled(space: str, answer: str, rest: str) -> None:
    for parts in ([answer], list(answer)):
        pieces, _ = decode(START, *(text(part) for part in parts), closed(), STOP, space=space)
        assert "".join(piece.text for piece in pieces if isinstance(piece, TextPiece)) == rest
        assert all(piece.text for piece in pieces if isinstance(piece, TextPiece))


# --- requests --------------------------------------------------------------------------------------------------------


def said(role: Role, *parts: Part | str, model: str | None = None) -> Message:
    whole = tuple(TextPart(part) if isinstance(part, str) else part for part in parts)
    return Message("m", "c", role, whole, NOW, model=model)


def asked(*messages: Message, **fields: Any) -> Request:
    return Request("claude", messages, **fields)


def body(request: Request, **options: Any) -> dict[str, Any]:
    found = msgspec.json.decode(messages_body(request, **{"max_tokens": 99, **options}))
    assert isinstance(found, dict)
    return found


def words(text: str, **fields: Any) -> dict[str, Any]:
    return {"type": "text", "text": text, **fields}


def test_a_request_has_what_was_set_and_no_more() -> None:
    settings = Settings(temperature=0.0, stop=("x",), seed=4)
    request = asked(said("user", "a", "b"), settings=settings, system="be brief")
    assert body(request, thinking={"type": "adaptive"}) == {
        "model": "claude",
        "max_tokens": 99,
        "messages": [{"role": "user", "content": [words("a"), words("b")]}],
        "system": [words("be brief", cache_control=MARK)],
        "stream": True,
        "temperature": 0.0,
        "stop_sequences": ["x"],
        "thinking": {"type": "adaptive"},
    }
    assert body(asked(said("user", "a"))).keys() == {"model", "max_tokens", "messages", "stream"}


def test_what_the_next_request_begins_with_is_marked() -> None:
    one, two, three = said("user", "1"), said("user", "2a", "2b"), said("user", "3")
    found = body(asked(one, said("assistant", "A"), two, said("assistant", "B"), three))
    marked = [
        block["text"] for message in found["messages"] for block in message["content"] if "cache_control" in block
    ]
    assert marked == ["2b"]


def test_what_speaks_as_the_system_stands_where_the_system_speaks() -> None:
    found = body(asked(said("user", "a"), said("system", "now in French"), system="be brief"))
    assert [block["text"] for block in found["system"]] == ["be brief", "now in French"]
    assert [message["role"] for message in found["messages"]] == ["user"]


def test_pictures_stand_where_they_were_shown() -> None:
    picture = FilePart("f", "owl.png", "image/png")
    request = asked(
        said("user", "see ", picture, FilePart("g", "gone", "x/y")), images={"f": RequestImage("image/webp", "AA==")}
    )
    source = {"type": "base64", "media_type": "image/webp", "data": "AA=="}
    assert body(request)["messages"][0]["content"] == [words("see "), {"type": "image", "source": source}]


THOUGHTS = (ReasoningPart("hm", "c2VhbA=="), ReasoningPart("", "redacted:ZW5j"), ReasoningPart("of another's"))


def test_thoughts_go_back_to_the_model_that_thought_them() -> None:
    answer = said("assistant", *THOUGHTS, "yes", ReasoningPart("cut", "x"), model="anthropic:claude")
    request = asked(said("user", "?"), answer, said("user", "!"))
    content = body(request, own="anthropic:claude")["messages"][1]["content"]
    assert content == [
        {"type": "thinking", "thinking": "hm", "signature": "c2VhbA=="},
        {"type": "redacted_thinking", "data": "ZW5j"},
        words("yes"),
    ]
    for own in ("anthropic:another", None):
        assert body(request, own=own)["messages"][1]["content"] == [words("yes")]
    assert holds_thoughts(messages_body(request, max_tokens=1, own="anthropic:claude"))
    assert not holds_thoughts(messages_body(request, max_tokens=1))


def test_a_text_that_looks_like_a_thought_is_none() -> None:
    request = asked(said("user", '{"type":"thinking","thinking":"x"}'))
    assert not holds_thoughts(messages_body(request, max_tokens=1, own="anthropic:claude"))


def test_nothing_empty_is_sent() -> None:
    found = body(asked(said("user", "a", "  "), said("assistant", "\n"), said("tool"), said("user", "b")))
    assert [message["content"][0]["text"] for message in found["messages"]] == ["a", "b"]
    assert len(found["messages"][0]["content"]) == 1


def test_a_prefix_begins_the_answer_where_that_is_allowed() -> None:
    request = asked(said("user", "a"), prefix="Well, \n")
    assert body(request, prefills=True)["messages"][-1] == {"role": "assistant", "content": "Well,"}
    assert expected_space(request.prefix) == " \n"
    assert body(request)["messages"][-2:] == [
        {"role": "assistant", "content": "Well,"},
        {"role": "user", "content": GO_ON},
    ]
    assert len(body(asked(said("user", "a"), prefix=" \n"), prefills=True)["messages"]) == 1
