"""The port to the search index, a facet of the store: what is looked for, what is found, and vectors of passages.

What was acknowledged is found at once by its words: a store indexes messages and titles in the transaction that writes
them. Vectors come later, from an embedder (``embedder``), and until then ``pending`` says how much is not comparable yet.
How words and vectors are brought together is the business of ``searcher``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from trialogue._facts.values import Location, Role

#: What can be found: a message, a file by its text or name, a conversation by its title.
HitKind: TypeAlias = Literal["message", "file", "title"]

#: Mean radius of the Earth, in metres: distances are those on a sphere of this size.
EARTH = 6_371_008.8


class Circle(msgspec.Struct, frozen=True):
    """All places within ``radius`` metres of a place, border included."""

    lat: float
    lon: float
    radius: float

    @property
    def angle(self) -> float:
        """The radius as the middle of the Earth sees it, in radians; half a turn holds everything."""
        return min(self.radius / EARTH, math.pi)


class SearchQuery(msgspec.Struct, frozen=True):
    """What is looked for. ``None`` does not filter; a filter that a kind has no such thing for leaves it out.

    Titles have neither role nor model nor place, files neither role nor model nor conversation.
    """

    #: Every word of it is wanted, the last one perhaps only begun; without words, ``near`` alone says what is wanted.
    text: str = ""
    kinds: tuple[HitKind, ...] = ("message", "file", "title")
    conversation: str | None = None
    role: Role | None = None
    model: str | None = None
    #: When it was made: from the first moment on, and before the second.
    since: datetime | None = None
    until: datetime | None = None
    near: Circle | None = None


class Hit(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that was found. ``matches`` are places in the snippet, in code points: from, and up to but without.

    ``id`` is that of the message, the file or the conversation. ``score`` compares within one answer only.
    """

    kind: HitKind
    id: str
    at: datetime
    snippet: str
    matches: tuple[tuple[int, int], ...] = ()
    score: float = 0.0
    conversation: str | None = None
    #: The title of the conversation, or the name of the file.
    title: str | None = None
    role: Role | None = None
    model: str | None = None
    #: Metres from the middle of the circle, when one was asked for.
    distance: float | None = None


class HitPage(msgspec.Struct, frozen=True):
    """Hits, best first; ``cursor`` continues after the last one, ``None`` at the end.

    ``ranked`` says whether all matches were compared, or only the newest ones of them, before which older ones come on
    later pages.
    """

    hits: tuple[Hit, ...]
    cursor: str | None = None
    ranked: Literal["all", "newest"] = "all"


class Passage(msgspec.Struct, frozen=True):
    """A stretch of a text, in code points, and its vector: float32, little-endian, as many as the embedder has."""

    start: int
    stop: int
    vector: bytes


class Unembedded(msgspec.Struct, frozen=True):
    """A text that waits for its vectors. ``key`` is the store's own name for it."""

    key: str
    text: str


class Embedded(msgspec.Struct, frozen=True):
    """A text and its passages; none for a text that says nothing."""

    key: str
    text: str
    passages: tuple[Passage, ...]


class Index(ABC):
    """Searches of one owner's things; what is in the trash is not found. Every method raises ``StorageError``."""

    @abstractmethod
    async def search(self, owner: str, query: SearchQuery, limit: int, cursor: str | None = None) -> HitPage:
        """What has all the words, best first; without words what is near, nearest first. Any text is accepted.

        A cursor shows nothing twice and leaves nothing out that was there when the first page was made. Raises
        ``InvalidError`` for one that is not ours.
        """

    @abstractmethod
    async def similar(self, owner: str, query: SearchQuery, vector: bytes, limit: int) -> Sequence[Hit]:
        """Messages and files whose passages are nearest in meaning, nearest first; ``query.text`` is not looked at.

        ``score`` is the cosine. Approximate: of very many, a few of the nearest may be missed. Raises ``InvalidError``
        when the store cannot compare vectors, with the reason.
        """

    # --- vectors -------------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def lacks(self) -> str | None:
        """Why vectors cannot be kept here, in words; ``None`` when they can."""

    @abstractmethod
    async def use_embedder(self, name: str, dimensions: int) -> None:
        """Say whose vectors are kept from now on; those of another embedder are forgotten, and all texts wait again."""

    @abstractmethod
    async def unembedded(self, limit: int) -> Sequence[Unembedded]:
        """Texts of any owner that wait for their vectors, at most ``limit``; empty when none does."""

    @abstractmethod
    async def add_embedded(self, embedder: str, texts: Sequence[Embedded]) -> None:
        """Keep the vectors of texts that ``unembedded`` gave, as they were given. One that has changed since waits
        again; all are ignored when another embedder is used by now.
        """

    @abstractmethod
    async def pending(self, owner: str) -> int:
        """How many of ``owner``'s texts wait for their vectors, counted up to 10,000."""


def distance(lat: float, lon: float, circle: Circle) -> float:
    """Metres on the sphere from a place to the middle of a circle."""
    a, b = math.radians(lat), math.radians(circle.lat)
    across = math.sin((b - a) / 2) ** 2
    along = math.sin(math.radians(circle.lon - lon) / 2) ** 2
    return 2 * EARTH * math.asin(min(1.0, math.sqrt(across + math.cos(a) * math.cos(b) * along)))


def is_near(location: Location, circle: Circle) -> bool:
    """Whether a place lies in a circle."""
    return distance(location.lat, location.lon, circle) <= circle.radius
