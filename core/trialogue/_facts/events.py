"""Events: the numbered facts of one conversation's log. Everything that changes a conversation is one of these.

An event is encoded once, when it is appended; those bytes are stored, and the same bytes go to every subscriber as the
``data`` of its frame. ``type`` is the tag. How they may change: as said in ``values``. What happens in a run is in
``run_events``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypeAlias, get_args

import msgspec
from msgspec import UNSET, UnsetType

from trialogue._facts.run_events import (
    ApprovalAsked,
    ApprovalGiven,
    GenerationStarted,
    PartAdded,
    PartDelta,
    PartEnded,
    PartStarted,
    RunAttached,
    RunEnded,
    RunStarted,
    RunWaiting,
    ToolCalled,
    ToolReturned,
    UsageReported,
)
from trialogue._facts.values import (
    Conversation,
    Message,
    Policy,
    Settings,
    Terms,
    Usage,
)


class ConversationCreated(msgspec.Struct, frozen=True, tag="conversation.created"):
    """Always number 0."""

    conversation: Conversation


class Aside(msgspec.Struct, frozen=True, omit_defaults=True):
    """A model was asked something beside the answers: as which run, of which model, when, and what it cost."""

    run: str
    model: str
    started_at: datetime
    usage: Usage
    #: Id of the API key that pays, as for the answer.
    key: str | None = None


class ConversationUpdated(msgspec.Struct, frozen=True, tag="conversation.updated", omit_defaults=True):
    """The fields that changed; an absent one did not. ``deleted`` moves to the trash or back."""

    at: datetime
    title: str | None | UnsetType = UNSET
    model: str | None | UnsetType = UNSET
    system: str | None | UnsetType = UNSET
    settings: Settings | UnsetType = UNSET
    metadata: dict[str, Any] | None | UnsetType = UNSET
    archived: bool | UnsetType = UNSET
    pinned: bool | UnsetType = UNSET
    folder: str | None | UnsetType = UNSET
    deleted: bool | UnsetType = UNSET
    #: A model was asked for the title; without a title nothing came of it.
    titled: Aside | None = None


class MessageAdded(msgspec.Struct, frozen=True, tag="message.added"):
    """A new node; the head moves to it."""

    message: Message


class MessageRevised(msgspec.Struct, frozen=True, tag="message.revised", omit_defaults=True):
    """A correction in place: the whole message as it is after it. The summaries of the messages ``stale`` are gone: they
    told of what it said before.
    """

    message: Message
    at: datetime
    stale: tuple[str, ...] = ()


class MessageRemoved(msgspec.Struct, frozen=True, tag="message.removed"):
    """The message and all that hangs below it are gone from every branch; ``head`` is the head after it."""

    message: str
    head: str | None
    at: datetime


class ContextCompacted(msgspec.Struct, frozen=True, tag="context.compacted", omit_defaults=True):
    """A model was asked to sum up the branch that ends in ``message``, which has the ``summary`` from now on: a model is
    told that in the place of it and of all above it. Without one nothing came of it. The summaries of ``stale`` are gone.
    """

    message: str
    at: datetime
    asked: Aside
    summary: str | None = None
    stale: tuple[str, ...] = ()


class HeadMoved(msgspec.Struct, frozen=True, tag="head.moved"):
    """Another branch became the active one."""

    head: str | None
    at: datetime


class Queued(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message that was accepted and waits for its turn, with the ids it will have."""

    message: Message
    run: str
    answer: str
    model: str
    settings: Settings
    policy: Policy = "queue"
    #: Whether it is to be answered when its turn comes.
    respond: bool = True
    #: Whether it hangs below ``message.parent``; otherwise below the head when its turn comes.
    placed: bool = False
    terms: Terms = Terms()


class InboxAdded(msgspec.Struct, frozen=True, tag="inbox.added", omit_defaults=True):
    """A message was accepted while a run was live; ``front`` puts it before the others."""

    queued: Queued
    front: bool = False


class InboxRemoved(msgspec.Struct, frozen=True, tag="inbox.removed"):
    """A waiting message left the inbox: its turn came, a later one replaced it, or its sender took it back."""

    message: str
    reason: Literal["taken", "superseded", "withdrawn"]


Event: TypeAlias = (
    ConversationCreated
    | ConversationUpdated
    | MessageAdded
    | MessageRevised
    | MessageRemoved
    | ContextCompacted
    | HeadMoved
    | InboxAdded
    | InboxRemoved
    | RunStarted
    | RunWaiting
    | RunAttached
    | PartStarted
    | PartDelta
    | PartEnded
    | PartAdded
    | ApprovalAsked
    | ApprovalGiven
    | ToolCalled
    | ToolReturned
    | GenerationStarted
    | UsageReported
    | RunEnded
)

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
_TYPES: dict[type[Event], str] = {kind: str(kind.__struct_config__.tag) for kind in get_args(Event)}


class Entry(msgspec.Struct, frozen=True, gc=False):
    """An event in the log: its number, the epoch of the owner that wrote it, its type, and its JSON bytes."""

    # The same: as many as there are events, and nothing in them for the collector.

    seq: int
    epoch: int
    type: str
    data: bytes


def event_type(event: Event) -> str:
    """The event's tag, for instance ``part.delta``."""
    return _TYPES[type(event)]


def encode_event(event: Event) -> bytes:
    """The event as one JSON object, in UTF-8 and without newlines."""
    return _encoder.encode(event)


def decode_event(data: bytes) -> Event:
    """The event that ``encode_event`` encoded, by this version or an older one.

    Raises ``msgspec.ValidationError`` or ``msgspec.DecodeError`` when the bytes are not an event.
    """
    return _decoder.decode(data)
