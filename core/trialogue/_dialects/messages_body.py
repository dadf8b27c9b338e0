"""The body of a request for Anthropic's Messages. Pure; public by way of ``anthropic_dialect``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from trialogue._asking.provider import Request, RequestImage
from trialogue._dialects.call_ids import ids_of_calls
from trialogue._dialects.event_lines import UNREADABLE
from trialogue._dialects.rounds import rounds_of
from trialogue._facts.values import (
    FilePart,
    Message,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    text_of,
)

#: Stands before what is kept as the signature of a thought that came encrypted. No signature holds a colon.
REDACTED: Final = "redacted:"
#: The same of a block that a tool of Anthropic's own was asked or answered with: it follows as JSON.
OWN_TOOL: Final = "block:"
#: Marks the end of what the next request will begin with too, so that it is kept ready and costs a tenth.
_STABLE: Final = {"type": "ephemeral"}
#: Asked of a model that does not take the beginning of its own answer.
GO_ON: Final = (
    "Your answer above was cut off. Go on exactly where it ends, in the middle of a word if need be: repeat nothing, "
    "and do not say that you are going on."
)

#: A longer title of a document is not taken.
_LONGEST_TITLE: Final = 255

#: JSON values.
_Block = dict[str, Any]


def messages_body(
    request: Request, *, max_tokens: int, prefills: bool = False, own: str | None = None, **extra: Any
) -> bytes:
    """The JSON of a streaming request; ``extra`` (any JSON values) is the caller's.

    ``max_tokens`` is how long the answer may be, which has to be said; the settings are not looked into for it. With
    ``prefills`` a prefix is given to the model as the beginning of
    its answer; without, the model is asked to go on. Thoughts are sent back if ``own`` is the full id of the model that
    thought them, and calls under the ids that it gave them. Anthropic knows no seed.
    """
    settings = request.settings
    messages = _messages(request, prefills, own)
    body: _Block = {
        "model": request.model,
        "max_tokens": max_tokens,
        "messages": messages,
        "system": _system(request),
        "tools": _tools(request),
        "tool_choice": _choice(request),
        "output_config": _format(request),
        "stream": True,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "stop_sequences": settings.stop,
        **extra,
    }
    return msgspec.json.encode({name: value for name, value in body.items() if value is not None})


def expected_space(prefix: str) -> str:
    """The space at the end of a prefix. It cannot be sent, and the model begins with it again: see ``MessagesDecoder``."""
    return prefix[len(prefix.rstrip()) :]


def is_own_tool(kind: str) -> bool:
    """Whether a block of this type is of a tool that runs at Anthropic."""
    return kind == "server_tool_use" or (kind.endswith("_tool_result") and kind != "tool_result")


def documents_of(request: Request) -> tuple[str, ...]:
    """The files that stand in a request as documents, in the order in which its answer counts them."""
    parts = [part for message in request.messages if message.role != "system" for part in message.parts]
    return tuple(part.file for part in parts if isinstance(part, FilePart) and part.file in request.documents)


def _system(request: Request) -> list[_Block] | None:
    """The system prompt, and what else speaks as the system: there is one place for it."""
    texts = [request.system or "", *(text_of(one.parts) for one in request.messages if one.role == "system")]
    blocks: list[_Block] = [{"type": "text", "text": text} for text in texts if text.strip()]
    if blocks:
        blocks[-1]["cache_control"] = _STABLE
    return blocks or None


def _tools(request: Request) -> list[_Block] | None:
    """The tools that are offered; or, where calls were made and none is offered any more, those, so that they are known."""
    tools: list[_Block] = [
        {"name": tool.name, "description": tool.description, "input_schema": tool.parameters} for tool in request.tools
    ]
    if not tools:
        calls = [part.name for one in request.messages for part in one.parts if isinstance(part, ToolCallPart)]
        tools = [{"name": name, "input_schema": {"type": "object"}} for name in dict.fromkeys(calls)]
    if tools:
        tools[-1]["cache_control"] = _STABLE
    return tools or None


def _choice(request: Request) -> _Block | None:
    if not request.tools:
        return {"type": "none"} if _tools(request) else None
    return {"none": {"type": "none"}, "required": {"type": "any"}}.get(request.tool_choice)


def _format(request: Request) -> _Block | None:
    wanted = request.answer_schema
    return None if wanted is None else {"format": {"type": "json_schema", "schema": wanted.schema}}


def _messages(request: Request, prefills: bool, own: str | None) -> list[_Block]:
    said: list[_Block] = []
    for message in request.messages:
        if message.role == "assistant":
            said += _answer(message, own, request.images, paused=request.paused and message is request.messages[-1])
        elif message.role != "system" and (content := _content(message, request)):
            said.append({"role": "user", "content": content})
    if request.paused:
        _trim(said)
    _mark([one["content"] for one in said if one["role"] == "user"])
    prefix = request.prefix.rstrip()
    if prefix:
        said.append({"role": "assistant", "content": prefix})
        if not prefills:
            said.append({"role": "user", "content": GO_ON})
    return said


def _trim(said: list[_Block]) -> None:
    """What is sent back to be gone on with must not end in a space."""
    if said and said[-1]["role"] == "assistant" and said[-1]["content"][-1]["type"] == "text":
        said[-1]["content"][-1]["text"] = said[-1]["content"][-1]["text"].rstrip()


def _mark(asked: list[list[_Block]]) -> None:
    """Mark what the next request will begin with too: all up to the question before the last, and the results of calls,
    which another call or the rest of the answer follows.
    """
    if len(asked) > 1:
        asked[-2][-1]["cache_control"] = _STABLE
    if asked and asked[-1][-1]["type"] == "tool_result":
        asked[-1][-1]["cache_control"] = _STABLE


def _answer(message: Message, own: str | None, images: Mapping[str, RequestImage], *, paused: bool) -> list[_Block]:
    """What the model said, and what its calls came to, in turns; what ran at Anthropic only where it is ``paused``."""
    ids = ids_of_calls(message, own)
    thinks = own is not None and message.model == own
    turns: list[_Block] = []
    for said, results in rounds_of(message.parts):
        if content := _said(said, ids, thinks, paused):
            turns.append({"role": "assistant", "content": content})
        if results:
            turns.append({"role": "user", "content": [_result(result, ids, images) for result in results]})
    return turns


def _said(parts: tuple[Part, ...], ids: dict[str, str], thinks: bool, paused: bool) -> list[_Block]:
    """The blocks of an answer: no empty text, which is refused, and no thought at its end."""
    blocks: list[_Block] = []
    for part in parts:
        match part:
            case TextPart(text) if blocks and blocks[-1]["type"] == "text":
                blocks[-1]["text"] += text  # One text, which a citation stands in.
            case TextPart(text) if text:
                blocks.append({"type": "text", "text": text})
            case ReasoningPart(signature=str() as signature) if signature.startswith(OWN_TOOL):
                blocks += _own_tool(signature.removeprefix(OWN_TOOL)) if thinks and paused else []
            case ReasoningPart(signature=str()) if thinks:
                blocks.append(_thought(part))
            case ToolCallPart():
                called = {"id": ids[part.call], "name": part.name, "input": _object(part.arguments)}
                blocks.append({"type": "tool_use", **called})
            case _:
                pass
    blocks = [block for block in blocks if block["type"] != "text" or block["text"].strip()]
    while blocks and blocks[-1]["type"] in ("thinking", "redacted_thinking"):
        blocks.pop()
    return blocks


def _own_tool(kept: str) -> list[_Block]:
    try:
        block = msgspec.json.decode(kept, type=_Block)
    except UNREADABLE:
        return []
    return [block] if isinstance(block.get("type"), str) else []


def _object(arguments: str) -> msgspec.Raw:
    """Arguments as the object they have to be; what was none is empty, and its result says what was wrong with it."""
    try:
        if isinstance(msgspec.json.decode(arguments), dict):
            return msgspec.Raw(arguments.encode())
    except UNREADABLE:
        pass
    return msgspec.Raw(b"{}")


def _result(result: ToolResultPart, ids: dict[str, str], images: Mapping[str, RequestImage]) -> _Block:
    block: _Block = {"type": "tool_result", "tool_use_id": ids[result.call]}
    pictures = [_image(images[file.file]) for file in result.files if file.file in images]
    text = result.text if result.text.strip() else ""
    if pictures:
        block["content"] = [*([{"type": "text", "text": text}] if text else ()), *pictures]
    elif text:
        block["content"] = text
    return {**block, "is_error": True} if result.failed else block


def _image(image: RequestImage) -> _Block:
    return {"type": "image", "source": {"type": "base64", "media_type": image.media_type, "data": image.base64}}


def _content(message: Message, request: Request) -> list[_Block]:
    """The blocks of what somebody else said."""
    blocks: list[_Block] = []
    for part in message.parts:
        match part:
            case TextPart(text) if text.strip():
                blocks.append({"type": "text", "text": text})
            case FilePart(file) if image := request.images.get(file):
                blocks.append(_image(image))
            case FilePart(file) if document := request.documents.get(file):
                source = {"type": "text", "media_type": "text/plain", "data": document.text}
                titled = {"source": source, "title": document.title[:_LONGEST_TITLE]}
                # An answer in a schema has no room for citations, and a request for both is refused.
                blocks.append({"type": "document", **titled, "citations": {"enabled": request.answer_schema is None}})
            case _:
                pass
    return blocks


def _thought(part: ReasoningPart) -> _Block:
    signature = part.signature or ""
    if signature.startswith(REDACTED):
        return {"type": "redacted_thinking", "data": signature.removeprefix(REDACTED)}
    return {"type": "thinking", "thinking": part.text, "signature": signature}


def holds_thoughts(body: bytes) -> bool:
    """Whether a body that ``messages_body`` made sends thoughts back."""
    # Inside a text these quotation marks would be escaped.
    return b'{"type":"thinking",' in body or b'{"type":"redacted_thinking",' in body
