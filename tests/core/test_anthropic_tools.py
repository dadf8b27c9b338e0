"""Tools, citations and schemas in Messages: the pieces in a stream, and what a request becomes."""

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
    CitationPart,
    CitationPiece,
    FilePart,
    FinishPiece,
    Message,
    Part,
    Piece,
    ReasoningPart,
    ReasoningPiece,
    Request,
    RequestDocument,
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
from trialogue.anthropic_dialect import MessagesDecoder, documents_of, messages_body
from trialogue.openai_dialect import LONGEST_ARGUMENTS
from trialogue.testing.upstream import (
    message_begin,
    message_block,
    message_call,
    message_citation,
    message_end,
    message_event,
    message_text,
    message_thought,
)

#: Any JSON.
Json = dict[str, Any]


def plain(*chunks: bytes) -> bytes:
    """Events without HTTP's coding around them."""
    lines = b"".join(chunks).split(b"\n")
    return b"".join(line + b"\n\n" for line in lines if line.startswith(b"data: "))


def decode(*reads: bytes, documents: Sequence[str] = ()) -> tuple[list[Piece], MessagesDecoder]:
    decoder = MessagesDecoder(documents=documents)
    pieces = [piece for data in reads for piece in decoder.feed(data)]
    decoder.end()
    return pieces, decoder


def input_delta(index: int, text: str) -> bytes:
    delta = {"type": "input_json_delta", "partial_json": text}
    return message_event("content_block_delta", index=index, delta=delta)


END = message_event("content_block_stop", index=1)
CALLING = plain(
    *message_begin(block=False),
    *message_thought(0, "hm", "seal"),
    message_block(1, {"type": "text", "text": "", "citations": []}),
    message_text("The lake is deep. ", 1),
    message_citation(1, "It is 372 m deep.", "lakes.txt", 1),
    END,
    *message_call(2, "toolu_1", "look", "", '{"at"', ': "lake"}'),
    *message_call(3, "toolu_2", "now"),
    *message_end(12, "tool_use", index=None),
)
PIECES: list[Piece] = [
    ReasoningPiece("hm"),
    ReasoningPiece("", "seal"),
    TextPiece("The lake is deep. "),
    CitationPiece("file:b", "lakes.txt", "It is 372 m deep."),
    ToolCallPiece("look", '{"at": "lake"}', "toolu_1"),
    ToolCallPiece("now", "", "toolu_2"),
    FinishPiece("tool_call"),
    UsagePiece(Usage("reported", 7, 12)),
]


@given(st.lists(st.integers(0, len(CALLING)), max_size=12))
def test_cuts_do_not_matter(cuts: Sequence[int]) -> None:
    ends = [0, *sorted(cuts), len(CALLING)]
    pieces, decoder = decode(*(CALLING[a:b] for a, b in pairwise(ends)), documents=("a", "b"))
    assert pieces == PIECES
    assert decoder.over


def test_a_call_that_is_cut_off_is_left_out_and_one_that_is_garbage_is_told() -> None:
    begun = [*message_begin(), *message_call(1, "toolu_1", "look", '{"at": "la')]
    pieces, _ = decode(plain(*begun, *message_end(reason="max_tokens", index=None)))
    assert pieces[0] == FinishPiece("length")
    pieces, _ = decode(plain(*begun, *message_end(reason="tool_use", index=None)))
    assert pieces[:2] == [ToolCallPiece("look", '{"at": "la', "toolu_1"), FinishPiece("tool_call")]


def test_arguments_may_come_whole() -> None:
    block = {"type": "tool_use", "id": "t", "name": "look", "input": {"at": 1}}
    pieces, _ = decode(
        plain(*message_begin(), message_block(1, block), END, *message_end(reason="tool_use", index=None))
    )
    assert pieces[0] == ToolCallPiece("look", '{"at": 1}', "t")


@pytest.mark.parametrize(
    "steps",
    [
        [message_block(1, {"type": "tool_use", "id": "t", "input": {}})],
        [*message_call(1, "t", "look", "x" * (LONGEST_ARGUMENTS + 1))],
        [
            message_block(1, {"type": "tool_use", "id": "t", "name": "look", "input": {}}),
            *(input_delta(1, piece) for piece in ("x" * (1 << 19), "x" * (1 << 19), "x")),
        ],
    ],
    ids=["nameless", "at once", "bit by bit"],
)
def test_what_cannot_be_a_call_is_malformed(steps: list[bytes]) -> None:
    pieces, decoder = decode(plain(*message_begin(), message_text("a"), *steps))
    assert pieces == [TextPiece("a")]
    assert decoder.failure is not None
    assert decoder.failure.kind == "malformed"


SEARCH: Json = {"type": "server_tool_use", "id": "t", "name": "web_search", "input": {}}
FOUND: Json = {"type": "web_search_tool_result", "tool_use_id": "t", "content": [{"url": "https://x", "title": "é"}]}


def sealed(block: Json) -> str:
    return f"block:{msgspec.json.encode(block).decode()}"


def test_what_runs_at_anthropic_is_kept_for_a_turn_that_is_paused() -> None:
    asked = [message_block(1, SEARCH), input_delta(1, '{"que'), input_delta(1, 'ry": "x"}'), END]
    found = [message_block(2, FOUND), END, *message_end(index=None, reason="pause_turn")]
    pieces, decoder = decode(plain(*message_begin(), message_text("a"), *asked, *found))
    assert pieces[:4] == [
        TextPiece("a"),
        ReasoningPiece("", sealed({**SEARCH, "input": {"query": "x"}})),
        ReasoningPiece("", sealed(FOUND)),
        FinishPiece("pause"),
    ]
    assert decoder.over


def test_input_that_is_cut_off_is_not_kept() -> None:
    asked = [message_block(1, SEARCH), input_delta(1, '{"que'), *message_end(index=1, reason="max_tokens")]
    pieces, _ = decode(plain(*message_begin(), message_text("a"), *asked))
    assert pieces[:2] == [TextPiece("a"), FinishPiece("length")]


@pytest.mark.parametrize("paused", [True, False])
def test_paused_turn_is_sent_back_as_it_is(paused: bool) -> None:
    thought = ReasoningPart("hm", "c2VhbA==")
    kept = [ReasoningPart("", sealed(one)) for one in (SEARCH, FOUND)]
    broken = [ReasoningPart("", f"block:{junk}") for junk in ("{", "7", "{}")]
    parts: tuple[Part, ...] = (thought, TextPart("Let me see. "), *kept, *broken, TextPart("So \n"))
    at = datetime(2026, 1, 1, tzinfo=UTC)
    question = Message("q", "c", "user", (TextPart("?"),), at)
    messages = (question, Message("a", "c", "assistant", parts, at, model="anthropic:m"))
    request = Request("m", messages, paused=paused)
    body = msgspec.json.decode(messages_body(request, max_tokens=9, own="anthropic:m"))["messages"]
    said = body[-1]
    assert [one["role"] for one in body] == ["user", "assistant"]
    thinking = {"type": "thinking", "thinking": "hm", "signature": "c2VhbA=="}
    if paused:
        first, last = ({"type": "text", "text": words} for words in ("Let me see. ", "So"))
        assert said["content"] == [thinking, first, SEARCH, FOUND, last]
    else:
        assert said["content"] == [thinking, {"type": "text", "text": "Let me see. So \n"}]
    other = msgspec.json.decode(messages_body(request, max_tokens=9, own="anthropic:other"))["messages"][-1]
    assert [one["type"] for one in other["content"]] == ["text"]


def test_a_citation_of_nothing_known_is_none() -> None:
    web = {"type": "web_search_result_location", "url": "https://x.example", "title": "X", "cited_text": "x"}
    delta = {"type": "citations_delta", "citation": web}
    cited = [message_citation(7, "x"), message_event("content_block_delta", index=0, delta=delta)]
    pieces, _ = decode(plain(*message_begin(), *cited, *message_end()), documents=("a",))
    assert pieces[0] == CitationPiece("https://x.example", "X", "x")
    assert isinstance(pieces[1], FinishPiece)


# --- requests --------------------------------------------------------------------------------------------------------

MARK = {"type": "ephemeral"}
SCHEMA: Json = {"type": "object", "properties": {}}
LOOK = ToolSpec("look", "Looks.", SCHEMA)


def said(role: Role, *parts: Part | str, model: str | None = None) -> Message:
    whole = tuple(TextPart(part) if isinstance(part, str) else part for part in parts)
    return Message("m", "c", role, whole, datetime.now(UTC), model=model)


def body(request: Request, *, own: str | None = None, prefills: bool = False) -> Json:
    found: Json = msgspec.json.decode(messages_body(request, max_tokens=99, own=own, prefills=prefills))
    return found


def words(text: str, **fields: Any) -> Json:
    return {"type": "text", "text": text, **fields}


ANSWER = said(
    "assistant",
    ReasoningPart("hm", "seal"),
    "Let me look.",
    ToolCallPart("m-2", "look", '{"at": 1}', signature="toolu_1"),
    ToolCallPart("m-3", "look", "nonsense", edited="[1]"),
    ToolResultPart("m-2", "a lake"),
    ToolResultPart("m-3", "", failed=True),
    model="anthropic:claude",
)


def test_thoughts_and_calls_go_back_unchanged_with_the_results() -> None:
    found = body(Request("claude", (said("user", "?"), ANSWER), tools=(LOOK,)), own="anthropic:claude")
    assert found["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "seal"},
                words("Let me look."),
                {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": 1}},
                {"type": "tool_use", "id": "m-3", "name": "look", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "a lake"},
                {"type": "tool_result", "tool_use_id": "m-3", "is_error": True, "cache_control": MARK},
            ],
        },
    ]
    other = body(Request("other", (said("user", "?"), ANSWER), tools=(LOOK,)), own="anthropic:other")
    assert [block["type"] for block in other["messages"][1]["content"]] == ["text", "tool_use", "tool_use"]
    assert other["messages"][2]["content"][0]["tool_use_id"] == "m-2"


def test_tools_are_told_and_marked() -> None:
    found = body(Request("claude", (said("user", "?"),), tools=(LOOK, ToolSpec("now", "Tells.", SCHEMA))))
    assert found["tools"] == [
        {"name": "look", "description": "Looks.", "input_schema": SCHEMA},
        {"name": "now", "description": "Tells.", "input_schema": SCHEMA, "cache_control": MARK},
    ]
    assert "tool_choice" not in found


@pytest.mark.parametrize(("choice", "told"), [("none", {"type": "none"}), ("required", {"type": "any"})])
def test_whether_tools_are_to_be_called_is_told(choice: Any, told: Json) -> None:  # Any of the choices.
    found = body(Request("claude", (said("user", "?"),), tools=(LOOK,), tool_choice=choice))
    assert found["tool_choice"] == told


def test_tools_that_were_called_and_are_not_offered_are_known_and_not_to_be_called() -> None:
    found = body(Request("claude", (said("user", "?"), ANSWER, said("user", "!"))))
    assert [tool["name"] for tool in found["tools"]] == ["look"]
    assert found["tool_choice"] == {"type": "none"}


def test_a_beginning_follows_the_results() -> None:
    found = body(Request("claude", (said("user", "?"), ANSWER), prefix="So"), prefills=True)
    assert [message["role"] for message in found["messages"]] == ["user", "assistant", "user", "assistant"]


def test_a_text_with_citations_in_it_is_one_text() -> None:
    cited = said("assistant", "a", CitationPart("file:f", "F"), " ", "b")
    assert body(Request("claude", (said("user", "?"), cited)))["messages"][1]["content"] == [words("a b")]


FILES = (FilePart("f", "lakes.txt", "text/plain"), FilePart("g", "gone.txt", "text/plain"))


def test_documents_can_be_cited_in_their_order() -> None:
    messages = (said("user", "?", *FILES), said("user", FilePart("h", "seas.txt", "text/plain")))
    documents = {"h": RequestDocument("seas.txt", "wide"), "f": RequestDocument("lakes.txt", "deep")}
    request = Request("claude", messages, documents=documents)
    assert documents_of(request) == ("f", "h")
    document = body(request)["messages"][0]["content"][1]
    assert document == {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": "deep"},
        "title": "lakes.txt",
        "citations": {"enabled": True},
        "cache_control": MARK,
    }
    assert "deep" not in repr(request)


def test_an_answer_in_a_schema_cites_nothing() -> None:
    documents = {"f": RequestDocument("lakes.txt", "deep")}
    request = Request("claude", (said("user", FILES[0]),), documents=documents, answer_schema=AnswerSchema("a", SCHEMA))
    found = body(request)
    assert found["output_config"] == {"format": {"type": "json_schema", "schema": SCHEMA}}
    assert found["messages"][0]["content"][0]["citations"] == {"enabled": False}
