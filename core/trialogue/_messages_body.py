"""The body of a request for Anthropic's Messages. Pure; public by way of ``anthropic_dialect``."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from trialogue._provider import Request
from trialogue._values import FilePart, Message, ReasoningPart, TextPart, text_of

#: Stands before what is kept as the signature of a thought that came encrypted. No signature holds a colon.
REDACTED: Final = "redacted:"
#: Marks the end of what the next request will begin with too, so that it is kept ready and costs a tenth.
_STABLE: Final = {"type": "ephemeral"}
#: Asked of a model that does not take the beginning of its own answer.
GO_ON: Final = (
    "Your answer above was cut off. Go on exactly where it ends, in the middle of a word if need be: repeat nothing, "
    "and do not say that you are going on."
)

#: JSON values.
_Block = dict[str, Any]


def messages_body(
    request: Request, *, max_tokens: int, prefills: bool = False, own: str | None = None, **extra: Any
) -> bytes:
    """The JSON of a streaming request; ``extra`` (any JSON values) is the caller's.

    ``max_tokens`` is how long the answer may be, which has to be said; the settings are not looked into for it. With
    ``prefills`` a prefix is given to the model as the beginning of
    its answer; without, the model is asked to go on. Thoughts are sent back if ``own`` is the full id of the model that
    thought them. Anthropic knows no seed.
    """
    settings = request.settings
    body: _Block = {
        "model": request.model,
        "max_tokens": max_tokens,
        "messages": _messages(request, prefills, own),
        "system": _system(request),
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


def _system(request: Request) -> list[_Block] | None:
    """The system prompt, and what else speaks as the system: there is one place for it."""
    texts = [request.system or "", *(text_of(one.parts) for one in request.messages if one.role == "system")]
    blocks: list[_Block] = [{"type": "text", "text": text} for text in texts if text.strip()]
    if blocks:
        blocks[-1]["cache_control"] = _STABLE
    return blocks or None


def _messages(request: Request, prefills: bool, own: str | None) -> list[_Block]:
    said: list[_Block] = []
    for message in request.messages:
        if message.role != "system" and (content := _content(message, request, own)):
            said.append({"role": "assistant" if message.role == "assistant" else "user", "content": content})
    asked = [one for one in said if one["role"] == "user"]
    if len(asked) > 1:
        asked[-2]["content"][-1]["cache_control"] = _STABLE
    prefix = request.prefix.rstrip()
    if prefix:
        said.append({"role": "assistant", "content": prefix})
        if not prefills:
            said.append({"role": "user", "content": GO_ON})
    return said


def _content(message: Message, request: Request, own: str | None) -> list[_Block]:
    """The blocks of a message: no empty text, which is refused, and no thought at the end of an answer."""
    blocks: list[_Block] = []
    for part in message.parts:
        match part:
            case TextPart(text) if text.strip():
                blocks.append({"type": "text", "text": text})
            case FilePart(file) if image := request.images.get(file):
                source = {"type": "base64", "media_type": image.media_type, "data": image.base64}
                blocks.append({"type": "image", "source": source})
            case ReasoningPart(signature=str()) if own is not None and message.model == own:
                blocks.append(_thought(part))
            case _:
                pass
    while blocks and blocks[-1]["type"] in ("thinking", "redacted_thinking"):
        blocks.pop()
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
