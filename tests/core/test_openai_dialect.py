"""The decoder finds the same pieces wherever the bytes are cut, and names what is wrong with a stream."""

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
    FinishPiece,
    Message,
    Piece,
    ProviderError,
    ReasoningPiece,
    Request,
    Settings,
    TextPart,
    TextPiece,
    Usage,
    UsagePiece,
)
from trialogue.model_calls import check_allowed
from trialogue.openai_dialect import LONGEST_LINE, ChatDecoder, chat_body, kind_of_status, shown
from trialogue.testing import forbid_model_calls


def event(value: object, end: str = "\n\n") -> bytes:
    return b"data: " + msgspec.json.encode(value) + end.encode()


def delta(end: str = "\n\n", finish: str | None = None, **fields: str) -> bytes:
    return event({"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}, end)


DONE = b"data: [DONE]\n\n"
COUNT = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}


def decode(*reads: bytes) -> tuple[list[Piece], ChatDecoder]:
    decoder = ChatDecoder()
    pieces = [piece for data in reads for piece in decoder.feed(data)]
    decoder.end()
    return pieces, decoder


def kind(decoder: ChatDecoder) -> str | None:
    return decoder.failure.kind if decoder.failure else None


WHOLE = (
    b": hello\r\nevent: message\r\nid: 7\r\nretry: 10\r\n\r\n"
    + delta(role="assistant", content="")
    + delta(reasoning_content="hm")
    + delta("\r\n\r\n", content="Zürich 🏔")
    + delta(content="\n\u2028!", finish="stop")
    + event({"choices": [], "usage": COUNT})
    + DONE
)
PIECES = [
    ReasoningPiece("hm"),
    TextPiece("Zürich 🏔"),
    TextPiece("\n\u2028!"),
    FinishPiece("stop"),
    UsagePiece(Usage("reported", 9, 4)),
]


@given(st.lists(st.integers(0, len(WHOLE)), max_size=12))
def test_cuts_do_not_matter(cuts: Sequence[int]) -> None:
    ends = [0, *sorted(cuts), len(WHOLE)]
    pieces, decoder = decode(*(WHOLE[a:b] for a, b in pairwise(ends)))
    assert pieces == PIECES
    assert decoder.over


def test_every_byte_may_come_alone() -> None:
    assert decode(*(bytes([byte]) for byte in WHOLE))[0] == PIECES


def test_the_end_may_come_without_done() -> None:
    pieces, decoder = decode(delta(content="a", finish="length"))
    assert pieces == [TextPiece("a"), FinishPiece("length")]
    assert decoder.over
    assert decoder.failure is None


@pytest.mark.parametrize("tail", [b"", DONE, b'data: {"choi'])
def test_an_end_without_a_finish_is_broken(tail: bytes) -> None:
    pieces, decoder = decode(delta(content="a") + tail)
    assert pieces == [TextPiece("a")]
    assert kind(decoder) == "broken"
    assert not decoder.over


@pytest.mark.parametrize(
    "bad", [b"data: {nonsense}\n", b'data: {"choices": 7}\n', b"<html>no</html>\n", b"data: \xff\n", b"data:\n"]
)
def test_what_cannot_be_read_is_malformed_after_what_could(bad: bytes) -> None:
    pieces, decoder = decode(delta(content="a") + bad + delta(content="b"))
    assert pieces == [TextPiece("a")]
    assert kind(decoder) == "malformed"


def test_a_line_without_end_is_malformed() -> None:
    decoder = ChatDecoder()
    for _ in range(LONGEST_LINE // (1 << 18) + 1):
        assert decoder.feed(b"data: " + b" " * (1 << 18)) == []
    assert kind(decoder) == "malformed"


def test_text_after_the_finish_is_malformed() -> None:
    _, decoder = decode(delta(content="a", finish="stop") + delta(content="b"))
    assert kind(decoder) == "malformed"


def test_a_finish_that_is_repeated_counts_once() -> None:
    pieces, decoder = decode(delta(content="a", finish="stop") + delta(finish="stop") + DONE)
    assert pieces == [TextPiece("a"), FinishPiece("stop")]
    assert decoder.over


def test_counts_before_the_finish_follow_it_and_the_last_one_counts() -> None:
    early = event({"choices": [], "usage": {"prompt_tokens": 1}})
    late = event({"choices": [{"delta": None, "finish_reason": "stop"}], "usage": COUNT})
    assert decode(early + delta(content="a") + late)[0] == [
        TextPiece("a"),
        FinishPiece("stop"),
        UsagePiece(Usage("reported", 9, 4)),
    ]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({}, Usage("reported")),
        ({"prompt_tokens": 0, "completion_tokens": 0}, Usage("reported", 0, 0)),
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 50,
                "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0, "cache_write_tokens": 3},
                "completion_tokens_details": {"reasoning_tokens": 40},
            },
            Usage("reported", 100, 50, 64, 3, 40),
        ),
        (
            {"prompt_tokens": 5, "prompt_tokens_details": None, "completion_tokens_details": {}},
            Usage("reported", 5),
        ),
    ],
)
def test_absent_counts_are_not_zero(usage: dict[str, Any], expected: Usage) -> None:
    pieces, _ = decode(delta(content="a", finish="stop") + event({"choices": [], "usage": usage}))
    assert pieces[-1] == UsagePiece(expected)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"message": "no", "type": "server_error"}, "unavailable"),
        ({"message": "no", "code": "rate_limit_exceeded"}, "throttled"),
        ({"message": "no", "type": "invalid_request_error"}, "refused"),
        ({"message": "no", "code": 503}, "unavailable"),
        ({"code": None}, "broken"),
        ("just words", "broken"),
    ],
)
def test_an_error_in_the_stream_has_its_kind(error: object, expected: str) -> None:
    pieces, decoder = decode(delta(content="a") + event({"error": error}) + DONE)
    assert pieces == [TextPiece("a")]
    assert kind(decoder) == expected


@pytest.mark.parametrize(
    ("name", "expected"), [("tool_calls", "stop"), ("content_filter", "content_filter"), ("eos", "stop")]
)
def test_finish_reasons_are_mapped(name: str, expected: str) -> None:
    (finish,), _ = decode(delta(finish=name))
    assert isinstance(finish, FinishPiece)
    assert finish.reason == expected


def test_a_request_has_what_was_set_and_no_more() -> None:
    message = Message("m", "c", "user", (TextPart("a"), TextPart("b")), datetime.now(UTC))
    settings = Settings(temperature=0.0, max_tokens=5, stop=("x",))
    body = chat_body(Request("gpt", (message,), settings, "be brief", "Well"), limit_name="max_completion_tokens", n=1)
    assert msgspec.json.decode(body) == {
        "model": "gpt",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "ab"},
            {"role": "assistant", "content": "Well"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.0,
        "max_completion_tokens": 5,
        "stop": ["x"],
        "n": 1,
    }


def test_what_is_shown_is_short_and_holds_no_key() -> None:
    assert shown("Incorrect API key provided: sk-abc***xyz1.\nSee") == "Incorrect API key provided: [key] See"
    assert len(shown("word " * 1000)) == 300


@pytest.mark.parametrize(
    ("status", "expected"),
    [(400, "refused"), (401, "refused"), (408, "unavailable"), (429, "throttled"), (503, "unavailable")],
)
def test_statuses_have_their_kind(status: int, expected: str) -> None:
    assert kind_of_status(status) == expected


def test_real_models_are_forbidden_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIALOGUE_FORBID_MODEL_CALLS", "")
    check_allowed("api.openai.com")
    forbid_model_calls()
    for host in ("localhost", "127.0.0.1", "::1"):
        check_allowed(host)
    with pytest.raises(ProviderError, match=r"forbidden here .*'api\.openai\.com'"):
        check_allowed("api.openai.com")
