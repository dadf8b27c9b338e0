"""Commands: what enters a conversation's mailbox. Each has a client-chosen ``id`` that makes it take effect once.

A command carries every fresh id and the time it needs, chosen at the edge, so that deciding it is pure. The same command
again, whatever the entrance, is answered with the first one's receipt; the same id with another meaning is a conflict.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from trialogue._facts.events import Aside
from trialogue._facts.values import AnswerSchema, Location, Message, Part, Policy, Settings, Terms


class CreateConversation(msgspec.Struct, frozen=True, tag="create"):
    """Begin a conversation. The command's id is the conversation's, so that a retry finds it."""

    id: str
    owner: str
    at: datetime
    title: str | None = None
    model: str | None = None
    system: str | None = None
    settings: Settings = Settings()
    metadata: dict[str, Any] | None = None


class ForkConversation(msgspec.Struct, frozen=True, tag="fork"):
    """Begin a conversation with a branch of ``source``: up to ``message`` (its head, for ``None``), of which only the first
    ``cut`` code points if that is given. The command's id is the new conversation's, so that a retry finds it.
    """

    id: str
    owner: str
    at: datetime
    source: str
    message: str | None = None
    cut: int | None = None
    title: str | None = None


class UpdateConversation(msgspec.Struct, frozen=True, tag="update"):
    """Change what is set; ``head`` switches to another branch. ``expected`` is the version the caller saw."""

    id: str
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
    head: str | None | UnsetType = UNSET
    expected: int | None = None


class GiveTitle(msgspec.Struct, frozen=True, tag="title"):
    """A model was asked for a title: it replaces ``was``, and nothing else that somebody may have put there."""

    id: str
    at: datetime
    was: str | None
    title: str | None
    titled: Aside


class CompactContext(msgspec.Struct, frozen=True, tag="compact"):
    """A model was asked to sum up the branch that ends in ``message``, as it was read when the conversation had the version
    ``seen``; with a ``summary``, unless nothing came of it.
    """

    id: str
    at: datetime
    message: str
    seen: int
    summary: str | None
    asked: Aside


class PostMessage(msgspec.Struct, frozen=True, tag="post"):
    """Say something and, unless ``respond`` is false, have it answered.

    ``parent`` absent means "below the head when its turn comes". ``message``, ``run`` and ``answer`` are fresh ids.
    """

    id: str
    at: datetime
    message: str
    run: str
    answer: str
    parts: tuple[Part, ...]
    model: str
    settings: Settings = Settings()
    parent: str | None | UnsetType = UNSET
    policy: Policy = "queue"
    respond: bool = True
    metadata: dict[str, Any] | None = None
    terms: Terms = Terms()
    location: Location | None = None


class EditMessage(msgspec.Struct, frozen=True, tag="edit"):
    """A user's message gets a sibling with ``parts`` and, if ``respond``, an answer; an assistant's is revised in place."""

    id: str
    at: datetime
    target: str
    message: str
    run: str
    answer: str
    parts: tuple[Part, ...]
    model: str
    settings: Settings = Settings()
    respond: bool = True
    terms: Terms = Terms()


class Regenerate(msgspec.Struct, frozen=True, tag="regenerate"):
    """Another attempt: a sibling of the assistant message ``target``, or a first answer below a user message."""

    id: str
    at: datetime
    target: str
    run: str
    answer: str
    model: str
    settings: Settings = Settings()
    terms: Terms = Terms()


class ContinueAnswer(msgspec.Struct, frozen=True, tag="continue"):
    """Go on with the unfinished answer ``target`` from where it stopped."""

    id: str
    at: datetime
    target: str
    run: str
    model: str
    settings: Settings = Settings()
    cause: Literal["continue", "recover"] = "continue"
    terms: Terms = Terms()


class AddMessages(msgspec.Struct, frozen=True, tag="add"):
    """Add what was said elsewhere: whole messages, each after its parent, that were never in this conversation.

    The head moves to ``head`` if it still is what the caller has ``seen``; otherwise it stays where it is.
    """

    id: str
    at: datetime
    messages: tuple[Message, ...]
    head: str | None = None
    seen: str | None = None


class RemoveMessage(msgspec.Struct, frozen=True, tag="remove"):
    """Remove ``target`` and what hangs below it, or take a waiting message back."""

    id: str
    at: datetime
    target: str


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """End the live run (or the one named) now. Its receipt comes when nothing of it is left."""

    id: str
    at: datetime
    run: str | None = None
    seen: str | None = None


class AnswerApproval(msgspec.Struct, frozen=True, tag="approval"):
    """Say whether the tool call ``call`` may be made, and with which arguments. The command's id is the call's, so that
    the first answer counts.
    """

    id: str
    at: datetime
    call: str
    decision: Literal["approve", "deny", "edit"]
    arguments: str | None = None
    reason: str | None = None


class ExpireApprovals(msgspec.Struct, frozen=True, tag="expire"):
    """Our own, from time to time: deny the calls that nobody has decided about in time."""

    id: str
    at: datetime


class Recover(msgspec.Struct, frozen=True, tag="recover"):
    """Our own, after a claim: close the run whose process is gone and, if ``resume``, go on with its answer as ``run``."""

    id: str
    at: datetime
    run: str
    resume: bool


Command: TypeAlias = (
    UpdateConversation
    | GiveTitle
    | CompactContext
    | PostMessage
    | EditMessage
    | Regenerate
    | ContinueAnswer
    | AddMessages
    | RemoveMessage
    | Stop
    | AnswerApproval
    | ExpireApprovals
    | Recover
)


class Receipt(msgspec.Struct, frozen=True):
    """What a command did, kept with its id: every repeat gets the same one.

    ``seq`` is the number of its last event, or of the log's last one when it changed nothing; ``first`` that of its first
    event, or the one after ``seq`` then.
    """

    seq: int
    first: int = 0
    message: str | None = None
    run: str | None = None
    answer: str | None = None
    #: The message waits for its turn.
    queued: bool = False
    #: Output tokens of a stopped run, as its usage says, and whether that is an estimate.
    output_tokens: int | None = None
    estimated: bool = False


class Known(msgspec.Struct, frozen=True):
    """What deciding a command needs to know beyond the state, loaded at the edge."""

    #: Those of ``needs`` that there are.
    messages: dict[str, Message] = {}
    #: For a removal: those of ``leaves`` that are the message to be removed, or hang below it. For a correction in place:
    #: those of the summaries.
    below: frozenset[str] = frozenset()
    #: How many tokens the live run asked its provider with, by our own count; ``None`` when that is not known.
    asked: int | None = None
    #: Those of ``names`` that some message of the store has: one that waits for its turn, or was removed, too.
    taken: frozenset[str] = frozenset()
    #: No run may begin: another process is about to go on, and what is said waits for that one.
    held: bool = False
    #: Messages that may wait in the conversation's inbox: far more than a person types ahead, few enough for a snapshot; and
    #: what they may take as JSON, all in all, but for the first: every snapshot of the conversation holds them.
    inbox: int = 100
    inbox_bytes: int = 4_194_304


def needs(command: Command) -> tuple[str, ...]:
    """Ids of the messages that deciding ``command`` looks at."""
    match command:
        case PostMessage(parent=str() as parent):
            return (parent,)
        case UpdateConversation(head=str() as head):
            return (head,)
        case EditMessage() | Regenerate() | ContinueAnswer() | RemoveMessage():
            return (command.target,)
        case CompactContext():
            return (command.message,)
        case AddMessages(messages=messages):
            above = (message.parent for message in messages if message.parent is not None)
            return tuple(dict.fromkeys(above))
        case _:
            return ()


def names(command: Command) -> tuple[str, ...]:
    """Ids that ``command`` gives to messages, if nobody has them."""
    match command:
        case PostMessage() | EditMessage():
            return (command.message,)
        case AddMessages(messages=messages):
            return tuple(message.id for message in messages)
        case _:
            return ()


def schema_of(command: Command | CreateConversation) -> AnswerSchema | None:
    """The schema that a command wants for an answer, or for all answers of its conversation."""
    settings = getattr(command, "settings", None)
    return settings.answer_schema if isinstance(settings, Settings) else None


def terms_of(command: Command, known: Known) -> Terms | None:
    """The terms of the answer that a command asks for; ``None`` when it asks for none."""
    match command:
        case PostMessage(respond=False) | EditMessage(respond=False):
            return None
        case EditMessage(target=target) if target in known.messages and known.messages[target].role == "assistant":
            return None  # It is corrected in place.
        case PostMessage() | EditMessage() | Regenerate() | ContinueAnswer():
            return command.terms
        case _:
            return None
