"""Reads a conversation of ChatGPT's export: a ``mapping`` of nodes that make a tree, with ``current_node`` as the leaf.

The format is not published and changes; what is known of it comes from those who read it. Whatever is missing or odd in it
costs no more than the place where it stands: pictures and sounds become words that say what was there, marks of citations
are left out and their sources kept (``marks``), a kind of content that is not known keeps its text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from trialogue import (
    FinishReason,
    Part,
    ReasoningPart,
    Role,
    Status,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from trialogue_server._exchange.marks import sources_of, unmarked
from trialogue_server._exchange.tree import Foreign, Node, sensible_time
from trialogue_server._exchange.values import fields_of, list_of, word_of

SOURCE = "chatgpt"

# Any: what a foreign document holds is looked at before it is used.


class _Node(msgspec.Struct):
    message: Any = None
    parent: Any = None


class _Links(msgspec.Struct):
    children: Any = None


class _Conversation(msgspec.Struct):
    # Decoded node by node, so that a large conversation does not keep the interpreter from everybody else.
    mapping: dict[str, msgspec.Raw]
    title: Any = None
    create_time: Any = None
    update_time: Any = None
    current_node: Any = None
    conversation_id: Any = None
    id: Any = None
    is_archived: Any = None
    is_starred: Any = None


_PLACEHOLDERS = {
    "image_asset_pointer": "Image",
    "audio_asset_pointer": "Audio",
    "video_container_asset_pointer": "Video",
    "real_time_user_audio_video_asset_pointer": "Audio and video",
}
#: Where the pointer stands in a part of a live conversation, which has one for each thing that was recorded.
_WITHIN = ("audio_asset_pointer", "video_container_asset_pointer")
#: Contents that were never shown.
_HIDDEN = frozenset({"user_editable_context", "model_editable_context", "reasoning_recap", "app_pairing_content"})
_REASONS: dict[str, FinishReason] = {"stop": "stop", "max_tokens": "length", "content_filter": "content_filter"}

_decode = msgspec.json.Decoder(_Conversation).decode
_decode_links = msgspec.json.Decoder(_Links).decode
_decode_node = msgspec.json.Decoder(_Node).decode


def read_chatgpt(piece: bytes, place: int, now: datetime) -> Foreign:
    """The conversation in ``piece``. Raises what msgspec does."""
    found = _decode(piece)
    above = {
        child: name
        for name, node in found.mapping.items()
        for child in list_of(_decode_links(node).children)
        if isinstance(child, str)
    }
    name = word_of(found.conversation_id) or word_of(found.id) or next(iter(found.mapping), str(place))
    return Foreign(
        source=SOURCE,
        id=name,
        title=word_of(found.title),
        created_at=sensible_time(found.create_time, now),
        updated_at=sensible_time(found.update_time, now),
        nodes=tuple(_node(name, above.get(name), _decode_node(node), now) for name, node in found.mapping.items()),
        current=word_of(found.current_node),
        archived=found.is_archived is True,
        pinned=found.is_starred is True,
    )


def _node(name: str, above: str | None, node: _Node, now: datetime) -> Node:
    parent = word_of(node.parent) or above
    message = fields_of(node.message)
    author, metadata = fields_of(message.get("author")), fields_of(message.get("metadata"))
    role = author.get("role")
    parts: tuple[Part, ...] = ()
    if role in ("user", "assistant", "tool") and not _is_hidden(message, metadata):
        parts = tuple(_parts(name, parent, message, metadata, role))
    ended = word_of(fields_of(metadata.get("finish_details")).get("type")) or ""
    broken = message.get("status") in ("in_progress", "finished_partial_completion") or ended == "interrupted"
    status: Status = "incomplete" if broken else "completed"
    ours: Role = "user" if role == "user" else "assistant"
    reason = _REASONS.get(ended)
    return Node(
        id=name,
        parent=parent,
        role=ours,
        parts=parts,
        at=sensible_time(message.get("create_time"), now),
        model=word_of(metadata.get("model_slug")) if ours == "assistant" else None,
        status=status if ours == "assistant" else "completed",
        finish_reason=reason if ours == "assistant" and status == "completed" else None,
    )


def _is_hidden(message: dict[str, Any], metadata: dict[str, Any]) -> bool:
    kind = fields_of(message.get("content")).get("content_type")
    return (
        metadata.get("is_visually_hidden_from_conversation") is True
        or metadata.get("is_user_system_message") is True
        or message.get("weight") == 0
        or kind in _HIDDEN
    )


def _parts(
    name: str, parent: str | None, message: dict[str, Any], metadata: dict[str, Any], role: str
) -> Iterator[Part]:
    content = fields_of(message.get("content"))
    recipient = word_of(message.get("recipient")) or "all"
    if role == "tool":
        text = "\n\n".join(filter(None, (_text_of(content), *_drawn(metadata))))
        if text:
            failed = content.get("content_type") == "system_error"
            yield ToolResultPart(parent or name, text, failed, tuple(sources_of(metadata)))
        return
    if role == "assistant" and recipient != "all":
        yield ToolCallPart(name, recipient, _text_of(content))
        return
    if content.get("content_type") == "thoughts":
        yield from _thoughts(content.get("thoughts"))
        return
    text = unmarked(_text_of(content)).rstrip()
    if message.get("channel") == "analysis":
        # What some models think comes as a message of its own.
        yield from (ReasoningPart(text),) if text else ()
        return
    names = [word_of(fields_of(one).get("name")) for one in list_of(metadata.get("attachments"))]
    files = "\n".join(f"[File: {' '.join(one.split())}]" for one in names if one)
    said = "\n\n".join(filter(None, (text, files)))
    if said:
        yield TextPart(said)
        yield from sources_of(metadata)


def _drawn(metadata: dict[str, Any]) -> Iterator[str]:
    """The pictures that a piece of code has drawn: they stand beside what it has put out."""
    for one in list_of(fields_of(metadata.get("aggregate_result")).get("messages")):
        if fields_of(one).get("message_type") == "image":
            name = (word_of(fields_of(one).get("image_url")) or "").rpartition("/")[2]
            yield f"[Image{f': {name}' if name else ''}]"


def _thoughts(thoughts: Any) -> Iterator[Part]:
    for one in list_of(thoughts):
        said = [word_of(fields_of(one).get(key)) for key in ("summary", "content")]
        if any(said):
            yield ReasoningPart("\n\n".join(filter(None, said)))


def _text_of(content: dict[str, Any]) -> str:
    """The text of any kind of content."""
    kind, text = content.get("content_type"), word_of(content.get("text"))
    if kind == "code" and text:
        language = re.sub(r"\W", "", word_of(content.get("language")) or "")
        return text if language in ("", "unknown", "json") else f"```{language}\n{text}\n```"
    if kind in ("tether_quote", "sonic_webpage"):
        quoted = text or word_of(content.get("snippet"))
        return "\n\n".join(filter(None, (word_of(content.get("title")), word_of(content.get("url")), quoted)))
    parts = [_part_text(part) for part in list_of(content.get("parts"))]
    said = [text, *(word_of(content.get(key)) for key in ("result", "summary", "output_str")), *parts]
    return "\n\n".join(filter(None, said))


def _part_text(part: Any) -> str | None:
    if isinstance(part, str):
        return part
    fields = fields_of(part)
    kind = word_of(fields.get("content_type"))
    if kind in _PLACEHOLDERS:
        pointed = [fields, *(fields_of(fields.get(name)) for name in _WITHIN)]
        asset = next((found for one in pointed if (found := word_of(one.get("asset_pointer")))), "").rpartition("/")[2]
        prompt = word_of(fields_of(fields_of(fields.get("metadata")).get("dalle")).get("prompt"))
        about = ", ".join(filter(None, (asset, prompt and f"drawn from: {' '.join(prompt.split())}")))
        return f"[{_PLACEHOLDERS[kind]}{f': {about}' if about else ''}]"
    return word_of(fields.get("text")) or (f"[{kind}]" if kind else None)
