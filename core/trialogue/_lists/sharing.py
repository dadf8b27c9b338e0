"""The port to what is kept of public links. A facet of ``Store``: every method may raise ``StorageError``.

The token stands in the store as it is, because its owner is shown it again and again; whoever can read the store can read
what a link opens anyway.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from trialogue._facts.values import Message, Part, ReasoningPart, TextPart


class Share(msgspec.Struct, frozen=True):
    """A public, read-only link to a branch as it was when the link was made."""

    id: str
    token: str
    conversation: str
    #: The last message that is shown.
    message: str
    created_at: datetime
    title: str | None = None
    expires_at: datetime | None = None
    #: How long each part of that message was, in code points, and how often it had been corrected: what is written to
    #: it later is not shown. A part without text has no length.
    lengths: tuple[int | None, ...] = ()
    revision: int = 0

    def __repr__(self) -> str:
        return f"<Share {self.id} of {self.conversation} up to {self.message}>"

    def as_shared(self, leaf: Message) -> Message:
        """The last message as the link shows it: a correction shows, as its author wants it to; what was added does not."""
        if leaf.revision != self.revision:
            return leaf
        parts = tuple(_first(part, length) for part, length in zip(leaf.parts, self.lengths, strict=False))
        return leaf if parts == leaf.parts else replace(leaf, parts=parts, status="incomplete")


def lengths_of(parts: Sequence[Part]) -> tuple[int | None, ...]:
    """What ``Share.lengths`` is for a message of these parts."""
    return tuple(len(part.text) if isinstance(part, TextPart | ReasoningPart) else None for part in parts)


def _first(part: Part, length: int | None) -> Part:
    if isinstance(part, TextPart | ReasoningPart) and length is not None:
        return replace(part, text=part.text[:length])
    return part


class Shares(ABC):
    """The links of one store. A link ends with its conversation: moved to the trash or removed, it opens nothing more,
    and a conversation that is restored has no links.
    """

    @abstractmethod
    async def add(self, share: Share) -> Share:
        """Store a link and return it; one of the same conversation and id that is there already is returned instead.

        Raises ``NotFoundError`` when its conversation is gone or in the trash, or another one's link has its id.
        """

    @abstractmethod
    async def of(self, conversation: str) -> Sequence[Share]:
        """The links of a conversation, oldest first."""

    @abstractmethod
    async def find(self, token: str) -> Share | None:
        """The link with this token, whether or not its time is over."""

    @abstractmethod
    async def drop(self, conversation: str, share: str) -> bool:
        """End the link with this id; returns whether it was there."""
