"""Snapshots: a conversation as it was shown at one sequence number, from which a reader goes on with events.

Always read from the store, never from the actor: what is stored is committed, and so may be shown (I5).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from trialogue._actors.activate import fold_state, read_events
from trialogue._deciding.answer import fold_answer
from trialogue._deciding.state import State
from trialogue._facts.cursor import Cursor
from trialogue._facts.errors import NotFoundError
from trialogue._facts.events import Queued
from trialogue._facts.run_events import OpenCall
from trialogue._facts.values import Conversation, Message
from trialogue._storage.one_history import one_history
from trialogue._storage.store import Store, View

_encoder = msgspec.json.Encoder()


class RunView(msgspec.Struct, frozen=True):
    """The live run, as readers see it. ``part`` is the open part's number; ``waiting`` as the last ``run.waiting`` said."""

    run: str
    message: str
    model: str
    part: int | None
    waiting: Literal["turn", "retry"] | None = None
    #: Tool calls that have no result yet, and what becomes of them.
    calls: tuple[OpenCall, ...] = ()


class Snapshot(msgspec.Struct, frozen=True, tag="snapshot"):
    """A conversation after event ``seq``. ``token`` is the cursor there.

    ``messages`` is the end of the active branch, oldest first; each is a message's JSON with ``siblings``, the ids that
    share its parent. A live answer holds what was written so far.
    """

    conversation: Conversation
    messages: list[msgspec.Raw]
    run: RunView | None
    inbox: tuple[Queued, ...]
    seq: int
    token: str
    has_more: bool


class Tree(msgspec.Struct, frozen=True, tag="tree"):
    """As a snapshot, but with messages of all branches, parents before their children; ``cursor`` gives the next page."""

    conversation: Conversation
    messages: list[msgspec.Raw]
    run: RunView | None
    inbox: tuple[Queued, ...]
    seq: int
    token: str
    cursor: str | None
    has_more: bool


async def take_snapshot(store: Store, conversation: str, limit: int) -> Snapshot:
    """The conversation as committed now. Raises ``NotFoundError``, ``StorageError``."""
    with one_history(store):
        return await _take_snapshot(store, conversation, limit)


async def _take_snapshot(store: Store, conversation: str, limit: int) -> Snapshot:
    view = await store.view(conversation, limit)
    if view is None:
        raise NotFoundError(f"there is no conversation {conversation!r}")
    state = await fold_state(store, conversation, view.snapshot, view.next_seq, view.entries)
    messages = [await _written(store, message, state, view.next_seq) for message in view.messages]
    return Snapshot(
        conversation=view.header,
        messages=[with_siblings(message, view.siblings.get(message.id, (message.id,))) for message in messages],
        run=_run_view(state),
        inbox=state.inbox,
        seq=view.next_seq - 1,
        token=str(Cursor(store.generation, await _last_epoch(store, view), view.next_seq - 1)),
        has_more=view.has_more,
    )


async def _last_epoch(store: Store, view: View) -> int:
    if view.last_epoch is not None:
        return view.last_epoch
    return (await store.events(view.header.id, view.next_seq - 1, 1))[0].epoch


def _run_view(state: State) -> RunView | None:
    run = state.run
    if run is None:
        return None
    return RunView(
        run.run, run.message, run.model, run.parts - 1 if run.open_kind else None, run.waiting, run.steps.calls
    )


async def _written(store: Store, message: Message, state: State, next_seq: int) -> Message:
    run = state.run
    if run is None or run.message != message.id:
        return message
    events = [e async for e in read_events(store, message.conversation, run.first_seq, next_seq)]
    return fold_answer(message, events).message()


async def take_tree(store: Store, conversation: str, limit: int, cursor: str | None = None) -> Tree:
    """A page of all branches as committed now. Raises ``NotFoundError``, ``InvalidError`` (cursor), ``StorageError``."""
    with one_history(store):
        return await _take_tree(store, conversation, limit, cursor)


async def _take_tree(store: Store, conversation: str, limit: int, cursor: str | None) -> Tree:
    view = await store.tree(conversation, limit, cursor)
    if view is None:
        raise NotFoundError(f"there is no conversation {conversation!r}")
    state = await fold_state(store, conversation, view.snapshot, view.next_seq)
    messages = [await _written(store, message, state, view.next_seq) for message in view.messages]
    last = await store.events(conversation, view.next_seq - 1, 1)
    return Tree(
        conversation=view.header,
        messages=[with_siblings(message, view.siblings.get(message.id, (message.id,))) for message in messages],
        run=_run_view(state),
        inbox=state.inbox,
        seq=view.next_seq - 1,
        token=str(Cursor(store.generation, last[0].epoch, view.next_seq - 1)),
        cursor=view.cursor,
        has_more=view.cursor is not None,
    )


async def written(store: Store, message: Message) -> Message:
    """``message``, which was just read, with what is committed of its text if it is being written."""
    found: Message | None = message
    while found is not None and found.status == "in_progress":
        view = await store.view(found.conversation, 0)
        if view is None:
            break
        state = await fold_state(store, found.conversation, view.snapshot, view.next_seq)
        if state.run is None or state.run.run != found.run:
            # It ended, or was gone on with, between the two looks: its row says how.
            found = await store.message(found.id)
            continue
        return await _written(store, found, state, view.next_seq)
    return found or message


def with_siblings(message: Message, siblings: tuple[str, ...]) -> msgspec.Raw:
    """The message's JSON with one more field, ``siblings``."""
    return msgspec.Raw(_encoder.encode(message)[:-1] + b',"siblings":' + _encoder.encode(siblings) + b"}")


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """The snapshot as one JSON object."""
    return _encoder.encode(snapshot)


def frame_snapshot(snapshot: Snapshot) -> bytes:
    """The snapshot as the first event of a stream."""
    return b"id: %b\nevent: snapshot\ndata: %b\n\n" % (snapshot.token.encode(), encode_snapshot(snapshot))
