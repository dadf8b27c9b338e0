"""The body of a request for OpenAI's Chat Completions. Pure; public by way of ``openai_dialect``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from trialogue._asking.provider import Request, RequestImage
from trialogue._dialects.call_ids import ids_of_calls
from trialogue._dialects.json_schemas import is_strict
from trialogue._dialects.rounds import Round, rounds_of
from trialogue._facts.values import AnswerSchema, FilePart, Message, TextPart, ToolCallPart, ToolSpec, text_of

#: Stands before the name of a picture that a tool returned.
FROM_A_TOOL = "A tool returned the picture"

#: A JSON value.
_Json = dict[str, Any]


def chat_body(request: Request, *, limit_name: str = "max_tokens", own: str | None = None, **extra: Any) -> bytes:
    """The JSON of a streaming request; ``extra`` (any JSON values) is the caller's, and ``limit_name`` the upstream's.

    A prefix becomes a last message of the assistant, which upstreams that can continue take as the answer's beginning.
    ``own`` is the full id of the model that is asked: its calls get the ids back under which it made them.
    """
    settings = request.settings
    body: _Json = {
        "model": request.model,
        "messages": _messages(request, own),
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        limit_name: settings.max_tokens,
        "stop": settings.stop,
        "seed": settings.seed,
        "tools": [{"type": "function", "function": _function(tool)} for tool in request.tools] or None,
        "tool_choice": request.tool_choice if request.tools and request.tool_choice != "auto" else None,
        "response_format": _format(request.answer_schema),
        **extra,
    }
    return msgspec.json.encode({name: value for name, value in body.items() if value is not None})


def _messages(request: Request, own: str | None) -> list[_Json]:
    messages: list[_Json] = []
    if request.system:
        messages.append({"role": "system", "content": request.system})
    for message in request.messages:
        if message.role == "assistant":
            messages += _answer(message, own, request.images)
        else:
            role = "system" if message.role == "system" else "user"
            messages.append({"role": role, "content": _content(message, request)})
    if request.prefix:
        messages.append({"role": "assistant", "content": request.prefix})
    return messages


def _answer(message: Message, own: str | None, images: Mapping[str, RequestImage]) -> list[_Json]:
    """What the model said, and what its calls came to, in turns."""
    ids = ids_of_calls(message, own)
    return [said for one in rounds_of(message.parts) for said in _round(one, ids, images)]


def _round(one: Round, ids: dict[str, str], images: Mapping[str, RequestImage]) -> list[_Json]:
    text = text_of(one.said)
    calls = [_call(part, ids) for part in one.said if isinstance(part, ToolCallPart)]
    if not calls:
        return [{"role": "assistant", "content": text}] if text else []
    results = [{"role": "tool", "tool_call_id": ids[one.call], "content": one.text} for one in one.results]
    return [{"role": "assistant", "content": text or None, "tool_calls": calls}, *results, *_pictures(one, images)]


def _pictures(one: Round, images: Mapping[str, RequestImage]) -> list[_Json]:
    """What tools returned besides text: their messages have no place for pictures, so that it follows as a user's."""
    content: list[_Json] = []
    for file in (file for result in one.results for file in result.files):
        if image := images.get(file.file):
            content += [{"type": "text", "text": f"{FROM_A_TOOL} {file.name!r}:"}, _image(image)]
    return [{"role": "user", "content": content}] if content else []


def _call(part: ToolCallPart, ids: dict[str, str]) -> _Json:
    function = {"name": part.name, "arguments": part.arguments or "{}"}
    return {"id": ids[part.call], "type": "function", "function": function}


def _function(tool: ToolSpec) -> _Json:
    described = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {**described, "strict": True} if is_strict(tool.parameters) else described


def _format(wanted: AnswerSchema | None) -> _Json | None:
    if wanted is None:
        return None
    # Where strict mode does not take a schema, it is at least told.
    strict = wanted.strict and is_strict(wanted.schema)
    return {"type": "json_schema", "json_schema": {"name": wanted.name, "schema": wanted.schema, "strict": strict}}


def _content(message: Message, request: Request) -> str | list[_Json]:
    """Text alone where there is nothing else, as every upstream takes it; with pictures a list, in the message's order."""
    if not any(isinstance(part, FilePart) and part.file in request.images for part in message.parts):
        return text_of(message.parts)
    content: list[_Json] = []
    for part in message.parts:
        if isinstance(part, TextPart):
            content.append({"type": "text", "text": part.text})
        elif isinstance(part, FilePart) and (image := request.images.get(part.file)):
            content.append(_image(image))
    return content


def _image(image: RequestImage) -> _Json:
    return {"type": "image_url", "image_url": {"url": f"data:{image.media_type};base64,{image.base64}"}}
