"""The values of a conversation: what is stored, shown and handed between layers. Pure data, no behaviour, no I/O.

How they may change: a field may be added with a default, and a tag may be added to a union; nothing is renamed or
removed while rows written by an older version can be read. Readers ignore fields they do not know.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
#: Of a message or a run. A message that nobody is writing is ``completed``.
Status: TypeAlias = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
FinishReason: TypeAlias = Literal["stop", "length", "content_filter", "tool_call", "error"]
Policy: TypeAlias = Literal["queue", "steer", "interrupt", "latest", "reject"]
#: Whether a model may call tools, must not, or has to.
ToolChoice: TypeAlias = Literal["auto", "none", "required"]


class TextPart(msgspec.Struct, frozen=True, tag="text"):
    """What is read by a person."""

    text: str


class ReasoningPart(msgspec.Struct, frozen=True, tag="reasoning", omit_defaults=True):
    """What the model thought aloud; ``signature`` is the provider's, kept as it came."""

    text: str
    signature: str | None = None


class ToolCallPart(msgspec.Struct, frozen=True, tag="tool_call", omit_defaults=True):
    """The model asks for a tool; ``arguments`` is the JSON text exactly as the model wrote it.

    ``call`` is the id of the call everywhere (``call_id``). ``edited`` is what a person put in the arguments' place, and
    the tool was called with. ``signature`` is the provider's, kept as it came.
    """

    call: str
    name: str
    arguments: str
    edited: str | None = None
    signature: str | None = None


class FilePart(msgspec.Struct, frozen=True, tag="file"):
    """A file by reference; its bytes never travel in a message."""

    file: str
    name: str
    media_type: str


class CitationPart(msgspec.Struct, frozen=True, tag="citation", omit_defaults=True):
    """Where a statement comes from."""

    source: str
    title: str | None = None
    quote: str | None = None


class ToolResultPart(msgspec.Struct, frozen=True, tag="tool_result", omit_defaults=True):
    """What we answered to the tool call of the same ``call`` id: for the model, and with where it comes from for people.

    ``files`` are the pictures and other files that the tool returned, kept as uploads are.
    """

    call: str
    text: str
    failed: bool = False
    citations: tuple[CitationPart, ...] = ()
    files: tuple[FilePart, ...] = ()


class DataPart(msgspec.Struct, frozen=True, tag="data"):
    """Structured data of an application, under a name of its choice."""

    name: str
    data: Any  # Any JSON value: the application's own, never looked into by us.


Part: TypeAlias = TextPart | ReasoningPart | ToolCallPart | ToolResultPart | FilePart | CitationPart | DataPart


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tokens of one run, and what they cost. Absent (``None``) is not zero; totals include the cached ones.

    ``source`` says whether the provider reported the figures or we estimated them.
    """

    source: Literal["reported", "estimated"]
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    #: In billionths of a dollar (nano-dollars), at the prices in force when the run was asked for.
    cost: int | None = None


class Rates(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a million tokens cost, in millionths of a dollar (micro-dollars), so that sums stay whole numbers.

    Without a rate of their own, tokens read from or written to a cache cost what input costs, and those of reasoning what
    output costs.
    """

    input: int
    output: int
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None


class Prices(Rates, frozen=True, omit_defaults=True):
    """The rates of one model; ``long`` replaces them for a request of more than ``long_above`` input tokens."""

    long_above: int | None = None
    long: Rates | None = None


class Terms(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who pays for a run besides the conversation's owner, and at which prices: those when it was asked for."""

    #: Id of the API key by which its asker came; ``None`` for a session.
    key: str | None = None
    #: ``None``: nobody knows what the model costs.
    prices: Prices | None = None


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a run did not complete, in a stable ``code`` and a sentence that says what to do."""

    code: str
    detail: str
    retryable: bool = False
    #: Seconds after which trying again may help, where that is known.
    retry_after: float | None = None


class ToolUse(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A tool that may be called, and whether a person is asked before each call: as the tool itself says, for ``None``."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    approval: Literal["ask", "never"] | None = None


class AnswerSchema(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What an answer is to look like: JSON of this ``schema``, to the letter where ``strict``."""

    name: Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,64}$")]
    schema: dict[str, Any]  # A JSON Schema: any JSON.
    strict: bool = True


class Settings(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """How a model is asked. ``None`` leaves the choice to the provider."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] | None = None
    seed: int | None = None
    #: The tools that may be called: all there are, for ``None``.
    tools: Annotated[tuple[ToolUse, ...], Meta(max_length=128)] | None = None
    tool_choice: ToolChoice | None = None
    #: What the answer is to look like: free text, for ``None``.
    answer_schema: AnswerSchema | None = None


class ToolSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tool as a model is told of it. ``parameters`` is the JSON Schema of its arguments, which are one object."""

    name: str
    description: str
    parameters: dict[str, Any]  # A JSON Schema: any JSON.


class Location(msgspec.Struct, frozen=True):
    """A place on Earth, in degrees (WGS 84)."""

    lat: Annotated[float, Meta(ge=-90, le=90)]
    lon: Annotated[float, Meta(ge=-180, le=180)]


class Message(msgspec.Struct, frozen=True):
    """A node of a conversation's tree; ``parent`` is ``None`` at a root. Editing makes a sibling."""

    id: str
    conversation: str
    role: Role
    parts: tuple[Part, ...]
    created_at: datetime
    parent: str | None = None
    status: Status = "completed"
    model: str | None = None
    run: str | None = None
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    failure: Failure | None = None
    #: How many runs have written it: more than one when an answer was continued.
    attempt: int = 1
    #: How often it was corrected in place; the older texts stand in the log.
    revision: int = 0
    metadata: dict[str, Any] | None = None  # Any JSON value: the client's own.
    #: Where it was said, if its sender tells.
    location: Location | None = None
    #: The model that was asked for, where another one wrote the answer or the end of it, which is ``model``.
    asked: str | None = None
    #: What a model is told in the place of it and of all above it, once that is too long; ``None`` before.
    summary: str | None = None


class ForkedFrom(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a fork began: a message of another conversation, or its first ``at`` code points. Either may be gone since."""

    conversation: str
    message: str
    at: int | None = None


class Conversation(msgspec.Struct, frozen=True):
    """The durable thing with an id; everything about it except its messages."""

    id: str
    owner: str
    created_at: datetime
    updated_at: datetime
    title: str | None = None
    model: str | None = None
    system: str | None = None
    settings: Settings = Settings()
    metadata: dict[str, Any] | None = None  # Any JSON value: the client's own.
    archived: bool = False
    pinned: bool = False
    folder: str | None = None
    #: Leaf of the active branch; ``None`` while there are no messages.
    head: str | None = None
    #: Sequence number of the event that last changed this value; the ETag of the wire.
    version: int = 0
    deleted_at: datetime | None = None
    #: What it is a copy of; ``None`` for one that was begun empty.
    forked_from: ForkedFrom | None = None


class Model(msgspec.Struct, frozen=True):
    """A model as a provider offers it. ``id`` is ``provider:model``; ``name`` is for people."""

    id: str
    provider: str
    name: str
    context_tokens: int
    #: Any of ``vision``, ``tools``, ``reasoning``, ``structured_output``, ``citations`` (says what it takes from which
    #: document), ``continues`` (can go on from a prefix).
    capabilities: tuple[str, ...] = ()
    description: str | None = None
    #: ``None``: nobody knows, which is not the same as free.
    prices: Prices | None = None
    #: Longest answer it gives; ``None`` when that is not known.
    output_tokens: int | None = None


def call_id(message: str, part: int) -> str:
    """The id of the tool call that is part number ``part`` of ``message``: unique, and fit for every upstream."""
    return f"{message}-{part}"


def files_of(parts: tuple[Part, ...]) -> Iterator[FilePart]:
    """The files that parts of a message name, those that tools returned included."""
    for part in parts:
        match part:
            case FilePart():
                yield part
            case ToolResultPart():
                yield from part.files
            case _:
                pass


def text_of(parts: tuple[Part, ...]) -> str:
    """The readable text of a message: its text parts, joined without anything between them."""
    return "".join(part.text for part in parts if isinstance(part, TextPart))
