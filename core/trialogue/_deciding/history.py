"""Beginning a conversation with what was said before: a fork's branch, or an import's tree. Pure, but for ``prepare_far``.

The log of such a conversation reads like any other: it was created, its messages were added, some were corrected, the head
moved. Folding it gives exactly the header that was asked for, with the number of its last event as its version.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec
import trio
from msgspec.structs import replace

from trialogue._deciding.state import State, begin, encode_state, evolve
from trialogue._facts.errors import InvalidError
from trialogue._facts.events import (
    ConversationCreated,
    ConversationUpdated,
    Entry,
    Event,
    HeadMoved,
    MessageAdded,
    MessageRevised,
    encode_event,
    event_type,
)
from trialogue._facts.values import Conversation, Failure, Message, Part, TextPart
from trialogue._storage.store import History

#: Messages that are encoded in the loop; more are in a thread.
FEW = 20

#: Told in a copy of an answer that was not whole.
COPIED = Failure(
    "copied", "This is a copy of an answer that was not finished, or that was cut here. Continue it or try again.", True
)


class Beginning(msgspec.Struct, frozen=True):
    """A conversation as it is to begin. ``messages`` stand after their parents; ``revisions`` follow on them, in order.

    A message that was corrected stands in ``messages`` as it was first.
    """

    header: Conversation
    messages: tuple[Message, ...]
    revisions: tuple[MessageRevised, ...] = ()


class Prepared(msgspec.Struct, frozen=True):
    """What a store is handed."""

    header: Conversation
    entry: Entry
    history: History


def events_of(beginning: Beginning) -> Iterator[Event]:
    """The log that ends in what was asked for. Raises ``InvalidError`` for what is no tree."""
    header = beginning.header
    yield ConversationCreated(replace(header, head=None, version=0, deleted_at=None))
    seen: set[str] = set()
    last: datetime = header.updated_at
    for message in beginning.messages:
        _must_fit(header, message, seen)
        seen.add(message.id)
        last = message.created_at
        yield MessageAdded(message)
    for revision in beginning.revisions:
        last = revision.at
        yield revision
    if header.deleted_at is not None:
        last = header.deleted_at
        yield ConversationUpdated(header.deleted_at, deleted=True)
    head = beginning.messages[-1].id if beginning.messages else None
    if header.head not in seen and header.head is not None:
        raise InvalidError(f"the head {header.head!r} is no message of it", pointer="/head")
    if head != header.head or last != header.updated_at:
        yield HeadMoved(header.head, header.updated_at)


def _must_fit(header: Conversation, message: Message, seen: set[str]) -> None:
    if message.id in seen:
        raise InvalidError(f"the message {message.id!r} stands in it twice")
    if message.conversation != header.id or (message.parent is not None and message.parent not in seen):
        raise InvalidError(f"the message {message.id!r} hangs below none that stands before it")
    if message.status in ("queued", "in_progress"):
        raise InvalidError(f"the message {message.id!r} cannot begin unfinished, as nobody would finish it")


def prepare(beginning: Beginning) -> Prepared:
    """Entries, rows and snapshot. Raises ``InvalidError``."""
    entries: list[Entry] = []
    state: State | None = None
    for seq, event in enumerate(events_of(beginning)):
        entries.append(Entry(seq, 1, event_type(event), encode_event(event)))
        state = begin(event) if isinstance(event, ConversationCreated) else evolve(_known(state), event)
    rows = {message.id: message for message in beginning.messages}
    rows.update((revision.message.id, revision.message) for revision in beginning.revisions)
    state = _known(state)
    return Prepared(state.header, entries[0], History(tuple(entries[1:]), tuple(rows.values()), encode_state(state)))


async def prepare_far(beginning: Beginning) -> Prepared:
    """The same, in a thread when it takes long enough to be felt."""
    if len(beginning.messages) <= FEW:
        return prepare(beginning)
    return await trio.to_thread.run_sync(prepare, beginning)


def _known(state: State | None) -> State:
    assert state is not None, "a log begins with the creation"
    return state


def branch_copy(
    path: Sequence[Message], conversation: str, ids: Sequence[str], at: int | None = None
) -> tuple[Message, ...]:
    """Copies of ``path``, one below the other, with fresh ``ids``; of the last one only the first ``at`` code points."""
    copies: list[Message] = []
    for message, name in zip(path, ids, strict=True):
        parent = copies[-1].id if copies else None
        copies.append(settled(replace(message, id=name, conversation=conversation, parent=parent, run=None)))
    if at is not None:
        copies[-1] = cut(copies[-1], at)
    return tuple(copies)


def settled(message: Message) -> Message:
    """A message that nobody goes on writing: one that was being written is told to be incomplete."""
    if message.status not in ("queued", "in_progress"):
        return message
    return replace(message, status="incomplete", finish_reason=None, failure=COPIED)


def cut(message: Message, at: int) -> Message:
    """Its first ``at`` code points of text and what stands before them. Raises ``InvalidError`` when it has fewer."""
    length = sum(len(part.text) for part in message.parts if isinstance(part, TextPart))
    if message.role != "assistant":
        raise InvalidError("only an answer can be cut: leave `at` out, or name an answer", pointer="/at")
    if not 0 < at <= length:
        raise InvalidError(f"the answer has {length} characters: `at` must be from 1 to {length}", pointer="/at")
    if at == length and message.status == "completed":
        return message
    # What it cost was the price of all of it, and a summary would tell of all of it.
    return replace(
        message,
        parts=tuple(_up_to(message.parts, at)),
        status="incomplete",
        finish_reason=None,
        usage=None,
        failure=COPIED,
        summary=None,
    )


def _up_to(parts: Sequence[Part], at: int) -> Iterator[Part]:
    for part in parts:
        if isinstance(part, TextPart):
            yield TextPart(part.text[:at])
            at -= len(part.text)
        else:
            yield part
        if at <= 0:
            return
