"""Pictures that tools returned, as each dialect wants them: the whole of what is sent of a round with two calls."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from trialogue import FilePart, Message, Part, Request, RequestImage, TextPart, ToolCallPart, ToolResultPart
from trialogue.anthropic_dialect import messages_body
from trialogue.openai_dialect import chat_body, responses_body

#: Any JSON.
Json = dict[str, Any]

RED, BLUE, GONE = (FilePart(name, f"{name}.png", "image/png") for name in ("red", "blue", "gone"))
IMAGES = {"red": RequestImage("image/jpeg", "UkVE"), "blue": RequestImage("image/png", "QkxVRQ==")}
PARTS: tuple[Part, ...] = (
    TextPart("Let me draw."),
    ToolCallPart("c1", "draw", '{"what": "red"}'),
    ToolCallPart("c2", "draw", "{}"),
    ToolResultPart("c2", "", files=(BLUE,)),
    ToolResultPart("c1", "Two of them.", failed=True, files=(RED, BLUE, GONE)),
    TextPart("There."),
)
#: Of the pictures, what Anthropic is told.
SOURCES: list[Json] = [
    {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "UkVE"}},
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QkxVRQ=="}},
]
URLS = ("data:image/jpeg;base64,UkVE", "data:image/png;base64,QkxVRQ==")


def request(images: dict[str, RequestImage] | None = None) -> Request:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    asked = Message("m1", "c", "user", (TextPart("Draw!"),), at)
    answer = Message("m2", "c", "assistant", PARTS, at, parent="m1")
    again = Message("m3", "c", "user", (TextPart("And?"),), at, parent="m2")
    return Request("m", (asked, answer, again), images=IMAGES if images is None else images)


def sent(body: bytes, name: str) -> list[Json]:
    found: list[Json] = msgspec.json.decode(body)[name]
    return found[1:-1]


def test_anthropic_has_them_in_the_results() -> None:
    said, results, last = sent(messages_body(request(), max_tokens=9), "messages")
    assert [block["type"] for block in said["content"]] == ["text", "tool_use", "tool_use"]
    assert results == {
        "role": "user",
        "content": [
            {
                "type": "tool_result",
                "tool_use_id": "c1",
                "content": [{"type": "text", "text": "Two of them."}, *SOURCES],
                "is_error": True,
            },
            {
                "type": "tool_result",
                "tool_use_id": "c2",
                "content": [SOURCES[1]],
                "cache_control": {"type": "ephemeral"},
            },
        ],
    }
    assert last["content"] == [{"type": "text", "text": "There."}]


def test_responses_have_them_in_the_outputs() -> None:
    red, blue = ({"type": "input_image", "detail": "auto", "image_url": url} for url in URLS)
    assert sent(responses_body(request()), "input")[3:5] == [
        {
            "type": "function_call_output",
            "call_id": "c1",
            "output": [{"type": "input_text", "text": "Two of them."}, red, blue],
        },
        {"type": "function_call_output", "call_id": "c2", "output": [blue]},
    ]


def test_chat_completions_have_them_in_a_message_of_the_user_behind_all_results() -> None:
    said, *results, pictures, last = sent(chat_body(request()), "messages")
    assert len(said["tool_calls"]) == 2
    assert results == [
        {"role": "tool", "tool_call_id": "c1", "content": "Two of them."},
        {"role": "tool", "tool_call_id": "c2", "content": ""},
    ]
    named = [("red.png", URLS[0]), ("blue.png", URLS[1]), ("blue.png", URLS[1])]
    assert pictures == {
        "role": "user",
        "content": [
            one
            for name, url in named
            for one in (
                {"type": "text", "text": f"A tool returned the picture '{name}':"},
                {"type": "image_url", "image_url": {"url": url}},
            )
        ],
    }
    assert last == {"role": "assistant", "content": "There."}


def test_without_pictures_nothing_is_different() -> None:
    bare = request({})
    assert [one["role"] for one in sent(chat_body(bare), "messages")] == ["assistant", "tool", "tool", "assistant"]
    assert sent(responses_body(bare), "input")[3]["output"] == "Two of them."
    blocks = sent(messages_body(bare, max_tokens=9), "messages")[1]["content"]
    assert [block.get("content") for block in blocks] == ["Two of them.", None]
