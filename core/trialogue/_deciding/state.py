"""What an actor knows of its conversation, and ``evolve``: the state after an event. Pure.

The state holds what deciding needs and no texts, so that its size does not grow with the conversation: messages are rows in
the store, and the text of a live answer is gathered by ``answer``.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from trialogue._deciding.live_run import LiveRun, run_after, run_begun
from trialogue._facts.events import (
    ContextCompacted,
    ConversationCreated,
    ConversationUpdated,
    Event,
    HeadMoved,
    InboxAdded,
    InboxRemoved,
    MessageAdded,
    MessageRemoved,
    MessageRevised,
    Queued,
)
from trialogue._facts.run_events import (
    PartDelta,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunIncomplete,
    RunInterrupted,
    RunStarted,
)
from trialogue._facts.values import Conversation

#: Messages of one conversation that may have a summary: each snapshot names them, and a correction looks at all of them.
MOST_SUMMARIES = 16


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
            # First, and in one step, because it happens for every few tokens and the rest once in an answer.
            return replace(state, next_seq=seq + 1, run=run_after(_run(state), event))
        case RunStarted():
            if event.cause == "continue":
                state = _unsummed(replace(state, reworded=seq), (event.message,))
            return replace(state, next_seq=seq + 1, run=run_begun(event, seq))
        case RunCompleted() | RunIncomplete() | RunFailed() | RunCancelled() | RunInterrupted():
            return replace(state, next_seq=seq + 1, run=None, header=_touched(state, seq, event.at))
        case MessageAdded() | MessageRevised() | ContextCompacted():
            return _spoken(state, event, seq)
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
            return replace(state, next_seq=seq + 1, run=run_after(_run(state), event))


def _spoken(state: State, event: MessageAdded | MessageRevised | ContextCompacted, seq: int) -> State:
    """Something was said, corrected or summed up."""
    match event:
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


def _summed(state: State, message: str) -> State:
    return replace(state, summaries=(*_unsummed(state, (message,)).summaries, message))


def _unsummed(state: State, stale: tuple[str, ...]) -> State:
    if not stale or not state.summaries:
        return state
    return replace(state, summaries=tuple(message for message in state.summaries if message not in stale))


def _run(state: State) -> LiveRun:
    assert state.run is not None, "an event of a run outside a run"
    return state.run


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
