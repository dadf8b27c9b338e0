"""A conversation as people read it: the active branch from top to bottom, then what was said on other branches.

What was said is Markdown already and stays as it is, except that a code fence which it leaves open is closed, so that the
rest of the document is not taken for code.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime

import msgspec

from trialogue import (
    CitationPart,
    Conversation,
    DataPart,
    FilePart,
    Message,
    NotFoundError,
    Part,
    ReasoningPart,
    Store,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    take_snapshot,
    written,
)
from trialogue_server._exchange.text import closed, fenced, one_line, quoted

#: Messages that are held at a time.
PAGE = 20

#: What would end a link.
_NO_LINK = re.compile(r"[<>\s]")
_WHO = {"user": "You", "assistant": "Assistant", "system": "System", "tool": "Tool"}
_STATUS = {
    "queued": "waiting",
    "in_progress": "still being written",
    "incomplete": "incomplete",
    "failed": "failed",
    "cancelled": "stopped",
}


async def markdown(store: Store, header: Conversation) -> AsyncGenerator[str]:
    """The pieces of one conversation's text."""
    yield "".join(_head(header))
    numbers: dict[str, int] = {}
    async with aclosing(_active(store, header)) as active:
        async for message in active:
            numbers[message.id] = len(numbers) + 1
            yield "".join(_message(message, numbers))
    shown = len(numbers)
    async with aclosing(_all(store, header.id)) as every:
        async for message in every:
            if message.id not in numbers:
                if len(numbers) == shown:
                    yield "\n# Other branches\n"
                numbers[message.id] = len(numbers) + 1
                yield "".join(_message(message, numbers, aside=True))
    for message in await _waiting(store, header.id):
        yield f"\n## Waiting for its turn\n\n{_body(message)}\n"


async def _active(store: Store, header: Conversation) -> AsyncGenerator[Message]:
    after: str | None = None
    while header.head is not None and (page := await store.onward(header.id, header.head, after, PAGE)):
        for message in page:
            yield await written(store, message)
        after = page[-1].id


async def _all(store: Store, conversation: str) -> AsyncGenerator[Message]:
    cursor: str | None = None
    while (page := await store.tree(conversation, PAGE, cursor)) is not None:
        for message in page.messages:
            yield await written(store, message)
        cursor = page.cursor
        if cursor is None:
            return


async def _waiting(store: Store, conversation: str) -> Sequence[Message]:
    try:
        snapshot = await take_snapshot(store, conversation, 0)
    except NotFoundError:  # Removed since.
        return ()
    return [queued.message for queued in snapshot.inbox]


def _head(header: Conversation) -> Iterator[str]:
    yield f"# {one_line(header.title or 'Untitled conversation')}\n\n"
    facts = [f"Begun {_time(header.created_at)}", f"last change {_time(header.updated_at)}"]
    if header.model:
        facts.append(f"model {one_line(header.model)}")
    if header.folder:
        facts.append(f"folder {one_line(header.folder)}")
    facts += [word for word, holds in (("archived", header.archived), ("pinned", header.pinned)) if holds]
    if header.deleted_at:
        facts.append("in the trash")
    yield f"{', '.join(facts)}.\n"
    if header.system:
        yield f"\n## System\n\n{closed(header.system)}\n"


def _message(message: Message, numbers: dict[str, int], *, aside: bool = False) -> Iterator[str]:
    facts = [_WHO[message.role]]
    if message.model:
        facts.append(one_line(message.model))
    facts.append(_time(message.created_at))
    if aside:
        facts.append(f"below {numbers[message.parent]}" if message.parent in numbers else "at the beginning")
    if message.status in _STATUS:
        facts.append(_STATUS[message.status])
    if message.revision:
        facts.append("corrected")
    yield f"\n## {numbers[message.id]}. {' · '.join(facts)}\n\n{_body(message)}\n"
    if message.failure is not None:
        yield f"\n*{one_line(message.failure.detail)}*\n"


def _body(message: Message) -> str:
    return "\n\n".join(filter(None, map(_part, message.parts)))


def _part(part: Part) -> str:
    match part:
        case TextPart(text):
            return closed(text)
        case ReasoningPart(text):
            return quoted(f"*Thought:* {text}")
        case ToolCallPart():
            return f"*Asked the tool {one_line(part.name)}:*\n\n{fenced(part.arguments, 'json')}"
        case ToolResultPart():
            answered = f"*The tool {'failed' if part.failed else 'answered'}:*\n\n{fenced(part.text)}"
            return "\n\n".join([answered, *map(_part, part.files)])
        case FilePart():
            return f"*File:* {one_line(part.name)} ({one_line(part.media_type)}, {part.file})"
        case CitationPart():
            return quoted(f"*Source:* {one_line(part.title or part.source)} <{_NO_LINK.sub('', part.source)}>")
        case DataPart():
            return f"*Data, {one_line(part.name)}:*\n\n{fenced(_json(part.data), 'json')}"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
