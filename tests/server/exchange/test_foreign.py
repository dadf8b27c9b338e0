"""Others' exports: the shapes they really have, and shapes that nobody should have sent."""

from __future__ import annotations

import contextlib
import io
import json
import tracemalloc
import zipfile
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trialogue import (
    Beginning,
    CitationPart,
    InvalidError,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    is_id,
    text_of,
)
from trialogue._deciding.history import prepare
from trialogue_server._exchange import pieces
from trialogue_server._exchange.chatgpt import read_chatgpt
from trialogue_server._exchange.claude import read_claude
from trialogue_server._exchange.pieces import Bounds, Found, pieces_of
from trialogue_server._exchange.tree import Node, beginning_of, derived_id, parents_first, sensible_time

NOW = datetime(2026, 6, 1, tzinfo=UTC)
EAST = timezone(timedelta(hours=14))
BOUNDS = Bounds(1_000_000, 10_000_000)


def node(name: str, parent: str | None, role: str, *said: Any, **more: Any) -> dict[str, Any]:
    """A node of ChatGPT's mapping, as it is exported."""
    content = more.pop("content", {"content_type": "text", "parts": list(said)})
    message = {
        "id": name,
        "author": {"role": role, "name": None, "metadata": {}},
        "create_time": 1_700_000_000.5,
        "update_time": None,
        "content": content,
        "status": "finished_successfully",
        "end_turn": True,
        "weight": 1.0,
        "metadata": {},
        "recipient": "all",
        **more,
    }
    return {"id": name, "message": message, "parent": parent, "children": []}


def chat(*nodes: dict[str, Any], **more: Any) -> dict[str, Any]:
    root: dict[str, Any] = {"id": "root", "message": None, "parent": None, "children": []}
    return {
        "title": "Tea",
        "create_time": 1_700_000_000.0,
        "update_time": 1_700_000_900.0,
        "mapping": {one["id"]: one for one in (root, *nodes)},
        "current_node": nodes[-1]["id"] if nodes else "root",
        "conversation_id": "conversation-1",
        "is_archived": False,
        **more,
    }


def taken(value: dict[str, Any], owner: str = "ann") -> Beginning:
    """A ChatGPT conversation as it begins here, checked as a whole."""
    beginning = beginning_of(read_chatgpt(json.dumps(value).encode(), 0, NOW), owner, NOW)
    prepare(beginning)
    return beginning


def said(beginning: Beginning) -> list[tuple[str, str]]:
    return [(message.role, text_of(message.parts)) for message in beginning.messages]


# --- ChatGPT -----------------------------------------------------------------------------------------------------


def test_chatgpt_tree_with_its_branches() -> None:
    beginning = taken(
        chat(
            node("s", "root", "system", "", weight=0.0),
            node("u", "s", "user", "Hi"),
            node("a1", "u", "assistant", "Hello", metadata={"model_slug": "gpt-4o"}),
            node("a2", "u", "assistant", "Good day"),
            current_node="a1",
        )
    )
    user, first, second = beginning.messages
    assert said(beginning) == [("user", "Hi"), ("assistant", "Hello"), ("assistant", "Good day")]
    assert (user.parent, first.parent, second.parent) == (None, user.id, user.id)
    assert beginning.header.head == first.id
    assert (first.model, user.model) == ("gpt-4o", None)
    assert beginning.header.title == "Tea"
    assert beginning.header.created_at == datetime.fromtimestamp(1_700_000_000, UTC)
    assert beginning.header.updated_at == datetime.fromtimestamp(1_700_000_900, UTC)
    assert all(is_id(message.id) for message in beginning.messages)


def parts_of(*nodes: dict[str, Any]) -> list[Any]:
    return [part for message in taken(chat(*nodes)).messages for part in message.parts]


def test_chatgpt_kinds_of_content() -> None:
    code = {"content_type": "code", "language": "python", "text": "print(1)"}
    assert parts_of(node("a", "root", "assistant", content=code)) == [TextPart("```python\nprint(1)\n```")]
    called = {"content_type": "code", "language": "unknown", "text": "print(1)"}
    assert parts_of(
        node("a", "root", "assistant", content=called, recipient="python"),
        node("t", "a", "tool", content={"content_type": "execution_output", "text": "1"}),
    ) == [ToolCallPart("a", "python", "print(1)"), ToolResultPart("a", "1")]
    thoughts = {"content_type": "thoughts", "thoughts": [{"summary": "Why", "content": "Because"}]}
    assert parts_of(node("a", "root", "assistant", content=thoughts)) == [ReasoningPart("Why\n\nBecause")]
    error = {"content_type": "system_error", "name": "Timeout", "text": "too slow"}
    assert parts_of(node("t", "root", "tool", content=error)) == [ToolResultPart("root", "too slow", True)]
    quote = {"content_type": "tether_quote", "url": "https://example.org", "title": "T", "text": "words"}
    assert parts_of(node("t", "root", "tool", content=quote)) == [
        ToolResultPart("root", "T\n\nhttps://example.org\n\nwords")
    ]
    assert parts_of(node("a", "root", "assistant", content={"content_type": "new", "text": "kept"})) == [
        TextPart("kept")
    ]


def test_chatgpt_pictures_and_files_become_words() -> None:
    picture = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://file-abc", "width": 1}
    sound = {"content_type": "audio_transcription", "text": "spoken"}
    content = {"content_type": "multimodal_text", "parts": [picture, "What is this?", sound, {"content_type": "x"}]}
    attached = {"attachments": [{"name": "a\nb.pdf", "id": "f"}]}
    (part,) = parts_of(node("u", "root", "user", content=content, metadata=attached))
    assert part.text == "[Image: file-abc]\n\nWhat is this?\n\nspoken\n\n[x]\n\n[File: a b.pdf]"


def test_chatgpt_marks_of_citations_go_and_their_sources_stay() -> None:
    text = "Tea is old\ue200cite\ue202turn0search0\ue201 and good\u301012\u2020source\u3011."
    metadata = {"citations": [{"metadata": {"url": "https://example.org/tea", "title": "On tea"}}]}
    assert parts_of(node("a", "root", "assistant", text, metadata=metadata)) == [
        TextPart("Tea is old and good."),
        CitationPart("https://example.org/tea", "On tea"),
    ]


def test_chatgpt_names_and_links_in_marks_stay_as_words() -> None:
    text = (
        'Met \ue200entity\ue202["people","Ada \\"L\\"","poet"]\ue201 at '
        "\ue200url\ue202the fair\ue202https://example.org\ue201, "
        "\ue200entity\ue202Bob\ue201 too\ue200image_group\ue202{}\ue201.\ue200cite\ue202turn0"
    )
    (part,) = parts_of(node("a", "root", "assistant", text))
    assert part.text == 'Met Ada "L" at [the fair](https://example.org), Bob too.citeturn0'


def test_chatgpt_sources_of_a_search_are_kept() -> None:
    entry = {"url": "https://example.org/tea", "title": "On tea"}
    metadata = {
        "search_result_groups": [{"entries": [entry, entry, 5]}, None],
        "content_references": [{"items": [entry]}],
    }
    found = {"content_type": "text", "parts": ["found"]}
    assert parts_of(node("t", "root", "tool", content=found, metadata=metadata)) == [
        ToolResultPart("root", "found", False, (CitationPart("https://example.org/tea", "On tea"),))
    ]


def test_chatgpt_canvas_voice_and_drawings_are_kept() -> None:
    canvas = {"content_type": "code", "language": "json", "text": '{"name":"poem","type":"document","content":"Owl"}'}
    assert parts_of(node("a", "root", "assistant", content=canvas, recipient="canmore.create_textdoc")) == [
        ToolCallPart("a", "canmore.create_textdoc", canvas["text"])
    ]
    live: dict[str, Any] = {
        "content_type": "real_time_user_audio_video_asset_pointer",
        "frames_asset_pointers": [],
        "video_container_asset_pointer": None,
        "audio_asset_pointer": {"content_type": "audio_asset_pointer", "asset_pointer": "sediment://file_9"},
    }
    spoken = {"content_type": "audio_transcription", "text": "Good morning", "direction": "in"}
    voice = {"content_type": "multimodal_text", "parts": [spoken, live]}
    assert parts_of(node("u", "root", "user", content=voice)) == [TextPart("Good morning\n\n[Audio and video: file_9]")]
    drawn = {
        "content_type": "image_asset_pointer",
        "asset_pointer": "file-service://f",
        "metadata": {"dalle": {"prompt": "an owl"}},
    }
    picture = {"content_type": "multimodal_text", "parts": [drawn]}
    assert parts_of(node("t", "root", "tool", content=picture)) == [
        ToolResultPart("root", "[Image: f, drawn from: an owl]")
    ]


def test_chatgpt_thoughts_and_outputs_of_newer_models() -> None:
    assert parts_of(node("a", "root", "assistant", "We need to look.", channel="analysis")) == [
        ReasoningPart("We need to look.")
    ]
    assert parts_of(node("a", "root", "assistant", "Here.", channel="final")) == [TextPart("Here.")]
    output = {"content_type": "citable_code_output", "output_str": "42"}
    assert parts_of(node("t", "root", "tool", content=output)) == [ToolResultPart("root", "42")]
    page = {"content_type": "sonic_webpage", "url": "https://example.org", "title": "T", "snippet": "words"}
    assert parts_of(node("t", "root", "tool", content=page)) == [
        ToolResultPart("root", "T\n\nhttps://example.org\n\nwords")
    ]


def test_chatgpt_parents_are_told_by_children_as_well() -> None:
    above, below = node("u", "root", "user", "Hi"), node("a", "", "assistant", "Hello")
    above["children"], below["parent"] = ["a", 5], None
    beginning = taken(chat(above, below, is_starred=True))
    assert beginning.messages[1].parent == beginning.messages[0].id
    assert beginning.header.pinned


def test_chatgpt_hidden_nodes_hold_the_tree_together() -> None:
    hidden = {"is_visually_hidden_from_conversation": True}
    beginning = taken(
        chat(
            node("u", "root", "user", "Hi"),
            node("h", "u", "system", "secret", metadata=hidden),
            node("c", "h", "user", content={"content_type": "user_editable_context", "user_profile": "me"}),
            node("a", "c", "assistant", "Hello"),
            current_node="h",
        )
    )
    assert said(beginning) == [("user", "Hi"), ("assistant", "Hello")]
    assert beginning.messages[1].parent == beginning.messages[0].id
    assert beginning.header.head == beginning.messages[0].id


def test_chatgpt_pictures_that_code_has_drawn_are_told_of() -> None:
    drawn = [{"message_type": "image", "image_url": "file-service://file-7"}, {"message_type": "timing"}, None]
    output = {"content_type": "execution_output", "text": "done"}
    tool = node("t", "root", "tool", content=output, metadata={"aggregate_result": {"messages": drawn}})
    assert parts_of(tool) == [ToolResultPart("root", "done\n\n[Image: file-7]")]
    tool["message"]["metadata"]["aggregate_result"] = {"messages": "none"}
    assert parts_of(tool) == [ToolResultPart("root", "done")]


def test_chatgpt_answer_that_was_stopped_is_marked() -> None:
    stopped = node("a", "root", "assistant", "Hel", metadata={"finish_details": {"type": "interrupted"}})
    (message,) = taken(chat(stopped)).messages
    assert (message.status, message.finish_reason) == ("incomplete", None)


def test_chatgpt_unfinished_answer_is_marked() -> None:
    (message,) = taken(chat(node("a", "root", "assistant", "Hel", status="in_progress"))).messages
    assert message.status == "incomplete"


# --- Claude ------------------------------------------------------------------------------------------------------


def claude(*messages: dict[str, Any], **more: Any) -> Beginning:
    value = {
        "uuid": "c-1",
        "name": "Tea",
        "created_at": "2025-01-02T03:04:05.678901Z",
        "updated_at": "2025-01-03T00:00:00+00:00",
        "account": {"uuid": "x"},
        "chat_messages": messages,
        **more,
    }
    beginning = beginning_of(read_claude(json.dumps(value).encode(), 0, NOW), "ann", NOW)
    prepare(beginning)
    return beginning


def turn(name: str, sender: str, text: str, parent: str | None = None, **more: Any) -> dict[str, Any]:
    message = {"uuid": name, "sender": sender, "text": text, "created_at": "2025-01-02T03:04:05Z", "attachments": []}
    return {**message, **({"parent_message_uuid": parent} if parent else {}), **more}


ROOT = "00000000-0000-4000-8000-000000000000"


def test_claude_in_a_row() -> None:
    beginning = claude(turn("1", "human", "Hi"), turn("2", "assistant", "Hello"))
    assert said(beginning) == [("user", "Hi"), ("assistant", "Hello")]
    assert beginning.messages[1].parent == beginning.messages[0].id
    assert beginning.header.created_at.microsecond == 678901


def test_claude_what_neither_said_holds_the_others_together() -> None:
    beginning = claude(turn("1", "human", "Hi"), turn("2", "system", "secret"), turn("3", "assistant", "Hello"))
    assert said(beginning) == [("user", "Hi"), ("assistant", "Hello")]
    assert beginning.messages[1].parent == beginning.messages[0].id


def test_claude_with_branches() -> None:
    beginning = claude(
        turn("1", "human", "Hi", ROOT),
        turn("2", "assistant", "Hello", "1"),
        turn("3", "human", "Hey", ROOT),
        current_leaf_message_uuid="2",
    )
    assert [message.parent for message in beginning.messages] == [None, beginning.messages[0].id, None]
    assert beginning.header.head == beginning.messages[1].id


def test_claude_blocks_and_attachments() -> None:
    blocks = [
        {"type": "thinking", "thinking": "hm"},
        {"type": "text", "text": "See", "citations": [{"url": "https://example.org", "title": "E"}]},
        {"type": "tool_use", "id": "t1", "name": "look", "input": {"a": 1}},
        {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "found"}], "is_error": False},
        {"type": "token_budget"},
    ]
    attached = [{"file_name": "a.txt", "file_size": 3, "extracted_content": "a ``` b"}]
    (message,) = claude(turn("1", "assistant", "See", content=blocks, attachments=attached)).messages
    assert message.parts == (
        ReasoningPart("hm"),
        TextPart("See"),
        CitationPart("https://example.org", "E"),
        ToolCallPart("t1", "look", '{"a":1}'),
        ToolResultPart("t1", "found"),
        TextPart("\n\n[File: a.txt]\n\n````\na ``` b\n````"),
    )


def test_claude_what_newer_exports_hold() -> None:
    gone = "```\nThis block is not supported on your current device yet.\n```\n\n"
    page = {"type": "knowledge", "title": "On tea", "url": "https://example.org/tea", "metadata": {"type": "webpage"}}
    blocks = [
        {"type": "thinking", "thinking": "", "summaries": [{"summary": "Looked at it."}, {"summary": "Then again."}]},
        {"type": "tool_use", "id": "t1", "name": "web_search", "input": {"query": "tea"}},
        {
            "type": "tool_result",
            "tool_use_id": "t1",
            "content": [page, {"type": "image"}, {"type": "file", "name": "a.md"}],
        },
        {"type": "flag", "flag": "x"},
    ]
    beginning = claude(
        turn("0", "human", "", content=[{"type": "voice_note", "title": "Note", "text": "spoken"}]),
        turn(
            "1",
            "assistant",
            gone * 3,
            content=blocks,
            attachments=[{}, {"file_name": "", "extracted_content": "pasted"}],
        ),
        turn("2", "assistant", f"Before\n{gone}After"),
        is_starred=True,
    )
    first, second, third = beginning.messages
    assert beginning.header.pinned
    assert first.parts == (TextPart("Note\n\nspoken"),)
    assert second.parts == (
        ReasoningPart("Looked at it.\n\nThen again."),
        ToolCallPart("t1", "web_search", '{"query":"tea"}'),
        ToolResultPart(
            "t1",
            "On tea\nhttps://example.org/tea\n\n[Image]\n\n[File: a.md]",
            False,
            (CitationPart("https://example.org/tea", "On tea"),),
        ),
        TextPart("\n\n```\npasted\n```"),
    )
    assert third.parts == (TextPart("Before\nAfter"),)


# --- trees and times ---------------------------------------------------------------------------------------------


def test_ids_are_the_owners_and_the_same_each_time() -> None:
    value = chat(node("u", "root", "user", "Hi"))
    assert taken(value) == taken(value)
    mine, yours = taken(value, "ann"), taken(value, "bob")
    assert mine.header.id != yours.header.id
    assert mine.messages[0].id != yours.messages[0].id
    assert derived_id("a", "bc") != derived_id("ab", "c")


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.none() | st.integers(0, 12)), max_size=14))
def test_any_graph_becomes_a_tree(edges: list[tuple[int, int | None]]) -> None:
    nodes = [
        Node(str(name), None if parent is None else str(parent), "user", (TextPart("x"),)) for name, parent in edges
    ]
    ordered = list(parents_first(nodes))
    assert sorted(one.id for one in ordered) == sorted({one.id for one in nodes})
    value = chat(*(node(one.id, one.parent, "user", "x") for one in nodes))
    beginning = taken(value)
    assert len(beginning.messages) == len({one.id for one in nodes})


def test_long_chain_and_ring_do_not_recurse() -> None:
    chain = [node(str(n), str(n + 1), "user", "x") for n in range(3_000)]
    assert len(taken(chat(*chain)).messages) == 3_000
    ring = [node(str(n), str((n + 1) % 3_000), "user", "x") for n in range(3_000)]
    beginning = taken(chat(*ring))
    assert sum(message.parent is None for message in beginning.messages) == 1


@pytest.mark.parametrize("value", [-1, 1e300, 10**30, True, None, "x", "", "9999-12-31T23:59:59Z", [], {}])
def test_absurd_times_are_not_believed(value: Any) -> None:
    assert sensible_time(value, NOW) is None
    text = json.dumps(chat(node("u", "root", "user", "Hi", create_time=value), create_time=value, update_time=value))
    beginning = beginning_of(read_chatgpt(text.encode(), 0, NOW), "ann", NOW)
    assert beginning.header.created_at == beginning.messages[0].created_at == NOW


def test_time_without_an_offset_is_taken_for_utc() -> None:
    assert sensible_time("2025-01-02T03:04:05", NOW) == datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("absurd", [datetime(9999, 12, 31, tzinfo=EAST), datetime(1, 1, 1, tzinfo=EAST)])
def test_moment_that_no_clock_has_shown_is_not_believed(absurd: datetime) -> None:
    assert sensible_time(absurd, NOW) is None
    assert sensible_time(NOW.astimezone(EAST), NOW) == NOW


# --- uploads -----------------------------------------------------------------------------------------------------


def looked(tmp_path: Path, data: bytes, bounds: Bounds = BOUNDS) -> list[Found]:
    path = tmp_path / "upload"
    path.write_bytes(data)
    return [one for one in pieces_of(path, "ann", NOW, bounds) if isinstance(one, Found)]


def packed(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


CHAT = chat(node("u", "root", "user", "Hi"))
CLAUDE: dict[str, Any] = {"uuid": "c", "name": "C", "chat_messages": [turn("1", "human", "Hi")]}


def test_source_is_told_by_shape(tmp_path: Path) -> None:
    assert [one.source for one in looked(tmp_path, json.dumps([CHAT, CLAUDE]).encode())] == ["chatgpt", "claude"]
    assert [one.source for one in looked(tmp_path, json.dumps(CHAT).encode())] == ["chatgpt"]
    assert [one.source for one in looked(tmp_path, json.dumps({"conversations": [CLAUDE]}).encode())] == ["claude"]


def test_malformed_pieces_are_told_and_the_rest_goes_in(tmp_path: Path) -> None:
    odd: list[Any] = [17, None, "text", [], {}, {"mapping": 3}, {"mapping": {"a": 1}}, {"chat_messages": "x"}]
    data = json.dumps([CHAT, *odd, CLAUDE]).encode()
    found = looked(tmp_path, data)
    assert [one.beginning is not None for one in found] == [True, *(False for _ in odd), True]
    assert all(one.detail for one in found[1:-1])
    broken = (
        b'[{"mapping":{},"title":"\xff"},{"mapping":{},"title":"\\ud800"},{bad},' + json.dumps(CHAT).encode() + b"]"
    )
    assert [one.beginning is not None for one in looked(tmp_path, broken)] == [False, False, False, True]


def test_zip_is_searched_for_conversations(tmp_path: Path) -> None:
    members = {
        "chat.html": b"<html>[{}]",
        "user.json": b'{"id": "user-1"}',
        "message_feedback.json": b'[{"id": 1}, {"id": 2}]',
        "broken.json": b'[{"id": 1',
        "deep/whatever.txt": json.dumps([CHAT]).encode(),
        "conversations-001.json": json.dumps([CLAUDE]).encode(),
        "file-abc.png": b"\x89PNG" + bytes(2_000),
    }
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED):
        assert [one.source for one in looked(tmp_path, packed(members, method))] == ["chatgpt", "claude"]


def test_zip_without_conversations_is_refused(tmp_path: Path) -> None:
    for members in ({}, {"a.json": b"{}"}, {"a.png": b"png"}):
        with pytest.raises(InvalidError, match="no conversation"):
            looked(tmp_path, packed(members))


def test_bomb_is_not_unpacked(tmp_path: Path) -> None:
    bomb = packed({"conversations.json": b"[" + b'"' + b"x" * 20_000_000 + b'"]'})
    assert len(bomb) < 100_000
    with pytest.raises(InvalidError, match="import_max_unpacked_bytes"):
        looked(tmp_path, bomb)
    many = packed({f"{number}.json": b"[" + b" " * 3_000_000 + b"]" for number in range(5)})
    with pytest.raises(InvalidError, match="import_max_unpacked_bytes"):
        looked(tmp_path, many)


def peak_of(tmp_path: Path, data: bytes) -> int:
    """The most memory that looking at it takes, in bytes."""
    tracemalloc.start()
    with contextlib.suppress(InvalidError):
        looked(tmp_path, data, Bounds(8_000_000, 64_000_000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def test_index_of_files_is_not_held(tmp_path: Path) -> None:
    entry = b'{"id":"%b","name":"","media_type":"","size":0,"sha256":"","created_at":"2025-01-01T00:00:00Z"}' % (
        b"x" * 9_000
    )
    bomb = packed({"files.json": b"[" + entry + (b"," + entry) * 3_000 + b"]"})
    assert peak_of(tmp_path, bomb) < 4_000_000


@pytest.mark.parametrize(
    ("before", "one", "end"), [(b'{"chat_messages":[', b"{}", b"]}"), (b'{"mapping":{', b'"a":{}', b"}}")]
)
def test_conversation_of_very_many_messages_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bytes, one: bytes, end: bytes
) -> None:
    monkeypatch.setattr(pieces, "MOST_MESSAGES", 20_000)
    whole = before + b",".join([one] * 20_001) + end
    (found,) = looked(tmp_path, whole, Bounds(8_000_000, 64_000_000))
    assert "more than 20000 messages" in found.detail
    assert peak_of(tmp_path, whole) < 8 * len(whole)


def test_what_holds_conversations_is_taken_apart_one_by_one(tmp_path: Path) -> None:
    data = b'{"conversations":[' + b"1," * 40_000 + json.dumps(CLAUDE).encode() + b"]}"
    assert peak_of(tmp_path, data) < 12 * len(data)


def test_damaged_zip_is_refused(tmp_path: Path) -> None:
    whole = packed({"conversations.json": json.dumps([CHAT] * 50).encode()})
    for cut in (5, len(whole) // 2, len(whole) - 1):
        with pytest.raises(InvalidError):
            looked(tmp_path, whole[:cut])
    for place in range(30, len(whole) - 22, 7):
        damaged = whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]
        try:
            looked(tmp_path, damaged)
        except InvalidError:
            continue
    with pytest.raises(InvalidError):
        looked(tmp_path, packed({"a.json": json.dumps([CHAT]).encode()}, zipfile.ZIP_LZMA))


def test_zip_with_names_that_are_no_text_is_refused(tmp_path: Path) -> None:
    data = bytearray(packed({"ä.json": json.dumps([CHAT]).encode()}))
    at = data.rfind("ä".encode())
    data[at : at + 2] = b"\xff\xff"
    with pytest.raises(InvalidError, match="damaged"):
        looked(tmp_path, bytes(data))


def test_locked_zip_is_told(tmp_path: Path) -> None:
    data = bytearray(packed({"conversations.json": json.dumps([CHAT]).encode()}))
    at = data.find(b"PK\x01\x02")
    data[6] |= 1
    data[at + 8] |= 1
    with pytest.raises(InvalidError, match="password"):
        looked(tmp_path, bytes(data))


def test_zip_with_too_many_names_is_refused(tmp_path: Path) -> None:
    data = bytearray(packed({"conversations.json": b"[]"}))
    at = data.rfind(b"PK\x05\x06")
    data[at + 10 : at + 12] = b"\xff\xff"
    with pytest.raises(InvalidError, match="more than"):
        looked(tmp_path, bytes(data))


def test_large_conversation_is_passed_over(tmp_path: Path) -> None:
    large = chat(node("u", "root", "user", "x" * 5_000))
    found = looked(tmp_path, json.dumps([large, CHAT]).encode(), Bounds(4_000, 10_000_000))
    assert [one.beginning is not None for one in found] == [False, True]
    assert "import_conversation_bytes" in found[0].detail


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_any_json_of_a_known_shape_is_read_or_told(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    leaf = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
    names = st.sampled_from(
        ["message", "parent", "content", "parts", "content_type", "author", "role", "metadata", "citations", "text",
         "attachments", "thoughts", "recipient", "sender", "type", "input", "create_time", "uuid", "status"]
    )  # fmt: skip
    value = st.recursive(leaf, lambda v: st.lists(v, max_size=3) | st.dictionaries(names, v, max_size=4), max_leaves=15)
    one = data.draw(
        st.fixed_dictionaries({"mapping": st.dictionaries(st.text(max_size=2), value, max_size=4)})
        | st.fixed_dictionaries({"chat_messages": st.lists(value, max_size=4)})
    )
    text = json.dumps([one]).encode()
    (found,) = looked(tmp_path_factory.getbasetemp(), text)
    if found.beginning is not None:
        prepare(found.beginning)
    else:
        assert found.detail
