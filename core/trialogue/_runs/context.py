"""What a model is shown: the end of the branch that fits its context, oldest first.

Taken from the leaf upwards, first what the actor has at hand and then, page by page, what the store has, so that a turn
costs what the context holds and not what the conversation does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from trialogue._asking.provider import Request, RequestDocument
from trialogue._deciding.state import LiveRun
from trialogue._facts.errors import NotFoundError
from trialogue._facts.values import (
    Conversation,
    FilePart,
    Message,
    Part,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    ToolSpec,
    text_of,
)
from trialogue._storage.store import Store

if TYPE_CHECKING:
    from trialogue._runs.attaching import Attaching

#: Messages read at once. Most conversations fit into one page.
PAGE = 32
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
        case TextPart() | ToolResultPart():
            return len(part.text)
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


async def build_request(
    store: Store,
    conversation: Conversation,
    run: LiveRun,
    model: str,
    budget: int,
    at_hand: Sequence[Message] = (),
    learn: Callable[[Sequence[Message]], None] | None = None,
    attach: Attaching | None = None,
) -> Request:
    """The request whose response is the answer ``run`` is to write.

    ``model`` is the name inside the provider, ``budget`` what history and system prompt may take, in tokens. ``at_hand`` is
    the end of the branch, newest first, the answer included: at least what the store has not yet. The rest is read, and
    ``learn`` is told what was. ``attach`` puts what can be shown of files in their place.

    Raises ``NotFoundError`` when the answer was removed meanwhile, ``StorageError``.
    """
    budget -= estimate_tokens(conversation.system or "")
    branch = await _branch(store, conversation.id, run.message, budget, at_hand, learn, attach)
    if not branch:
        raise NotFoundError(f"the answer {run.message!r} is not there any more")
    *history, answer = branch
    done, prefix = so_far(answer)
    return Request(
        model=model,
        messages=(*_from_user(history), *done),
        settings=run.settings,
        system=conversation.system,
        prefix=prefix,
        images=attach.images if attach is not None else {},
        documents=attach.documents if attach is not None else {},
    )


async def _branch(
    store: Store,
    conversation: str,
    leaf: str,
    budget: int,
    at_hand: Sequence[Message],
    learn: Callable[[Sequence[Message]], None] | None,
    attach: Attaching | None,
) -> Sequence[Message]:
    kept: list[Message] = []  # newest first
    page, wanted = at_hand, at_hand[-1].parent if at_hand else leaf
    while page or wanted is not None:
        for message in page:
            if attach is not None:
                message = await attach(message)
            budget -= estimate_message(message, {} if attach is None else attach.documents)
            # The answer and what it answers are always shown, however long: the provider then says it is too long.
            if budget < 0 and len(kept) >= 2:
                return kept[::-1]
            kept.append(message)
        if wanted is None:
            break
        page = (await store.path(conversation, wanted, PAGE))[::-1]
        if learn is not None:
            learn(page)
        wanted = page[-1].parent if page else None
    return kept[::-1]


def _from_user(history: Sequence[Message]) -> Sequence[Message]:
    """What can be shown of it: no empty answers, and a user's message first, as most models want it."""
    said = [m for m in _with_results(history) if m.role != "assistant" or any(map(_is_said, m.parts))]
    first = next((place for place, message in enumerate(said) if message.role == "user"), len(said))
    return said[first:]


def _is_said(part: Part) -> bool:
    return isinstance(part, ToolCallPart) or (isinstance(part, TextPart) and bool(part.text))


def _with_results(history: Sequence[Message]) -> Sequence[Message]:
    """Results that came as messages of their own, from elsewhere, stand in the answer that has the calls."""
    found: list[Message] = []
    for message in history:
        if message.role != "tool":
            found.append(message)
        elif found and found[-1].role == "assistant":
            found[-1] = replace(found[-1], parts=found[-1].parts + message.parts)
    return found


def so_far(answer: Message) -> tuple[tuple[Message, ...], str]:
    """What earlier generations said of an answer, as a message if there were any, and the text that comes after it."""
    parts = answer.parts
    last = max((at for at, part in enumerate(parts, 1) if isinstance(part, ToolCallPart | ToolResultPart)), default=0)
    prefix = text_of(parts[last:])
    return ((replace(answer, parts=parts[:last]),) if last else ()), prefix
