"""What answers hold whose bytes are made elsewhere: types that describe them, and are never made.

The core writes a message with its siblings, and a snapshot with such messages, straight to bytes; the document needs their
form all the same. That it is the true one is seen by the tests' client, which holds every answer against these.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from trialogue import (
    Conversation,
    ConversationChanged,
    ConversationPurged,
    Event,
    FileRemoved,
    FileUpdated,
    ListSnapshot,
    Message,
    Queued,
    RunView,
)


class ShownMessage(Message, frozen=True, kw_only=True):
    """A message, with the ids of those that share its parent: itself and the other attempts or wordings, oldest first.

    Of many, the hundred before it and the hundred behind it.
    """

    siblings: tuple[str, ...]


class ShownSnapshot(msgspec.Struct, frozen=True, tag="snapshot"):
    """A conversation after event ``seq``, and the ``token`` with which a stream goes on from there.

    ``messages`` is the end of the active branch, oldest first; a live answer holds what was written so far. ``inbox`` are
    the messages that wait for their turn.
    """

    conversation: Conversation
    messages: tuple[ShownMessage, ...]
    run: RunView | None
    inbox: tuple[Queued, ...]
    seq: int
    token: str
    has_more: bool


class ShownTree(msgspec.Struct, frozen=True, tag="tree"):
    """As a snapshot, but with messages of all branches, in the order in which they were said; ``cursor`` leads on."""

    conversation: Conversation
    messages: tuple[ShownMessage, ...]
    run: RunView | None
    inbox: tuple[Queued, ...]
    seq: int
    token: str
    cursor: str | None
    has_more: bool


class Reset(msgspec.Struct, frozen=True, tag="reset"):
    """The cursor cannot be continued: forget what you have; a `snapshot` follows."""

    reason: str


class Reconnect(msgspec.Struct, frozen=True):
    """The server is going away: ask again after ``after_ms``, from the last cursor."""

    after_ms: int


#: What a conversation's stream carries.
StreamEvent: TypeAlias = Event | ShownSnapshot | Reset | Reconnect
#: What the stream of a user's list carries.
ListEvent: TypeAlias = (
    ListSnapshot | ConversationChanged | ConversationPurged | FileUpdated | FileRemoved | Reset | Reconnect
)
