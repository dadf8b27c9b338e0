"""How many tokens texts, messages and requests take, where no tokenizer is at hand: on the careful side. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec

from trialogue._asking.provider import Request, RequestDocument
from trialogue._facts.values import FilePart, Message, Part, TextPart, ToolCallPart, ToolResultPart, ToolSpec

#: Code points per token, on the careful side for English and code; other scripts have fewer.
CODE_POINTS_PER_TOKEN = 3
#: Tokens a message costs besides its text.
OVERHEAD = 6
#: Tokens of a picture no larger than a preview, by the upstreams that count them high.
IMAGE_TOKENS = 1_600


def estimate_tokens(text: str) -> int:
    """A careful estimate of how many tokens a text takes, where no tokenizer is at hand."""
    return len(text) // CODE_POINTS_PER_TOKEN + OVERHEAD


def estimate_message(message: Message, documents: Mapping[str, RequestDocument] = MappingProxyType({})) -> int:
    """How many tokens a message takes, as a model is shown it: files are images, unless they are ``documents``."""
    texts = sum(
        len(documents[part.file].text)
        if isinstance(part, FilePart) and part.file in documents
        else _estimate_part(part)
        for part in message.parts
    )
    return OVERHEAD + texts // CODE_POINTS_PER_TOKEN


def _estimate_part(part: Part) -> int:
    """In code points."""
    match part:
        case TextPart():
            return len(part.text)
        case ToolResultPart():
            return len(part.text) + len(part.files) * IMAGE_TOKENS * CODE_POINTS_PER_TOKEN
        case ToolCallPart():
            return len(part.name) + len(part.arguments if part.edited is None else part.edited)
        case FilePart():
            return IMAGE_TOKENS * CODE_POINTS_PER_TOKEN
        case _:
            return 0


def estimate_request(request: Request) -> int:
    """How many tokens a request takes, as ``estimate_tokens`` estimates."""
    said = sum(estimate_message(message, request.documents) for message in request.messages)
    said += estimate_tools(request.tools)
    return said + estimate_tokens(request.system or "") + estimate_tokens(request.prefix)


def estimate_tools(tools: Sequence[ToolSpec]) -> int:
    """How many tokens it takes to tell a model of them."""
    return len(msgspec.json.encode(tools)) // CODE_POINTS_PER_TOKEN if tools else 0
