"""What happens in a run: its events, from start to end. The others, and how all are spelled, are ``events``."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from trialogue._facts.values import (
    CitationPart,
    Failure,
    FilePart,
    FinishReason,
    Settings,
    Terms,
    ToolCallPart,
    Usage,
)

PartKind: TypeAlias = Literal["text", "reasoning"]


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
    """What a call came to, ``failed`` or not; it is part number ``part``. Each call has exactly one.

    ``files`` are there by now, as uploads are.
    """

    run: str
    message: str
    part: int
    call: str
    text: str
    at: datetime
    failed: bool = False
    citations: tuple[CitationPart, ...] = ()
    files: tuple[FilePart, ...] = ()


class GenerationStarted(msgspec.Struct, frozen=True, tag="generation.started", omit_defaults=True):
    """The model, told of the results, is asked to go on: call number ``generation`` of it in this run, from 2 on.

    ``counted`` is our own count of the calls of it before this one. With ``paused`` it was its provider that did not let it
    say all it had to say at once.
    """

    run: str
    message: str
    generation: int
    at: datetime
    counted: Usage
    paused: bool = False


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
