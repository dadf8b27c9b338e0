"""The run that is writing an answer, as far as the log tells, and how it goes on with each event of it. Pure.

The fold of a conversation (``state``) leaves to this what happens within a run; it holds no text either.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias, assert_never

import msgspec
from msgspec.structs import replace

from trialogue._facts.run_events import (
    ApprovalAsked,
    ApprovalGiven,
    GenerationStarted,
    OpenCall,
    PartAdded,
    PartDelta,
    PartEnded,
    PartKind,
    PartStarted,
    RunAttached,
    RunStarted,
    RunWaiting,
    ToolCalled,
    ToolReturned,
    UsageReported,
)
from trialogue._facts.values import Settings, Terms, ToolCallPart, Usage

#: What happens between a run's start and its end, and changes nothing of its conversation but the run.
RunStep: TypeAlias = (
    RunWaiting
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
)


class Steps(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a run with tools has come: which generation it is, what lies behind it, and which calls have no result."""

    generation: int = 1
    #: What the generations before this one came to, as it was told; by our own count; and how many pieces they had.
    usage: Usage | None = None
    counted: Usage | None = None
    tokens: int = 0
    #: How many parts the answer had when the last result had come.
    settled: int = 0
    #: How many it had when its provider paused the turn, if that is why the present generation was begun.
    paused: int = 0
    calls: tuple[OpenCall, ...] = ()

    def changed(self, call: str, **changes: object) -> Steps:
        """With one of its calls changed."""
        calls = tuple(replace(one, **changes) if one.call == call else one for one in self.calls)
        return replace(self, calls=calls)

    def returned(self, call: str, parts: int) -> Steps:
        """With the result of one of its calls as the last of ``parts``."""
        return replace(self, calls=tuple(one for one in self.calls if one.call != call), settled=parts)


class LiveRun(msgspec.Struct, frozen=True, omit_defaults=True):
    """The run that is writing an answer, as far as the log tells."""

    run: str
    message: str
    model: str
    settings: Settings
    #: Number of its ``run.started``; the answer's new text stands in the log from here on.
    first_seq: int
    attempt: int = 1
    #: How many parts the answer has, the open one included.
    parts: int = 0
    #: The open part's kind, its number being ``parts - 1``; ``None`` between parts.
    open_kind: PartKind | None = None
    #: Length of the open part in code points.
    length: int = 0
    #: Pieces of the provider written so far: our estimate of its output tokens.
    tokens: int = 0
    usage: Usage | None = None
    terms: Terms = Terms()
    #: ``None`` only where an older version wrote it.
    started_at: datetime | None = None
    #: What the provider keeps the response under that is being written, up to where the log has it, and how often it was
    #: taken up again; ``None`` where it keeps none.
    handle: str | None = None
    cursor: int = 0
    reopened: int = 0
    #: The model that was asked for, where ``model`` is another one.
    asked: str | None = None
    #: The runs before it that were to write the same answer, the oldest first.
    before: tuple[str, ...] = ()
    #: What it waits for, as its ``run.waiting`` says; ``None`` once it goes on.
    waiting: Literal["turn", "retry"] | None = None
    steps: Steps = Steps()
    #: The answer beside this one that did not fit its schema, where this one is to.
    repairs: str | None = None

    @property
    def parked(self) -> bool:
        """Whether there is nothing to do for it but wait for a person: it needs no task, and survives any restart."""
        calls = self.steps.calls
        return bool(calls) and all(call.state == "asked" for call in calls)

    @property
    def paused(self) -> bool:
        """Whether the answer is to be sent back as it is, since its provider paused the turn and nothing came since."""
        return 0 < self.steps.paused == self.parts

    @property
    def between(self) -> bool:
        """Whether nothing of the present generation is cut off: it has come to its calls, or has not said anything."""
        return bool(self.steps.calls) or 0 < self.steps.settled == self.parts


def run_begun(event: RunStarted, seq: int) -> LiveRun:
    """The run after its start, which has the number ``seq``."""
    return LiveRun(
        run=event.run,
        message=event.message,
        model=event.model,
        settings=event.settings,
        first_seq=seq,
        attempt=event.attempt,
        parts=event.first_part,
        terms=event.terms,
        started_at=event.at,
        asked=event.asked,
        before=event.before,
        steps=Steps(calls=event.calls),
        repairs=event.repairs,
    )


def run_after(run: LiveRun, event: RunStep) -> LiveRun:
    """The run after one of its events."""
    match event:
        case PartDelta():
            return replace(run, length=event.offset + len(event.text), tokens=run.tokens + event.tokens)
        case PartStarted():
            return replace(run, parts=event.part + 1, open_kind=event.kind, length=0, waiting=None)
        case PartEnded():
            return replace(run, open_kind=None)
        case PartAdded():
            return _with_part(run, event)
        case UsageReported():
            return replace(run, usage=event.usage)
        case RunAttached():
            reopened = max(event.reopened, run.reopened)
            return replace(run, handle=event.handle, cursor=event.cursor, reopened=reopened)
        case RunWaiting():
            return replace(run, waiting=event.reason)
        case GenerationStarted():
            return _with_generation(run, event)
        case ApprovalAsked() | ApprovalGiven() | ToolCalled() | ToolReturned():
            return _with_call(run, event)
        case _:
            assert_never(event)


def _with_part(run: LiveRun, event: PartAdded) -> LiveRun:
    steps = run.steps
    if isinstance(event.content, ToolCallPart):
        call = OpenCall(event.content.call, event.content.name, event.part)
        steps = replace(steps, calls=(*steps.calls, call))
    tokens = run.tokens + event.tokens
    return replace(run, parts=event.part + 1, open_kind=None, tokens=tokens, waiting=None, steps=steps)


def _with_generation(run: LiveRun, event: GenerationStarted) -> LiveRun:
    steps = replace(
        run.steps,
        generation=event.generation,
        usage=run.usage or run.steps.usage,
        counted=event.counted,
        tokens=run.tokens,
        paused=run.parts if event.paused else 0,
    )
    return replace(run, usage=None, steps=steps)


def _with_call(run: LiveRun, event: ApprovalAsked | ApprovalGiven | ToolCalled | ToolReturned) -> LiveRun:
    match event:
        case ApprovalAsked():
            steps = run.steps.changed(event.call, state="asked", expires_at=event.expires_at)
        case ApprovalGiven():
            steps = run.steps.changed(event.call, state="approved", expires_at=None)
        case ToolCalled():
            steps = run.steps.changed(event.call, state="called", idempotent=event.idempotent)
        case ToolReturned():
            parts = event.part + 1
            return replace(run, parts=parts, open_kind=None, steps=run.steps.returned(event.call, parts))
    return replace(run, steps=steps)
