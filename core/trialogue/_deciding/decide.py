"""``decide``: what a command does to a conversation. Pure: the state, the command and what it asked to know, nothing else.

A decision is a list of events to append together and the receipt the caller gets once they are committed. A command that
cannot take effect raises, and nothing happens. What has to be done besides (start a run, end one) follows from comparing the
state before and after, so that it is the same whether an event was just decided or read back from the log.
"""

from __future__ import annotations

from typing import assert_never

import msgspec

from trialogue._deciding.approving import answer_approval, expire_approvals
from trialogue._deciding.changing import add_messages, compact, edit, give_title, go_on, regenerate, remove, update
from trialogue._deciding.commands import (
    AddMessages,
    AnswerApproval,
    Command,
    CompactContext,
    ContinueAnswer,
    CreateConversation,
    EditMessage,
    ExpireApprovals,
    GiveTitle,
    Known,
    PostMessage,
    Receipt,
    Recover,
    Regenerate,
    RemoveMessage,
    Stop,
    UpdateConversation,
)
from trialogue._deciding.draft import Draft, cancel
from trialogue._deciding.recovering import recover
from trialogue._deciding.saying import advance, post
from trialogue._deciding.state import State
from trialogue._facts.events import ConversationCreated, Event
from trialogue._facts.values import Conversation


class Decision(msgspec.Struct, frozen=True):
    """What happens, and what the caller is told when it has."""

    events: tuple[Event, ...]
    receipt: Receipt


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
    draft = Draft(state, known.asked)
    match command:
        case PostMessage():
            receipt = post(draft, command, known)
        case EditMessage():
            receipt = edit(draft, command, known)
        case Regenerate():
            receipt = regenerate(draft, command, known)
        case ContinueAnswer():
            receipt = go_on(draft, command, known)
        case AddMessages():
            receipt = add_messages(draft, command, known)
        case RemoveMessage():
            receipt = remove(draft, command, known)
        case UpdateConversation():
            receipt = update(draft, command, known)
        case GiveTitle():
            receipt = give_title(draft, command)
        case CompactContext():
            receipt = compact(draft, command, known)
        case Stop():
            receipt = _stop(draft, command)
        case AnswerApproval():
            receipt = answer_approval(draft, command)
        case ExpireApprovals():
            receipt = expire_approvals(draft, command)
        case Recover():
            receipt = recover(draft, command, known)
        case _:
            assert_never(command)
    if not known.held:
        draft.add(*advance(draft.state, command.at))
    return Decision(tuple(draft.events), receipt)


def _stop(draft: Draft, command: Stop) -> Receipt:
    run = draft.state.run
    if run is None or command.run not in (None, run.run, *run.before):
        return draft.receipt()
    cancel(draft, "stop", command.at, command.seen)
    return Receipt(
        draft.state.next_seq - 1,
        draft.first,
        run=run.run,
        answer=run.message,
        output_tokens=run.usage.output_tokens if run.usage else run.tokens,
        estimated=run.usage is None,
    )
