"""Changing what was said: editing, another attempt, going on, removing; and the conversation itself. Part of ``decide``."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET
from msgspec.structs import replace

from trialogue._deciding.commands import (
    AddMessages,
    CompactContext,
    ContinueAnswer,
    EditMessage,
    GiveTitle,
    Known,
    Receipt,
    Regenerate,
    RemoveMessage,
    UpdateConversation,
)
from trialogue._deciding.draft import (
    Draft,
    cancel,
    must_be_alive,
    must_be_free,
    must_be_settled,
    must_be_whole,
    must_find,
    start_answer,
)
from trialogue._deciding.saying import said
from trialogue._deciding.state import MOST_SUMMARIES, State
from trialogue._facts.errors import ConflictError, InvalidError
from trialogue._facts.events import (
    ContextCompacted,
    ConversationUpdated,
    HeadMoved,
    InboxRemoved,
    MessageAdded,
    MessageRemoved,
    MessageRevised,
)
from trialogue._facts.run_events import RunStarted
from trialogue._facts.values import Conversation, Message


def edit(draft: Draft, command: EditMessage, known: Known) -> Receipt:
    must_be_alive(draft.state)
    target = must_find(draft.state, known, command.target, "/id")
    match target.role:
        case "assistant":
            must_be_settled(draft.state, target)
            revised = replace(target, parts=command.parts, revision=target.revision + 1, summary=None)
            stale = tuple(message for message in draft.state.summaries if message in known.below)
            draft.add(MessageRevised(revised, command.at, stale))
            return draft.receipt(message=target.id)
        case "user":
            must_be_free(draft.state, known, command.message)
            message = replace(
                target, id=command.message, parts=command.parts, created_at=command.at, revision=0, summary=None
            )
            if command.respond:
                cancel(draft, "edit", command.at)
            draft.add(MessageAdded(message))
            if command.respond:
                start_answer(
                    draft,
                    message.id,
                    command.run,
                    command.answer,
                    command.model,
                    command.settings,
                    "edit",
                    command.at,
                    command.terms,
                )
            return said(draft, command)
        case "system" | "tool":
            raise InvalidError(f"a {target.role} message cannot be edited", pointer="/id")


def regenerate(draft: Draft, command: Regenerate, known: Known) -> Receipt:
    must_be_alive(draft.state)
    target = must_find(draft.state, known, command.target, "/id")
    parent = target.id if target.role == "user" else target.parent
    if parent is None or target.role not in ("user", "assistant"):
        raise InvalidError("there is no message that this one answers", pointer="/id")
    cancel(draft, "interrupt", command.at)
    start_answer(
        draft,
        parent,
        command.run,
        command.answer,
        command.model,
        command.settings,
        "regenerate",
        command.at,
        command.terms,
    )
    return draft.receipt(run=command.run, answer=command.answer)


def go_on(draft: Draft, command: ContinueAnswer, known: Known) -> Receipt:
    must_be_alive(draft.state)
    target = must_find(draft.state, known, command.target, "/id")
    if target.role != "assistant":
        raise InvalidError("only an answer can be continued", pointer="/id")
    must_be_settled(draft.state, target)
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
            command.terms,
        )
    )
    return draft.receipt(run=command.run, answer=target.id)


def add_messages(draft: Draft, command: AddMessages, known: Known) -> Receipt:
    must_be_alive(draft.state)
    before = draft.state.header
    added: set[str] = set()
    for message in command.messages:
        if message.parent is not None and message.parent not in added:
            must_find(draft.state, known, message.parent, "/messages")
        must_be_free(draft.state, known, message.id)
        must_be_whole(before, message)
        draft.add(MessageAdded(message))
        added.add(message.id)
    follows = command.head in added and before.head == command.seen and draft.state.run is None
    head = command.head if follows else before.head
    # An old message is news all the same, and a list does not go back in time.
    at = max(before.updated_at, *(message.created_at for message in command.messages))
    if added and (draft.state.header.head, draft.state.header.updated_at) != (head, at):
        draft.add(HeadMoved(head, at))
    return draft.receipt()


def remove(draft: Draft, command: RemoveMessage, known: Known) -> Receipt:
    if any(queued.message.id == command.target for queued in draft.state.inbox):
        draft.add(InboxRemoved(command.target, "withdrawn"))
        return draft.receipt(message=command.target)
    target = must_find(draft.state, known, command.target, "/id")
    state = draft.state
    if state.header.head in known.below or (state.run is not None and state.run.message in known.below):
        cancel(draft, "removed", command.at)
    lost = [queued.message for queued in state.inbox if queued.placed and queued.message.parent in known.below]
    draft.add(*(InboxRemoved(message.id, "withdrawn") for message in lost))
    head = target.parent if state.header.head in known.below else state.header.head
    draft.add(MessageRemoved(target.id, head, command.at))
    return draft.receipt(message=target.id)


def leaves(state: State) -> Sequence[str]:
    """Messages that must not be lost sight of in a removal: the head, the live answer, what waiting messages hang below."""
    placed = [queued.message.parent for queued in state.inbox if queued.placed]
    answer = None if state.run is None else state.run.message
    return [name for name in dict.fromkeys((state.header.head, answer, *placed)) if name is not None]


def update(draft: Draft, command: UpdateConversation, known: Known) -> Receipt:
    header = draft.state.header
    if command.expected is not None and command.expected != header.version:
        raise ConflictError(
            f"the conversation is at version {header.version}, not {command.expected}: read it again",
            pointer="/expected",
        )
    if isinstance(command.head, str):
        must_find(draft.state, known, command.head, "/head")
    if command.deleted is True:
        cancel(draft, "removed", command.at)
        draft.add(*(InboxRemoved(waiting.message.id, "withdrawn") for waiting in draft.state.inbox))
    updated = _changes(header, command)
    if updated is not None:
        draft.add(updated)
    if command.head is not UNSET and command.head != header.head:
        draft.add(HeadMoved(command.head, command.at))
    return draft.receipt()


def give_title(draft: Draft, command: GiveTitle) -> Receipt:
    header = draft.state.header
    wanted = command.title is not None and header.title == command.was and header.deleted_at is None
    draft.add(ConversationUpdated(command.at, title=command.title if wanted else UNSET, titled=command.titled))
    return draft.receipt()


def compact(draft: Draft, command: CompactContext, known: Known) -> Receipt:
    state, target = draft.state, known.messages.get(command.message)
    summary = command.summary if target is not None and _may_be_summed_up(state, command, target) else None
    stale = () if summary is None else oldest_summaries(state)
    draft.add(ContextCompacted(command.message, command.at, command.asked, summary, stale))
    return draft.receipt()


def _may_be_summed_up(state: State, command: CompactContext, target: Message) -> bool:
    """Whether what was summed up is still what was said."""
    if target.conversation != state.header.id or state.header.deleted_at is not None:
        return False
    return state.reworded <= command.seen and (state.run is None or state.run.message != target.id)


def oldest_summaries(state: State) -> tuple[str, ...]:
    """Those that have to go when there is one more."""
    return state.summaries[: max(0, len(state.summaries) - MOST_SUMMARIES + 1)]


def _changes(header: Conversation, command: UpdateConversation) -> ConversationUpdated | None:
    names = ("title", "model", "system", "settings", "metadata", "archived", "pinned", "folder")
    asked = {name: getattr(command, name) for name in names}
    changes = {name: value for name, value in asked.items() if value is not UNSET and value != getattr(header, name)}
    if command.deleted is not UNSET and command.deleted != (header.deleted_at is not None):
        changes["deleted"] = command.deleted
    return ConversationUpdated(command.at, **changes) if changes else None
