"""Responses: the pieces in a stream, wherever it is cut; what is wrong with one; and what a request becomes."""

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
    CitationPiece,
    FilePart,
    FinishPiece,
    HandlePiece,
    Message,
    Part,
    Piece,
    ProviderError,
    ReasoningPart,
    ReasoningPiece,
    Request,
    RequestImage,
    Settings,
    TextPart,
    TextPiece,
    ToolCallPart,
    ToolCallPiece,
    ToolResultPart,
    ToolSpec,
    Usage,
    UsagePiece,
)
from trialogue.openai_dialect import (
    LONGEST_ARGUMENTS,
    MOST_CALLS,
    Heard,
    ResponsesDecoder,
    responses_body,
    rest_of,
    sends_thoughts,
)
from trialogue.testing.upstream_responses import (
    begin_events,
    call_events,
    end_event,
    text_events,
    thought_events,
)

#: Any JSON.
Json = dict[str, Any]

CALL: Json = {"type": "function_call", "call_id": "call_7", "name": "look", "arguments": '{"at": 1}'}
EVENTS: list[Json] = [
    *begin_events(),
    *thought_events("one", "two"),
    *text_events("Zürich ", "🏔", item=1),
    *call_events("call_7", "look", '{"at"', ": 1}", item=2),
    end_event(output=[{"type": "reasoning", "summary": []}, {"type": "message", "content": []}, CALL]),
]
PIECES: list[Piece] = [
    ReasoningPiece("one"),
    ReasoningPiece("\n\n"),
    ReasoningPiece("two"),
    ReasoningPiece("", "rs_0:sealed"),
    TextPiece("Zürich "),
    TextPiece("🏔"),
    ToolCallPiece("look", '{"at": 1}', "call_7"),
    FinishPiece("tool_call"),
    UsagePiece(Usage("reported", 7, 3, 0, 0, 0)),
]


def lines(*events: Json, first: int = 0) -> bytes:
    numbered: list[Json] = [{"sequence_number": number, **event} for number, event in enumerate(events, first)]
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (event["type"].encode(), msgspec.json.encode(event)) for event in numbered
    )


def decode(*reads: bytes, decoder: ResponsesDecoder | None = None) -> tuple[list[Piece], ResponsesDecoder]:
    decoder = decoder or ResponsesDecoder()
    pieces = [piece for data in reads for piece in decoder.feed(data)]
    decoder.end()
    return pieces, decoder


def decoded(*events: Json) -> tuple[list[Piece], ResponsesDecoder]:
    return decode(lines(*events))


def kind(decoder: ResponsesDecoder) -> str | None:
    return decoder.failure.kind if decoder.failure else None


WHOLE = lines(*EVENTS)


@given(st.lists(st.integers(0, len(WHOLE)), max_size=12))
def test_cuts_do_not_matter(cuts: Sequence[int]) -> None:
    ends = [0, *sorted(cuts), len(WHOLE)]
    pieces, decoder = decode(*(WHOLE[a:b] for a, b in pairwise(ends)))
    assert pieces == PIECES
    assert decoder.over


@given(st.lists(st.integers(0, len(WHOLE)), max_size=6), st.data())
def test_what_is_kept_can_be_taken_up_behind_any_handle(cuts: Sequence[int], data: st.DataObject) -> None:
    """Pieces up to a handle, and those of a stream from behind its cursor, are the whole."""
    ends = [0, *sorted(cuts), len(WHOLE)]
    first = ResponsesDecoder(kept=True)
    pieces = [piece for a, b in pairwise(ends) for piece in first.feed(WHOLE[a:b])]
    handles = [place for place, piece in enumerate(pieces) if isinstance(piece, HandlePiece)]
    place = data.draw(st.sampled_from(handles))
    handle = pieces[place]
    assert isinstance(handle, HandlePiece)
    assert handle.handle == "resp_1"
    rest, decoder = decode(
        lines(*EVENTS[handle.cursor + 1 :], first=handle.cursor + 1),
        decoder=ResponsesDecoder(kept=True, handle=handle.handle),
    )
    assert decoder.over
    joined = [piece for piece in [*pieces[:place], *rest] if not isinstance(piece, HandlePiece)]
    assert joined == PIECES


def test_a_handle_is_told_as_soon_as_it_is_known_and_never_of_the_end() -> None:
    decoder = ResponsesDecoder(kept=True)
    assert decoder.feed(lines(EVENTS[0])) == [HandlePiece("resp_1", 0)]
    assert decoder.feed(lines(EVENTS[1], first=1)) == [], "nothing was said since"
    pieces = decoder.feed(lines(*EVENTS[2:], first=2))
    assert pieces[-3:] == [HandlePiece("resp_1", len(EVENTS) - 2), *PIECES[-2:]]


def test_a_connection_that_ends_is_told_from_a_response_that_fails() -> None:
    _, decoder = decoded(*EVENTS[:-1])
    assert (kind(decoder), decoder.cut) == ("broken", True)
    _, decoder = decoded(*EVENTS[:-1], failed("server_error"))
    assert (kind(decoder), decoder.cut) == ("unavailable", False)


def failed(code: str) -> Json:
    return end_event("failed", error={"code": code, "message": "no"})


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (failed("server_error"), "unavailable"),
        (failed("rate_limit_exceeded"), "throttled"),
        (failed("invalid_prompt"), "refused"),
        (end_event("failed"), "broken"),
        ({"type": "error", "code": "rate_limit_exceeded", "message": "slow", "param": None}, "throttled"),
        ({"type": "error", "error": {"type": "server_error", "message": "oops"}}, "unavailable"),
        ({"type": "error", "code": 503, "message": "later"}, "unavailable"),
    ],
)
def test_failures_have_their_kind_and_come_after_what_was_read(event: Json, expected: str) -> None:
    pieces, decoder = decoded(*begin_events(), *text_events("a")[:3], event)
    assert pieces == [TextPiece("a")]
    assert kind(decoder) == expected
    assert not decoder.over


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (end_event("incomplete", incomplete_details={"reason": "max_output_tokens"}), "length"),
        (end_event("incomplete", incomplete_details={"reason": "content_filter"}), "content_filter"),
        (end_event("incomplete", incomplete_details={"reason": "steered"}), "length"),
        (end_event(), "stop"),
    ],
)
def test_reasons_are_mapped(event: Json, reason: str) -> None:
    pieces, decoder = decoded(*begin_events(), *text_events("a"), event)
    assert [piece.reason for piece in pieces if isinstance(piece, FinishPiece)] == [reason]
    assert decoder.over


def test_a_refusal_is_said_and_is_a_filter() -> None:
    refusal = {"type": "response.refusal.delta", "delta": "I will not", "item_id": "m", "output_index": 0}
    pieces, _ = decoded(*begin_events(), refusal, end_event())
    assert pieces[:2] == [TextPiece("I will not"), FinishPiece("content_filter")]


def test_a_source_is_cited() -> None:
    annotation = {"type": "url_citation", "url": "https://x.example", "title": "X", "start_index": 0, "end_index": 1}
    file = {"type": "file_citation", "file_id": "file_1", "filename": "a.pdf", "index": 0}
    kind = "response.output_text.annotation.added"
    pieces, _ = decoded(*begin_events(), {"type": kind, "annotation": annotation}, {"type": kind, "annotation": file})
    assert pieces == [CitationPiece("https://x.example", "X"), CitationPiece("file_1", "a.pdf")]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.shiny_new.delta", "delta": {"of": "some kind"}},
        {"type": "response.output_item.added", "item": {"type": "shiny"}, "output_index": 0},
        {"type": "response.output_item.done", "item": {"type": "web_search_call", "id": "ws"}, "output_index": 0},
        {"type": "response.output_text.annotation.added", "annotation": None},
        {"type": "keepalive"},
    ],
)
def test_what_is_not_known_means_nothing(event: Json) -> None:
    pieces, decoder = decoded(*begin_events(), event, *text_events("a"), end_event())
    assert pieces[0] == TextPiece("a")
    assert decoder.over


@pytest.mark.parametrize(
    "bad",
    [
        b"data: {nonsense}\n",
        b'data: {"type": "response.output_text.delta", "delta": 7}\n',
        b"data: \xff\n",
        b"data: []\n",
    ],
)
def test_what_cannot_be_read_is_malformed_after_what_could(bad: bytes) -> None:
    pieces, decoder = decode(lines(*begin_events(), *text_events("a")[:3]) + bad + lines(*text_events("b")))
    assert pieces == [TextPiece("a")]
    assert kind(decoder) == "malformed"


def test_a_call_may_have_no_arguments_and_one_without_a_name_is_malformed() -> None:
    pieces, _ = decoded(*begin_events(), *call_events("c", "now"), end_event())
    assert pieces[0] == ToolCallPiece("now", "", "c")
    _, decoder = decoded(*begin_events(), *call_events("c", ""), end_event())
    assert kind(decoder) == "malformed"


def test_calls_have_limits() -> None:
    _, decoder = decoded(*begin_events(), *call_events("c", "now", "x" * (LONGEST_ARGUMENTS + 1)), end_event())
    assert decoder.failure is not None
    assert f"more than {LONGEST_ARGUMENTS} characters" in decoder.failure.detail
    many = [event for n in range(MOST_CALLS + 1) for event in call_events(f"c{n}", "now")]
    _, decoder = decoded(*begin_events(), *many, end_event())
    assert decoder.failure is not None
    assert f"more than {MOST_CALLS} tools" in decoder.failure.detail


# --- a whole, of which something was heard --------------------------------------------------------------------------


OUTPUT: list[Json] = [
    {
        "type": "reasoning",
        "id": "rs_0",
        "summary": [{"type": "summary_text", "text": "one"}, {"type": "summary_text", "text": "two"}],
        "encrypted_content": "sealed",
    },
    {"type": "message", "content": [{"type": "output_text", "text": "Zürich 🏔"}]},
    {"type": "web_search_call", "id": "ws_0"},
    CALL,
]
WHOLE_RESPONSE: Json = end_event(output=OUTPUT)["response"]


def shape(pieces: Sequence[Piece]) -> tuple[str, str, list[Piece]]:
    """Text, thoughts, and the rest of some pieces, however they are cut."""
    text = "".join(piece.text for piece in pieces if isinstance(piece, TextPiece))
    thought = "".join(piece.text for piece in pieces if isinstance(piece, ReasoningPiece))
    seals = [piece for piece in pieces if isinstance(piece, ReasoningPiece) and piece.signature]
    rest = [piece for piece in pieces if not isinstance(piece, (TextPiece, ReasoningPiece))]
    return text, thought, [*seals, *rest]


@pytest.mark.parametrize("cut", range(len(PIECES) - 2))
def test_what_was_not_heard_is_told_from_the_whole(cut: int) -> None:
    heard = Heard()
    heard.add(PIECES[:cut])
    rest = rest_of(WHOLE_RESPONSE, heard)
    assert rest is not None
    text, thought, others = shape([*PIECES[:cut], *rest])
    assert (text, others) == (shape(PIECES)[0], shape(PIECES)[2])
    # A thought that was cut off ends there, sealed.
    assert shape(PIECES)[1].startswith(thought) if 0 < cut < 4 else thought == shape(PIECES)[1]


def test_what_was_heard_is_known_from_the_parts_it_became() -> None:
    parts: list[Part] = [ReasoningPart("one\n\ntwo", "rs_0:sealed"), TextPart("Zür")]
    rest = rest_of(WHOLE_RESPONSE, Heard(parts))
    assert rest == [TextPiece("ich 🏔"), *PIECES[-3:]]
    earlier = rest_of(WHOLE_RESPONSE, Heard([TextPart("The answer is "), *parts]))
    assert earlier == rest, "an earlier response said the beginning"
    nothing = rest_of(WHOLE_RESPONSE, Heard([TextPart("The answer is ")]))
    assert nothing is not None
    assert TextPiece("Zürich 🏔") in nothing


def test_a_long_text_is_found_and_cut_in_time() -> None:
    text = "ab" * 200_000
    response = end_event(output=[{"type": "message", "content": [{"type": "output_text", "text": text}]}])["response"]
    rest = rest_of(response, Heard([TextPart("b"), TextPart(text[:300_000])]))
    assert rest is not None
    assert shape(rest)[0] == text[300_000:]
    assert max(len(piece.text) for piece in rest if isinstance(piece, TextPiece)) < 10_000


@pytest.mark.parametrize(("status", "kind"), [("failed", "unavailable"), ("cancelled", "broken")])
def test_a_whole_may_be_none(status: str, kind: str) -> None:
    error = {"code": "server_error", "message": "no"} if status == "failed" else None
    with pytest.raises(ProviderError) as caught:
        rest_of({**WHOLE_RESPONSE, "status": status, "error": error}, Heard())
    assert caught.value.kind == kind
    with pytest.raises(ProviderError, match="cannot be read"):
        rest_of({"status": 7}, Heard())
    deep: Json = {}
    for _ in range(100_000):
        deep = {"a": deep}
    with pytest.raises(ProviderError, match="cannot be read"):
        rest_of({**WHOLE_RESPONSE, "metadata": deep}, Heard())
    assert rest_of({**WHOLE_RESPONSE, "status": "in_progress"}, Heard()) is None


# --- what a request becomes ----------------------------------------------------------------------------------------


def said(role: Any, *parts: Part, model: str | None = None) -> Message:  # Any of the roles.
    return Message("m", "c", role, parts, datetime.now(UTC), model=model)


SCHEMA = {
    "type": "object",
    "properties": {"at": {"type": "integer"}},
    "required": ["at"],
    "additionalProperties": False,
}
LOOSE = {"type": "object", "properties": {"at": {"type": "integer"}}}


def body(request: Request, **options: Any) -> Json:  # Any options of the body's.
    found: Json = msgspec.json.decode(responses_body(request, **options))
    return found


def test_a_request_has_what_was_set_and_no_more() -> None:
    settings = Settings(temperature=0.5, max_tokens=9, stop=("x",), seed=3)
    request = Request(
        "gpt", (said("system", TextPart("sir")), said("user", TextPart("a"), TextPart("b"))), settings, "be"
    )
    assert body(request) == {
        "model": "gpt",
        "instructions": "be",
        "input": [{"role": "developer", "content": "sir"}, {"role": "user", "content": "ab"}],
        "stream": True,
        "stream_options": {"include_obfuscation": False},
        "store": False,
        "temperature": 0.5,
        "max_output_tokens": 9,
    }
    kept = body(request, kept=True)
    assert (kept["store"], kept["background"]) == (True, True)


def test_pictures_stand_where_they_were() -> None:
    message = said("user", TextPart("see"), FilePart("f", "n", "image/png"), FilePart("g", "n", "image/png"))
    request = Request("gpt", (message,), images={"f": RequestImage("image/png", "AAAA")})
    assert body(request)["input"][0]["content"] == [
        {"type": "input_text", "text": "see"},
        {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,AAAA"},
    ]


def test_tools_are_strict_where_that_is_possible() -> None:
    tools = (ToolSpec("a", "A.", SCHEMA), ToolSpec("b", "B.", LOOSE))
    asked = body(Request("gpt", (said("user", TextPart("x")),), tools=tools, tool_choice="required"))
    assert asked["tools"] == [
        {"type": "function", "name": "a", "description": "A.", "parameters": SCHEMA, "strict": True},
        {"type": "function", "name": "b", "description": "B.", "parameters": LOOSE, "strict": False},
    ]
    assert asked["tool_choice"] == "required"
    wanted = body(Request("gpt", (said("user", TextPart("x")),), answer_schema=AnswerSchema("place", SCHEMA)))
    assert wanted["text"] == {"format": {"type": "json_schema", "name": "place", "schema": SCHEMA, "strict": True}}


ANSWER = (
    ReasoningPart("hm", "rs_1:sealed"),
    TextPart("Let me "),
    TextPart("look."),
    ToolCallPart("m-2", "look", '{"at": 1}', signature="call_7"),
    ToolCallPart("m-3", "now", "", signature="call_7"),
    ToolResultPart("m-2", "a lake"),
    ToolResultPart("m-3", "noon", failed=True),
    ReasoningPart("so", "rs_2:more"),
)


def spoken(text: str) -> Json:
    return {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": text, "annotations": []}],
    }


def test_an_answer_with_calls_is_told_in_turns() -> None:
    request = Request("gpt", (said("user", TextPart("x")), said("assistant", *ANSWER, model="openai:gpt")))
    assert body(request, own="openai:gpt")["input"][1:] == [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "hm"}],
            "encrypted_content": "sealed",
        },
        spoken("Let me look."),
        {"type": "function_call", "call_id": "call_7", "name": "look", "arguments": '{"at": 1}'},
        {"type": "function_call", "call_id": "m-3", "name": "now", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_7", "output": "a lake"},
        {"type": "function_call_output", "call_id": "m-3", "output": "noon"},
    ], "the last thought led to nothing yet"
    assert sends_thoughts(responses_body(request, own="openai:gpt"))


def test_another_model_is_told_no_thoughts_and_our_ids() -> None:
    request = Request("gpt", (said("user", TextPart("x")), said("assistant", *ANSWER, model="openai:o9")))
    items = body(request, own="openai:gpt")["input"]
    assert [item.get("call_id") for item in items[2:]] == ["m-2", "m-3", "m-2", "m-3"]
    assert not sends_thoughts(responses_body(request, own="openai:gpt"))


def test_a_beginning_is_shown_and_to_be_gone_on_from() -> None:
    items = body(Request("gpt", (said("user", TextPart("x")),), prefix="Well"))["input"]
    assert items[1] == spoken("Well")
    assert items[2]["role"] == "user"
