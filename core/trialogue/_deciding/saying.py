"""Saying something: a message is answered at once, or waits in the inbox until its turn comes. Pure, part of ``decide``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from trialogue._deciding.commands import EditMessage, Known, PostMessage, Receipt
from trialogue._deciding.draft import Draft, cancel, must_be_alive, must_be_free, must_find, start_answer
from trialogue._deciding.state import State
from trialogue._facts.errors import ConflictError, LimitError
from trialogue._facts.events import ConversationUpdated, Event, InboxAdded, InboxRemoved, MessageAdded, Queued
from trialogue._facts.values import Message, text_of

#: Length of the title taken from a first message, in code points: a line of a sidebar.
TITLE_LENGTH = 60


def post(draft: Draft, command: PostMessage, known: Known) -> Receipt:
    state = draft.state
    must_be_alive(state)
    must_be_free(state, known, command.message)
    if isinstance(command.parent, str):
        must_find(state, known, command.parent, "/parent")
    queued = _queued(state, command)
    if state.run is None and not known.held:
        say(draft, queued, command.at)
        return said(draft, command)
    match command.policy:
        case "reject" if state.run is not None:
            raise ConflictError("an answer is being written: stop it, or post with another policy", pointer="/policy")
        case "interrupt":
            cancel(draft, "interrupt", command.at)
            if not known.held:
                say(draft, queued, command.at)
                return said(draft, command)
            _must_have_room(state.inbox, queued, known)
        case "latest":
            draft.add(*(InboxRemoved(waiting.message.id, "superseded") for waiting in state.inbox))
        case "queue" | "steer" | "reject":
            _must_have_room(state.inbox, queued, known)
    # A steering message goes first: it is read at the next boundary between generations.
    draft.add(InboxAdded(queued, front=command.policy == "steer"))
    return said(draft, command, queued=True)


def _must_have_room(inbox: Sequence[Queued], queued: Queued, known: Known) -> None:
    most, size = known.inbox, known.inbox_bytes
    instead = "wait for an answer, or take some back"
    if len(inbox) >= most:
        raise LimitError(f"{most} messages are waiting already (inbox_messages): {instead}")
    if inbox and len(msgspec.json.encode((*inbox, queued))) > size:
        raise LimitError(f"with it more than {size} bytes of messages would wait (inbox_bytes): {instead}")


def said(draft: Draft, command: PostMessage | EditMessage, *, queued: bool = False) -> Receipt:
    # What nobody answers promises no answer.
    if not command.respond:
        return draft.receipt(message=command.message, queued=queued)
    return draft.receipt(message=command.message, run=command.run, answer=command.answer, queued=queued)


def _queued(state: State, command: PostMessage) -> Queued:
    message = Message(
        id=command.message,
        conversation=state.header.id,
        role="user",
        parts=command.parts,
        created_at=command.at,
        parent=None if command.parent is UNSET else command.parent,
        metadata=command.metadata,
        location=command.location,
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
        terms=command.terms,
    )


def advance(state: State, at: datetime) -> Sequence[Event]:
    """What follows by itself: while no run is live, waiting messages are taken, up to the first that is to be answered."""
    draft = Draft(state)
    while draft.state.run is None and draft.state.inbox:
        queued = draft.state.inbox[0]
        draft.add(InboxRemoved(queued.message.id, "taken"))
        say(draft, queued, at)
    return draft.events


def say(draft: Draft, queued: Queued, at: datetime) -> None:
    message = queued.message if queued.placed else replace(queued.message, parent=draft.state.header.head)
    draft.add(MessageAdded(message))
    if draft.state.header.title is None and (title := titled_by(message)):
        draft.add(ConversationUpdated(at, title=title))
    if queued.respond:
        start_answer(
            draft, message.id, queued.run, queued.answer, queued.model, queued.settings, "post", at, queued.terms
        )


def titled_by(message: Message) -> str:
    """The title that a first message gives to its conversation."""
    return first_line(" ".join(text_of(message.parts).split()))


def first_line(line: str) -> str:
    """As much of it as a title has."""
    return line if len(line) <= TITLE_LENGTH else line[: TITLE_LENGTH - 1].rstrip() + "…"
