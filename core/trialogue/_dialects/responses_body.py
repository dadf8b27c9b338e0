"""The body of a request for OpenAI's Responses. Pure; public by way of ``openai_dialect``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from trialogue._asking.provider import Request, RequestImage
from trialogue._dialects.call_ids import ids_of_calls
from trialogue._dialects.json_schemas import is_strict
from trialogue._dialects.messages_body import GO_ON
from trialogue._dialects.responses_decoder import SEAL
from trialogue._dialects.rounds import Round, rounds_of
from trialogue._facts.values import (
    AnswerSchema,
    FilePart,
    Message,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    ToolSpec,
)

#: A JSON value.
_Json = dict[str, Any]


def responses_body(request: Request, *, own: str | None = None, kept: bool = False, **extra: Any) -> bytes:
    """The JSON of a streaming request; ``extra`` (any JSON values) is the caller's.

    With ``kept`` the upstream works on it in the background and keeps it; else it keeps nothing. ``own`` is the full id of
    the model that is asked: it gets its thoughts back, and its calls with the ids under which it made them. The Responses
    know neither stop sequences nor a seed, and no model goes on from a prefix there: it is asked to.
    """
    settings = request.settings
    body: _Json = {
        "model": request.model,
        "instructions": request.system,
        "input": _input(request, own),
        "stream": True,
        # Else every event is filled up with noise, which says nothing to those who trust their network.
        "stream_options": {"include_obfuscation": False},
        "store": kept,
        "background": kept or None,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "max_output_tokens": settings.max_tokens,
        "tools": [_tool(tool) for tool in request.tools] or None,
        "tool_choice": request.tool_choice if request.tools and request.tool_choice != "auto" else None,
        "text": _format(request.answer_schema),
        **extra,
    }
    return msgspec.json.encode({name: value for name, value in body.items() if value is not None})


def sends_thoughts(body: bytes) -> bool:
    """Whether a body that ``responses_body`` made sends thoughts back."""
    # Inside a text these quotation marks would be escaped.
    return b'{"type":"reasoning",' in body


def _input(request: Request, own: str | None) -> list[_Json]:
    items: list[_Json] = []
    for message in request.messages:
        if message.role == "assistant":
            ids = ids_of_calls(message, own)
            thinks = own is not None and message.model == own
            items += [item for one in rounds_of(message.parts) for item in _round(one, ids, thinks, request.images)]
        else:
            role = "developer" if message.role == "system" else "user"
            items.append({"role": role, "content": _content(message, request)})
    if request.prefix:
        items += [_text(request.prefix), {"role": "user", "content": GO_ON}]
    return items


def _round(one: Round, ids: dict[str, str], thinks: bool, images: Mapping[str, RequestImage]) -> list[_Json]:
    items: list[_Json] = []
    for part in one.said:
        if isinstance(part, TextPart) and items and items[-1].get("role") == "assistant":
            items[-1]["content"][0]["text"] += part.text  # One text, which something else stands in.
        else:
            items += _said(part, ids, thinks)
    # A thought is taken back only in front of what it led to.
    while items and items[-1].get("type") == "reasoning":
        items.pop()
    return [*items, *(_result(result, ids, images) for result in one.results)]


def _result(result: ToolResultPart, ids: dict[str, str], images: Mapping[str, RequestImage]) -> _Json:
    pictures = [_image(images[file.file]) for file in result.files if file.file in images]
    text = [{"type": "input_text", "text": result.text}] if result.text else []
    output = [*text, *pictures] if pictures else result.text
    return {"type": "function_call_output", "call_id": ids[result.call], "output": output}


def _said(part: Part, ids: dict[str, str], thinks: bool) -> list[_Json]:
    match part:
        case TextPart(text) if text:
            return [_text(text)]
        case ReasoningPart(text, str() as signature) if thinks and SEAL in signature:
            name, _, sealed = signature.partition(SEAL)
            summary = [{"type": "summary_text", "text": text}] if text else []
            return [{"type": "reasoning", "id": name, "summary": summary, "encrypted_content": sealed}]
        case ToolCallPart():
            called = {"call_id": ids[part.call], "name": part.name, "arguments": part.arguments or "{}"}
            return [{"type": "function_call", **called}]
        case _:
            return []


def _text(text: str) -> _Json:
    """What the model said. Not all take it in the short form that what others said has."""
    return {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": text, "annotations": []}],
    }


def _tool(tool: ToolSpec) -> _Json:
    described = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", **described, "strict": is_strict(tool.parameters)}


def _format(wanted: AnswerSchema | None) -> _Json | None:
    if wanted is None:
        return None
    # Where strict mode does not take a schema, it is at least told.
    strict = wanted.strict and is_strict(wanted.schema)
    return {"format": {"type": "json_schema", "name": wanted.name, "schema": wanted.schema, "strict": strict}}


def _content(message: Message, request: Request) -> str | list[_Json]:
    content: list[_Json] = []
    for part in message.parts:
        if isinstance(part, TextPart):
            content.append({"type": "input_text", "text": part.text})
        elif isinstance(part, FilePart) and (image := request.images.get(part.file)):
            content.append(_image(image))
    if all(one["type"] == "input_text" for one in content):
        return "".join(one["text"] for one in content)
    return content


def _image(image: RequestImage) -> _Json:
    return {"type": "input_image", "detail": "auto", "image_url": f"data:{image.media_type};base64,{image.base64}"}
