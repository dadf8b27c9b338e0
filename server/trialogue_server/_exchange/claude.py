"""Reads a conversation of Claude's export: ``chat_messages`` in order, each with the id of its parent where there are
branches, and its content in typed blocks where it is newer than a plain ``text``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from trialogue import CitationPart, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from trialogue_server._exchange.text import fenced
from trialogue_server._exchange.tree import Foreign, Node, sensible_time
from trialogue_server._exchange.values import fields_of, list_of, word_of

SOURCE = "claude"

# Any: what a foreign document holds is looked at before it is used.


class _Message(msgspec.Struct):
    uuid: Any = None
    sender: Any = None
    text: Any = None
    content: Any = None
    created_at: Any = None
    parent_message_uuid: Any = None
    attachments: Any = None
    files: Any = None
    stop_reason: Any = None


class _Conversation(msgspec.Struct):
    # Decoded one by one, so that a large conversation does not keep the interpreter from everybody else.
    chat_messages: list[msgspec.Raw]
    uuid: Any = None
    name: Any = None
    created_at: Any = None
    updated_at: Any = None
    current_leaf_message_uuid: Any = None
    model: Any = None
    is_starred: Any = None


#: What stands in ``text`` for each block that has no words.
_NOT_SHOWN = re.compile(r"```\n *This block is not supported on your current device yet\.\n *```\n*")

_decode = msgspec.json.Decoder(_Conversation).decode
_decode_message = msgspec.json.Decoder(_Message).decode


def read_claude(piece: bytes, place: int, now: datetime) -> Foreign:
    """The conversation in ``piece``. Raises what msgspec does."""
    found = _decode(piece)
    messages = [_decode_message(message) for message in found.chat_messages]
    branched = any(word_of(message.parent_message_uuid) for message in messages)
    nodes: list[Node] = []
    for number, message in enumerate(messages):
        name = word_of(message.uuid) or f"message {number}"
        before = nodes[-1].id if nodes else None
        nodes.append(
            Node(
                id=name,
                parent=word_of(message.parent_message_uuid) if branched else before,
                role="user" if message.sender in ("human", "user") else "assistant",
                # What was never said by either, if there is any, only holds the others together.
                parts=() if message.sender == "system" else tuple(_parts(name, message)),
                at=sensible_time(message.created_at, now),
                model=None if message.sender in ("human", "user") else word_of(found.model),
            )
        )
    return Foreign(
        source=SOURCE,
        id=word_of(found.uuid) or (nodes[0].id if nodes else str(place)),
        title=word_of(found.name),
        created_at=sensible_time(found.created_at, now),
        updated_at=sensible_time(found.updated_at, now),
        nodes=tuple(nodes),
        current=word_of(found.current_leaf_message_uuid),
        pinned=found.is_starred is True,
    )


def _parts(name: str, message: _Message) -> Iterator[Part]:
    blocks = [part for block in list_of(message.content) for part in _block(name, fields_of(block))]
    text = _NOT_SHOWN.sub("", word_of(message.text) or "")
    if not any(isinstance(part, TextPart) for part in blocks) and text.strip():
        blocks.append(TextPart(text))
    yield from blocks
    for one in list_of(message.attachments):
        yield from _attachment(fields_of(one))
    for one in list_of(message.files):
        if file := word_of(fields_of(one).get("file_name")):
            yield TextPart(f"\n\n[File: {' '.join(file.split())}]")


def _block(name: str, block: dict[str, Any]) -> Iterator[Part]:
    call = word_of(block.get("id")) or word_of(block.get("tool_use_id")) or name
    match block.get("type"):
        case "text":
            if text := word_of(block.get("text")):
                yield TextPart(text)
                yield from _sources(block.get("citations"))
        case "thinking":
            if thought := word_of(block.get("thinking")) or _summary(block.get("summaries")):
                yield ReasoningPart(thought, word_of(block.get("signature")))
        case "voice_note":
            if spoken := "\n\n".join(filter(None, (word_of(block.get("title")), word_of(block.get("text"))))):
                yield TextPart(spoken)
        case "tool_use":
            arguments = msgspec.json.encode(block.get("input")).decode()
            yield ToolCallPart(call, word_of(block.get("name")) or "tool", arguments)
        case "tool_result":
            call = word_of(block.get("tool_use_id")) or call
            content = block.get("content")
            yield ToolResultPart(call, _result(content), block.get("is_error") is True, tuple(_sources(content)))
        case str() as kind if text := word_of(block.get("text")):
            yield TextPart(text)
            del kind
        case _:
            return


def _summary(summaries: Any) -> str:
    """What is left of a thought whose words are not exported."""
    return "\n\n".join(filter(None, (word_of(fields_of(one).get("summary")) for one in list_of(summaries))))


def _result(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n\n".join(filter(None, (_item(fields_of(one)) for one in list_of(content))))


def _item(item: dict[str, Any]) -> str | None:
    """The words of one item of a result: its text, a page that was found, a picture, a file."""
    kind, title, url = item.get("type"), word_of(item.get("title")), word_of(item.get("url"))
    if kind == "image":
        return "[Image]"
    name = word_of(item.get("file_path")) or word_of(item.get("name")) or word_of(item.get("file_name"))
    return word_of(item.get("text")) or "\n".join(filter(None, (title, url))) or (name and f"[File: {name}]")


def _sources(citations: Any) -> Iterator[CitationPart]:
    for one in list_of(citations)[:50]:
        fields = fields_of(one)
        url = word_of(fields.get("url")) or word_of(fields_of(fields.get("details")).get("url"))
        if url:
            yield CitationPart(url, word_of(fields.get("title")))


def _attachment(one: dict[str, Any]) -> Iterator[Part]:
    file, text = word_of(one.get("file_name")), word_of(one.get("extracted_content"))
    if not file and not text:
        return
    # What was pasted has no name.
    named = f"\n\n[File: {' '.join(file.split())}]" if file else ""
    yield TextPart(f"{named}\n\n{fenced(text)}" if text else named)
