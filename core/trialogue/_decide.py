"""``decide``: what a command does to a conversation. Pure: the state, the command and what it asked to know, nothing else.

A decision is a list of events to append together and the receipt the caller gets once they are committed. A command that
cannot take effect raises, and nothing happens. What has to be done besides (start a run, end one) follows from comparing the
state before and after, so that it is the same whether an event was just decided or read back from the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, assert_never

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from trialogue._commands import (
    Command,
    ContinueAnswer,
    CreateConversation,
    EditMessage,
    Known,
    PostMessage,
    Receipt,
    Recover,
    Regenerate,
    RemoveMessage,
    Stop,
    UpdateConversation,
)
from trialogue._errors import ConflictError, InvalidError, LimitError, NotFoundError
from trialogue._events import (
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
    RunCancelled,
    RunInterrupted,
    RunStarted,
)
from trialogue._running import close
from trialogue._state import LiveRun, State, evolve
from trialogue._values import Conversation, Message, Settings, text_of

#: Messages that may wait in one conversation's inbox: far more than a person types ahead, few enough for a snapshot.
MAX_WAITING = 100
#: Length of the title taken from a first message, in code points: a line of a sidebar.
TITLE_LENGTH = 60


class Decision(msgspec.Struct, frozen=True):
    """What happens, and what the caller is told when it has."""

    events: tuple[Event, ...]
    receipt: Receipt


class _Draft:
    """A decision being made: events so far and the state after them."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.first = state.next_seq
        self.events: list[Event] = []

    def add(self, *events: Event) -> None:
        for event in events:
            self.events.append(event)
            self.state = evolve(self.state, event)

    def receipt(
        self, *, message: str | None = None, run: str | None = None, answer: str | None = None, queued: bool = False
    ) -> Receipt:
        return Receipt(self.state.next_seq - 1, self.first, message, run, answer, queued)


def create(command: CreateConversation) -> ConversationCreated:
    """Event 0 of a new conversation."""
    return ConversationCreated(
        Conversation(
            id=command.id,
            owner=command.owner,
            created_at=command.at,
            updated_at=command.at,
            title=command.title,
            model=command.model,
            system=command.system,
            settings=command.settings,
            metadata=command.metadata,
        )
    )


def decide(state: State, command: Command, known: Known) -> Decision:
    """What ``command`` does in ``state``.

    Raises ``NotFoundError`` (a message it names is not there), ``InvalidError`` (it cannot be meant), ``ConflictError``
    (not in this state, or the caller saw an older version), ``LimitError`` (the inbox is full).
    """
    draft = _Draft(state)
    match command:
        case PostMessage():
            receipt = _post(draft, command, known)
        case EditMessage():
            receipt = _edit(draft, command, known)
        case Regenerate():
            receipt = _regenerate(draft, command, known)
        case ContinueAnswer():
            receipt = _continue(draft, command, known)
        case RemoveMessage():
            receipt = _remove(draft, command, known)
        case UpdateConversation():
            receipt = _update(draft, command, known)
        case Stop():
            receipt = _stop(draft, command)
        case Recover():
            receipt = _recover(draft, command)
        case _:
            assert_never(command)
    draft.add(*advance(draft.state, command.at))
    return Decision(tuple(draft.events), receipt)


def advance(state: State, at: datetime) -> Sequence[Event]:
    """What follows by itself: while no run is live, waiting messages are taken, up to the first that is to be answered."""
    draft = _Draft(state)
    while draft.state.run is None and draft.state.inbox:
        queued = draft.state.inbox[0]
        draft.add(InboxRemoved(queued.message.id, "taken"))
        _say(draft, queued, at)
    return draft.events


def leaves(state: State) -> Sequence[str]:
    """Messages that must not be lost sight of in a removal: the head, the live answer, what waiting messages hang below."""
    placed = [queued.message.parent for queued in state.inbox if queued.placed]
    answer = None if state.run is None else state.run.message
    return [name for name in dict.fromkeys((state.header.head, answer, *placed)) if name is not None]


# --- saying something --------------------------------------------------------------------------------------------


def _post(draft: _Draft, command: PostMessage, known: Known) -> Receipt:
    state = draft.state
    _alive(state)
    _free(state, known, command.message)
    if isinstance(command.parent, str):
        _find(state, known, command.parent, "/parent")
    queued = _queued(state, command)
    if state.run is None:
        _say(draft, queued, command.at)
        return _said(draft, command)
    match command.policy:
        case "reject":
            raise ConflictError("an answer is being written: stop it, or post with another policy", pointer="/policy")
        case "interrupt":
            _cancel(draft, "interrupt", command.at)
            _say(draft, queued, command.at)
            return _said(draft, command)
        case "latest":
            draft.add(*(InboxRemoved(waiting.message.id, "superseded") for waiting in state.inbox))
        case "queue" | "steer":
            if len(state.inbox) >= MAX_WAITING:
                raise LimitError(f"{MAX_WAITING} messages are waiting already: wait for an answer, or take some back")
    # A steering message goes first: it is read at the next boundary between generations.
    draft.add(InboxAdded(queued, front=command.policy == "steer"))
    return draft.receipt(message=command.message, run=command.run, answer=command.answer, queued=True)


def _said(draft: _Draft, command: PostMessage | EditMessage) -> Receipt:
    if not command.respond:
        return draft.receipt(message=command.message)
    return draft.receipt(message=command.message, run=command.run, answer=command.answer)


def _queued(state: State, command: PostMessage) -> Queued:
    message = Message(
        id=command.message,
        conversation=state.header.id,
        role="user",
        parts=command.parts,
        created_at=command.at,
        parent=None if command.parent is UNSET else command.parent,
        metadata=command.metadata,
    )
    return Queued(
        message,
        command.run,
        command.answer,
        command.model,
        command.settings,
        command.policy,
        command.respond,
        placed=command.parent is not UNSET,
    )


def _say(draft: _Draft, queued: Queued, at: datetime) -> None:
    message = queued.message if queued.placed else replace(queued.message, parent=draft.state.header.head)
    draft.add(MessageAdded(message))
    if draft.state.header.title is None and (title := _title(message)):
        draft.add(ConversationUpdated(at, title=title))
    if queued.respond:
        _answer(draft, message.id, queued.run, queued.answer, queued.model, queued.settings, "post", at)


def _title(message: Message) -> str:
    line = " ".join(text_of(message.parts).split())
    return line if len(line) <= TITLE_LENGTH else line[: TITLE_LENGTH - 1].rstrip() + "…"


def _answer(
    draft: _Draft,
    parent: str,
    run: str,
    answer: str,
    model: str,
    settings: Settings,
    cause: Literal["post", "edit", "regenerate"],
    at: datetime,
) -> None:
    message = Message(
        id=answer,
        conversation=draft.state.header.id,
        role="assistant",
        parts=(),
        created_at=at,
        parent=parent,
        status="in_progress",
        model=model,
        run=run,
    )
    draft.add(MessageAdded(message), RunStarted(run, answer, model, at, settings, cause))


# --- changing what was said --------------------------------------------------------------------------------------


def _edit(draft: _Draft, command: EditMessage, known: Known) -> Receipt:
    _alive(draft.state)
    target = _find(draft.state, known, command.target, "/id")
    match target.role:
        case "assistant":
            _settled(draft.state, target)
            revised = replace(target, parts=command.parts, revision=target.revision + 1)
            draft.add(MessageRevised(revised, command.at))
            return draft.receipt(message=target.id)
        case "user":
            _free(draft.state, known, command.message)
            message = replace(target, id=command.message, parts=command.parts, created_at=command.at, revision=0)
            if command.respond:
                _cancel(draft, "edit", command.at)
            draft.add(MessageAdded(message))
            if command.respond:
                _answer(
                    draft,
                    message.id,
                    command.run,
                    command.answer,
                    command.model,
                    command.settings,
                    "edit",
                    command.at,
                )
            return _said(draft, command)
        case "system" | "tool":
            raise InvalidError(f"a {target.role} message cannot be edited", pointer="/id")


def _regenerate(draft: _Draft, command: Regenerate, known: Known) -> Receipt:
    _alive(draft.state)
    target = _find(draft.state, known, command.target, "/id")
    parent = target.id if target.role == "user" else target.parent
    if parent is None or target.role not in ("user", "assistant"):
        raise InvalidError("there is no message that this one answers", pointer="/id")
    _cancel(draft, "interrupt", command.at)
    _answer(draft, parent, command.run, command.answer, command.model, command.settings, "regenerate", command.at)
    return draft.receipt(run=command.run, answer=command.answer)


def _continue(draft: _Draft, command: ContinueAnswer, known: Known) -> Receipt:
    _alive(draft.state)
    target = _find(draft.state, known, command.target, "/id")
    if target.role != "assistant":
        raise InvalidError("only an answer can be continued", pointer="/id")
    _settled(draft.state, target)
    if target.status == "completed":
        raise ConflictError("this answer is complete: regenerate it, or ask for more", pointer="/id")
    if draft.state.run is not None:
        raise ConflictError("another answer is being written: stop it first")
    if draft.state.header.head != target.id:
        raise ConflictError("only the last message of the active branch can be continued", pointer="/id")
    draft.add(
        RunStarted(
            command.run,
            target.id,
            command.model,
            command.at,
            command.settings,
            command.cause,
            target.attempt + 1,
            len(target.parts),
        )
    )
    return draft.receipt(run=command.run, answer=target.id)


def _remove(draft: _Draft, command: RemoveMessage, known: Known) -> Receipt:
    if any(queued.message.id == command.target for queued in draft.state.inbox):
        draft.add(InboxRemoved(command.target, "withdrawn"))
        return draft.receipt(message=command.target)
    target = _find(draft.state, known, command.target, "/id")
    state = draft.state
    if state.header.head in known.below or (state.run is not None and state.run.message in known.below):
        _cancel(draft, "removed", command.at)
    lost = [queued.message for queued in state.inbox if queued.placed and queued.message.parent in known.below]
    draft.add(*(InboxRemoved(message.id, "withdrawn") for message in lost))
    head = target.parent if state.header.head in known.below else state.header.head
    draft.add(MessageRemoved(target.id, head, command.at))
    return draft.receipt(message=target.id)


def _update(draft: _Draft, command: UpdateConversation, known: Known) -> Receipt:
    header = draft.state.header
    if command.expected is not None and command.expected != header.version:
        raise ConflictError(
            f"the conversation is at version {header.version}, not {command.expected}: read it again",
            pointer="/expected",
        )
    if isinstance(command.head, str):
        _find(draft.state, known, command.head, "/head")
    if command.deleted is True:
        _cancel(draft, "removed", command.at)
        draft.add(*(InboxRemoved(waiting.message.id, "withdrawn") for waiting in draft.state.inbox))
    updated = _changes(header, command)
    if updated is not None:
        draft.add(updated)
    if command.head is not UNSET and command.head != header.head:
        draft.add(HeadMoved(command.head, command.at))
    return draft.receipt()


def _changes(header: Conversation, command: UpdateConversation) -> ConversationUpdated | None:
    names = ("title", "model", "system", "settings", "metadata", "archived", "pinned", "folder")
    asked = {name: getattr(command, name) for name in names}
    changes = {name: value for name, value in asked.items() if value is not UNSET and value != getattr(header, name)}
    if command.deleted is not UNSET and command.deleted != (header.deleted_at is not None):
        changes["deleted"] = command.deleted
    return ConversationUpdated(command.at, **changes) if changes else None


# --- ending and going on -----------------------------------------------------------------------------------------


def _stop(draft: _Draft, command: Stop) -> Receipt:
    run = draft.state.run
    if run is None or command.run not in (None, run.run):
        return draft.receipt()
    _cancel(draft, "stop", command.at, command.seen)
    return Receipt(
        draft.state.next_seq - 1,
        draft.first,
        run=run.run,
        answer=run.message,
        output_tokens=run.usage.output_tokens if run.usage else run.tokens,
        estimated=run.usage is None,
    )


def _recover(draft: _Draft, command: Recover) -> Receipt:
    run = draft.state.run
    if run is None:
        return draft.receipt()
    draft.add(*close(run, RunInterrupted(run.run, run.message, command.at)))
    if command.resume:
        draft.add(
            RunStarted(
                command.run, run.message, run.model, command.at, run.settings, "recover", run.attempt + 1, run.parts
            )
        )
    return draft.receipt(run=command.run if command.resume else None, answer=run.message)


def _cancel(
    draft: _Draft,
    reason: Literal["stop", "interrupt", "removed", "edit"],
    at: datetime,
    seen: str | None = None,
) -> None:
    run = draft.state.run
    if run is not None:
        draft.add(*close(run, RunCancelled(run.run, run.message, at, reason, seen)))


# --- what a command may count on ---------------------------------------------------------------------------------


def _alive(state: State) -> None:
    if state.header.deleted_at is not None:
        raise ConflictError("the conversation is in the trash: restore it first")


def _find(state: State, known: Known, message: str, pointer: str) -> Message:
    found = known.messages.get(message)
    if found is None or found.conversation != state.header.id:
        raise NotFoundError(f"there is no message {message!r} in this conversation", pointer=pointer)
    return found


def _free(state: State, known: Known, message: str) -> None:
    # Message ids are the client's to choose and unique in the whole store.
    if message in known.messages or any(queued.message.id == message for queued in state.inbox):
        raise ConflictError(f"the id {message!r} is taken by another message: choose a new one", pointer="/id")


def _settled(state: State, target: Message) -> None:
    run: LiveRun | None = state.run
    if run is not None and run.message == target.id:
        raise ConflictError("this message is being written: stop it first", pointer="/id")
