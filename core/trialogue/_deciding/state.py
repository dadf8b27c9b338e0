"""What an actor knows of its conversation, and ``evolve``: the state after an event. Pure.

The state holds what deciding needs and no texts, so that its size does not grow with the conversation: messages are rows in
the store, and the text of a live answer is gathered by ``answer``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, assert_never

import msgspec
from msgspec.structs import replace

from trialogue._facts.events import (
    ApprovalAsked,
    ApprovalGiven,
    ContextCompacted,
    ConversationCreated,
    ConversationUpdated,
    Event,
    GenerationStarted,
    HeadMoved,
    InboxAdded,
    InboxRemoved,
    MessageAdded,
    MessageRemoved,
    MessageRevised,
    OpenCall,
    PartAdded,
    PartDelta,
    PartEnded,
    PartKind,
    PartStarted,
    Queued,
    RunAttached,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunIncomplete,
    RunInterrupted,
    RunStarted,
    RunWaiting,
    ToolCalled,
    ToolReturned,
    UsageReported,
)
from trialogue._facts.values import Conversation, Settings, Terms, ToolCallPart, Usage


#: Messages of one conversation that may have a summary: each snapshot names them, and a correction looks at all of them.
MOST_SUMMARIES = 16


class Steps(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a run with tools has come: which generation it is, what lies behind it, and which calls have no result."""

    generation: int = 1
    #: What the generations before this one came to, as it was told; by our own count; and how many pieces they had.
    usage: Usage | None = None
    counted: Usage | None = None
    tokens: int = 0
    #: How many parts the answer had when the last result had come.
    settled: int = 0
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
    def between(self) -> bool:
        """Whether nothing of the present generation is cut off: it has come to its calls, or has not said anything."""
        return bool(self.steps.calls) or 0 < self.steps.settled == self.parts


class State(msgspec.Struct, frozen=True, omit_defaults=True):
    """A conversation between two events: the fold of all numbered below ``next_seq``."""

    header: Conversation
    next_seq: int
    run: LiveRun | None = None
    inbox: tuple[Queued, ...] = ()
    #: Messages that have a summary, the oldest first: the last ones that were given one.
    summaries: tuple[str, ...] = ()
    #: Number of the event by which something that was said came to say something else; a summary that was made of what was
    #: read before it is not taken.
    reworded: int = 0

    @property
    def unfinished(self) -> bool:
        """Whether somebody has to go on with it: a run is live or a message waits."""
        return self.run is not None or bool(self.inbox)


def begin(event: ConversationCreated) -> State:
    """The state after event 0."""
    return State(header=event.conversation, next_seq=1)


def evolve(state: State, event: Event) -> State:
    """The state after ``event``, which has the number ``state.next_seq``. Never fails on an event that ``decide`` made."""
    seq = state.next_seq
    match event:
        case PartDelta():
            # Spelled out, because it happens for every few tokens and the rest once in an answer.
            run = _run(state)
            run = replace(run, length=event.offset + len(event.text), tokens=run.tokens + event.tokens)
            return replace(state, next_seq=seq + 1, run=run)
        case PartStarted():
            return _running(state, parts=event.part + 1, open_kind=event.kind, length=0, waiting=None)
        case PartEnded():
            return _running(state, open_kind=None)
        case PartAdded():
            tokens = _run(state).tokens + event.tokens
            steps = _run(state).steps
            if isinstance(event.content, ToolCallPart):
                call = OpenCall(event.content.call, event.content.name, event.part)
                steps = replace(steps, calls=(*steps.calls, call))
            return _running(state, parts=event.part + 1, open_kind=None, tokens=tokens, waiting=None, steps=steps)
        case ApprovalAsked():
            return _call(state, event.call, state="asked", expires_at=event.expires_at)
        case ApprovalGiven():
            return _call(state, event.call, state="approved", expires_at=None)
        case ToolCalled():
            return _call(state, event.call, state="called", idempotent=event.idempotent)
        case ToolReturned():
            parts = event.part + 1
            return _running(state, parts=parts, open_kind=None, steps=_run(state).steps.returned(event.call, parts))
        case GenerationStarted():
            run = _run(state)
            steps = replace(
                run.steps,
                generation=event.generation,
                usage=run.usage or run.steps.usage,
                counted=event.counted,
                tokens=run.tokens,
            )
            return _running(state, usage=None, steps=steps)
        case UsageReported():
            return _running(state, usage=event.usage)
        case RunAttached():
            reopened = max(event.reopened, _run(state).reopened)
            return _running(state, handle=event.handle, cursor=event.cursor, reopened=reopened)
        case RunWaiting():
            return _running(state, waiting=event.reason)
        case RunStarted():
            run = LiveRun(
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
            if event.cause == "continue":
                state = _unsummed(replace(state, reworded=seq), (event.message,))
            return replace(state, next_seq=seq + 1, run=run)
        case RunCompleted() | RunIncomplete() | RunFailed() | RunCancelled() | RunInterrupted():
            return replace(state, next_seq=seq + 1, run=None, header=_touched(state, seq, event.at))
        case MessageAdded(message):
            header = replace(state.header, head=message.id, updated_at=message.created_at, version=seq)
            if message.summary is not None:  # A copy of one that had it; where others made it, there may be many.
                state = _summed(state, message.id)
                state = replace(state, summaries=state.summaries[-MOST_SUMMARIES:])
            return replace(state, next_seq=seq + 1, header=header)
        case MessageRevised():
            state = _unsummed(replace(state, reworded=seq), event.stale)
            return replace(state, next_seq=seq + 1, header=_touched(state, seq, event.at))
        case ContextCompacted():
            if event.summary is not None:
                state = _summed(_unsummed(state, event.stale), event.message)
            return replace(state, next_seq=seq + 1)
        case MessageRemoved() | HeadMoved():
            header = replace(state.header, head=event.head, updated_at=event.at, version=seq)
            return replace(state, next_seq=seq + 1, header=header)
        case ConversationUpdated():
            return replace(state, next_seq=seq + 1, header=_updated(state.header, event, seq))
        case InboxAdded(queued, front):
            inbox = (queued, *state.inbox) if front else (*state.inbox, queued)
            return replace(state, next_seq=seq + 1, inbox=inbox)
        case InboxRemoved():
            inbox = tuple(queued for queued in state.inbox if queued.message.id != event.message)
            return replace(state, next_seq=seq + 1, inbox=inbox)
        case ConversationCreated():
            return begin(event)
        case _:
            assert_never(event)


def _summed(state: State, message: str) -> State:
    return replace(state, summaries=(*_unsummed(state, (message,)).summaries, message))


def _unsummed(state: State, stale: tuple[str, ...]) -> State:
    if not stale or not state.summaries:
        return state
    return replace(state, summaries=tuple(message for message in state.summaries if message not in stale))


def _run(state: State) -> LiveRun:
    assert state.run is not None, "an event of a run outside a run"
    return state.run


def _running(state: State, **changes: object) -> State:
    return replace(state, next_seq=state.next_seq + 1, run=replace(_run(state), **changes))


def _call(before: State, call: str, **changes: object) -> State:
    return _running(before, steps=_run(before).steps.changed(call, **changes))


def _touched(state: State, seq: int, at: object) -> Conversation:
    return replace(state.header, updated_at=at, version=seq)


def _updated(header: Conversation, event: ConversationUpdated, seq: int) -> Conversation:
    changes = {
        name: value
        for name in ("title", "model", "system", "settings", "metadata", "archived", "pinned", "folder")
        if (value := getattr(event, name)) is not msgspec.UNSET
    }
    if event.deleted is not msgspec.UNSET:
        changes["deleted_at"] = event.at if event.deleted else None
    return replace(header, updated_at=event.at, version=seq, **changes)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(State)


def encode_state(state: State) -> bytes:
    """The state as the snapshot that a store keeps."""
    return _encoder.encode(state)


def decode_state(data: bytes) -> State:
    """The state that ``encode_state`` encoded, by this version or an older one."""
    return _decoder.decode(data)
