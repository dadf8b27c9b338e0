"""A decision being made, and what every command may count on. The commands themselves are ``saying`` and ``changing``."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from trialogue._deciding.commands import Known, Receipt
from trialogue._deciding.live_run import LiveRun
from trialogue._deciding.running import close
from trialogue._deciding.state import State, evolve
from trialogue._facts.errors import ConflictError, InvalidError, NotFoundError
from trialogue._facts.events import Event, MessageAdded
from trialogue._facts.run_events import RunCancelled, RunStarted
from trialogue._facts.values import Conversation, Message, Settings, Terms


class Draft:
    """A decision being made: events so far and the state after them."""

    def __init__(self, state: State, asked: int | None = None) -> None:
        self.state = state
        #: As in ``Known``.
        self.asked = asked
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


def start_answer(
    draft: Draft,
    parent: str,
    run: str,
    answer: str,
    model: str,
    settings: Settings,
    cause: Literal["post", "edit", "regenerate"],
    at: datetime,
    terms: Terms,
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
    draft.add(MessageAdded(message), RunStarted(run, answer, model, at, settings, cause, terms=terms))


def cancel(
    draft: Draft,
    reason: Literal["stop", "interrupt", "removed", "edit"],
    at: datetime,
    seen: str | None = None,
) -> None:
    run = draft.state.run
    if run is not None:
        draft.add(*close(run, RunCancelled(run.run, run.message, at, reason, seen), draft.asked))


# --- what a command may count on ---------------------------------------------------------------------------------


def must_be_alive(state: State) -> None:
    if state.header.deleted_at is not None:
        raise ConflictError("the conversation is in the trash: restore it first")


def must_find(state: State, known: Known, message: str, pointer: str) -> Message:
    found = known.messages.get(message)
    if found is None or found.conversation != state.header.id:
        raise NotFoundError(f"there is no message {message!r} in this conversation", pointer=pointer)
    return found


def must_be_free(state: State, known: Known, message: str) -> None:
    # Message ids are the client's to choose and unique in the whole store.
    if message in known.taken or any(queued.message.id == message for queued in state.inbox):
        raise ConflictError(f"the id {message!r} is taken by another message: choose a new one", pointer="/id")


def must_be_settled(state: State, target: Message) -> None:
    run: LiveRun | None = state.run
    if run is not None and run.message == target.id:
        raise ConflictError("this message is being written: stop it first", pointer="/id")


def must_be_whole(header: Conversation, message: Message) -> None:
    if message.conversation != header.id or message.status in ("queued", "in_progress"):
        raise InvalidError(f"the message {message.id!r} is unfinished, or of another conversation", pointer="/messages")
