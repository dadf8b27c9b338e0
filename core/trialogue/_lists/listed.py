"""A user's list as readers see it: its rows, and the events of a feed. What a feed is stands in ``feed``.

Every row is whole and says as of which event of its conversation it holds, so that applying one twice, or an old one after
a newer one, is seen and harmless. A row has what a list shows and no more: no messages, no system prompt, no metadata.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from trialogue._deciding.state import State
from trialogue._facts.values import Conversation
from trialogue._files.files import FileView


class ListedRun(msgspec.Struct, frozen=True):
    """The answer that is being written in a conversation."""

    run: str
    message: str
    model: str


class Listed(msgspec.Struct, frozen=True):
    """One conversation of a list, after its event ``seq``. ``waiting`` counts the messages in its inbox."""

    id: str
    title: str | None
    model: str | None
    archived: bool
    pinned: bool
    folder: str | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    version: int
    seq: int
    run: ListedRun | None = None
    waiting: int = 0


class ListSnapshot(msgspec.Struct, frozen=True, tag="snapshot"):
    """The first page of the list, newest activity first, and where else something is going on.

    ``running`` are the conversations with a live run or a waiting message that are not on the page: older, archived or in
    the trash; the first 200, or as many as a page has room for. ``cursor`` continues the list where
    ``GET /api/conversations`` would, ``token`` the feed.
    """

    conversations: tuple[Listed, ...]
    running: tuple[Listed, ...]
    cursor: str | None
    has_more: bool
    token: str


class ConversationChanged(msgspec.Struct, frozen=True, tag="conversation.changed"):
    """A conversation was created or changed; this is what it is now, one in the trash included.

    ``events`` names what happened to it: the types of its log's events, without those of single parts.
    """

    conversation: Listed
    events: tuple[str, ...]


class ConversationPurged(msgspec.Struct, frozen=True, tag="conversation.purged"):
    """A conversation is gone for good."""

    conversation: str


class FileUpdated(msgspec.Struct, frozen=True, tag="file.updated"):
    """A file was uploaded, or something was learnt about it; this is what it is now."""

    file: FileView


class FileRemoved(msgspec.Struct, frozen=True, tag="file.removed"):
    """A file is gone for good."""

    file: str


def listed(state: State) -> Listed:
    """The row of a conversation in ``state``."""
    run = state.run
    row = listed_at_rest(state.header, state.next_seq - 1)
    return msgspec.structs.replace(
        row, run=ListedRun(run.run, run.message, run.model) if run else None, waiting=len(state.inbox)
    )


def listed_at_rest(header: Conversation, seq: int) -> Listed:
    """The row of a conversation in which nothing is going on."""
    return Listed(
        id=header.id,
        title=header.title,
        model=header.model,
        archived=header.archived,
        pinned=header.pinned,
        folder=header.folder,
        created_at=header.created_at,
        updated_at=header.updated_at,
        deleted_at=header.deleted_at,
        version=header.version,
        seq=seq,
    )
