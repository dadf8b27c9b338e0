"""Events: the numbered facts of one conversation's log. Everything that changes a conversation is one of these.

An event is encoded once, when it is appended; those bytes are stored, and the same bytes go to every subscriber as the
``data`` of its frame. ``type`` is the tag. How they may change: as said in ``values``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypeAlias, get_args

import msgspec
from msgspec import UNSET, UnsetType

from trialogue._facts.values import (
    CitationPart,
    Conversation,
    Failure,
    FinishReason,
    Message,
    Policy,
    Settings,
    Terms,
    ToolCallPart,
    Usage,
)

PartKind: TypeAlias = Literal["text", "reasoning"]


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


class OpenCall(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tool call that has no result yet; it is part number ``part`` of its message.

    ``new``: nothing has come of it. ``asked``: a person is to say whether it may be made, until ``expires_at``.
    ``approved``: it may be made. ``called``: the tool is at work, and may have had its effects.
    """

    call: str
    name: str
    part: int
    state: Literal["new", "asked", "approved", "called"] = "new"
    expires_at: datetime | None = None
    #: Making the call again does no harm.
    idempotent: bool = False


class RunStarted(msgspec.Struct, frozen=True, tag="run.started", omit_defaults=True):
    """One attempt at answering began. ``message`` is the answer's id; its ``message.added`` came before.

    ``cause`` is ``continue`` or ``recover`` when the answer goes on from what it already holds. With ``failover`` the run
    before it has failed (its ``run.failed`` names this one as ``next``), and this one goes on from there, at part
    ``first_part``; or, where ``message`` is another answer, begins anew beside the one that failed. With ``repair`` that one
    was ended by the model, but is not what was asked for.
    """

    run: str
    message: str
    model: str
    at: datetime
    settings: Settings = Settings()
    cause: Literal["post", "edit", "regenerate", "continue", "recover", "failover", "repair"] = "post"
    #: 1 for the first run on this answer, one more for each that goes on with it.
    attempt: int = 1
    #: Number of the first part this run will write: how many the answer already holds.
    first_part: int = 0
    #: Who pays for it, and at which prices.
    terms: Terms = Terms()
    #: The model that was asked for, where ``model`` is another one.
    asked: str | None = None
    #: The runs before it that were to write the same answer, the oldest first.
    before: tuple[str, ...] = ()
    #: Calls in what the answer already holds, whose results it waits for.
    calls: tuple[OpenCall, ...] = ()
    #: The answer that does not fit its schema, beside which this run writes another one.
    repairs: str | None = None


class RunWaiting(msgspec.Struct, frozen=True, tag="run.waiting", omit_defaults=True):
    """The answer waits: for its turn at a provider that may be asked only so much at a time (``turn``), or for the time to
    ask again, as the provider turned it away (``retry``). The next event of the run ends the wait.
    """

    run: str
    message: str
    reason: Literal["turn", "retry"]
    at: datetime
    #: Until when, where that is known.
    until: datetime | None = None


class RunAttached(msgspec.Struct, frozen=True, tag="run.attached", omit_defaults=True):
    """The provider keeps what the run is being answered with under ``handle``; the log has it up to ``cursor``.

    Whoever takes the run over goes on from there. ``reopened`` is how often somebody has, said when it begins. Without a
    handle the run is on its own again: that response has ended, or is lost.
    """

    run: str
    message: str
    handle: str | None = None
    cursor: int = 0
    reopened: int = 0


class PartStarted(msgspec.Struct, frozen=True, tag="part.started"):
    """Part number ``part`` of the answer opens; at most one is open."""

    run: str
    message: str
    part: int
    kind: PartKind


class PartDelta(msgspec.Struct, frozen=True, tag="part.delta", gc=False):
    """``text`` to be written at ``offset`` (in Unicode code points) of the part; applying it twice changes nothing.

    ``tokens`` counts the pieces of the provider that it joins.
    """

    # Made for every few tokens, of strings and numbers alone: the collector has nothing to find in it.

    run: str
    message: str
    part: int
    offset: int
    text: str
    tokens: int


class PartEnded(msgspec.Struct, frozen=True, tag="part.ended", omit_defaults=True):
    """The part is whole; ``length`` is its length in code points, for checking. ``signature`` is a reasoning part's."""

    run: str
    message: str
    part: int
    length: int
    signature: str | None = None


class PartAdded(msgspec.Struct, frozen=True, tag="part.added", omit_defaults=True):
    """Part number ``part`` of the answer, whole: a tool call or a citation. None is open.

    ``tokens`` is our estimate of what the model needed to say it.
    """

    run: str
    message: str
    part: int
    content: ToolCallPart | CitationPart
    tokens: int = 0


class ApprovalAsked(msgspec.Struct, frozen=True, tag="approval.asked"):
    """A tool call waits for a person to approve it, until ``expires_at``. The approval's id is the call's."""

    run: str
    message: str
    call: str
    at: datetime
    expires_at: datetime


class ApprovalGiven(msgspec.Struct, frozen=True, tag="approval.given", omit_defaults=True):
    """It waits no longer: somebody decided, or nobody did in time (``expire``). A result follows where it is not approved.

    ``arguments`` are what was put in the place of the model's; ``reason`` is told to the model.
    """

    run: str
    message: str
    call: str
    decision: Literal["approve", "deny", "edit", "expire"]
    at: datetime
    arguments: str | None = None
    reason: str | None = None


class ToolCalled(msgspec.Struct, frozen=True, tag="tool.called", omit_defaults=True):
    """The tool is about to be called; from here on the call may have effects. ``idempotent``: calling again does no harm."""

    run: str
    message: str
    call: str
    name: str
    at: datetime
    idempotent: bool = False


class ToolReturned(msgspec.Struct, frozen=True, tag="tool.returned", omit_defaults=True):
    """What a call came to, ``failed`` or not; it is part number ``part``. Each call has exactly one."""

    run: str
    message: str
    part: int
    call: str
    text: str
    at: datetime
    failed: bool = False
    citations: tuple[CitationPart, ...] = ()


class GenerationStarted(msgspec.Struct, frozen=True, tag="generation.started"):
    """The model, told of the results, is asked to go on: call number ``generation`` of it in this run, from 2 on.

    ``counted`` is our own count of the calls of it before this one.
    """

    run: str
    message: str
    generation: int
    at: datetime
    counted: Usage


class UsageReported(msgspec.Struct, frozen=True, tag="usage"):
    """What the run has cost so far, in tokens and money; the last one counts."""

    run: str
    message: str
    usage: Usage


class RunCompleted(msgspec.Struct, frozen=True, tag="run.completed"):
    """The model said all it had to say."""

    run: str
    message: str
    finish_reason: FinishReason
    at: datetime


class RunIncomplete(msgspec.Struct, frozen=True, tag="run.incomplete"):
    """A limit ended it: the provider's (``length``, ``content_filter``) or ours (``max_seconds``, ``max_characters``,
    ``budget``: its payer's budget reached no further).
    """

    run: str
    message: str
    reason: str
    at: datetime


class RunFailed(msgspec.Struct, frozen=True, tag="run.failed", omit_defaults=True):
    """The provider, or we, failed; what was written stays. ``next`` is the run that goes on, if one does: it starts now."""

    run: str
    message: str
    failure: Failure
    at: datetime
    next: str | None = None


class RunCancelled(msgspec.Struct, frozen=True, tag="run.cancelled", omit_defaults=True):
    """Someone asked for it to stop, or a later command replaced it. ``seen`` is what the stopper had seen."""

    run: str
    message: str
    at: datetime
    reason: Literal["stop", "interrupt", "removed", "edit"] = "stop"
    seen: str | None = None


class RunInterrupted(msgspec.Struct, frozen=True, tag="run.interrupted"):
    """The process that ran it is gone; a recovery may go on with the answer in a new run."""

    run: str
    message: str
    at: datetime


RunEnded: TypeAlias = RunCompleted | RunIncomplete | RunFailed | RunCancelled | RunInterrupted
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
