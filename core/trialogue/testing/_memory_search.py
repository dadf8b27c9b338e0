"""The facet for searches of a ``MemoryStore``: everything is looked through, each time."""

from __future__ import annotations

import base64
import binascii
import math
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol, TypeVar

import msgspec
from msgspec.structs import replace

from trialogue._facts.errors import InvalidError
from trialogue._facts.values import Location, text_of
from trialogue._search.search import Embedded, Hit, HitPage, Index, Passage, SearchQuery, Unembedded, distance
from trialogue.testing._memory_files import MemoryFiles
from trialogue.testing._memory_rows import Row, matches, words_of

T = TypeVar("T")

_SHOWN = 160  # Characters of a snippet.
#: What orders hits: the best, then by kind, then the newest, then any.
Key = tuple[float, str, int, str]


class Caller(Protocol):
    """How the store runs a call, with its faults."""

    async def __call__(self, name: str, effect: Callable[[], T], *, writes: bool = False) -> T: ...


class Candidate(NamedTuple):
    """Something that could be found: whose, its text, its place, and the hit it would be."""

    owner: str
    text: str
    place: Location | None
    hit: Hit


class MemoryIndex(Index):
    """See ``trialogue.Index``."""

    def __init__(self, call: Caller, rows: Callable[[], Iterable[Row]], files: MemoryFiles) -> None:
        self._call = call
        self._rows = rows
        self._files = files
        self._embedder: tuple[str, int] | None = None
        #: By key: the text the vectors were made of, and they.
        self._embedded: dict[str, tuple[str, tuple[Passage, ...]]] = {}

    async def search(self, owner: str, query: SearchQuery, limit: int, cursor: str | None = None) -> HitPage:
        def effect() -> HitPage:
            after = None if cursor is None else _parse(cursor)
            words = words_of(query.text)
            found = [hit for hit in self._scored(owner, query, words) if after is None or _key(hit) > after]
            shown = sorted(found, key=_key)[: max(limit, 0)]
            more = _coded(_key(shown[-1])) if shown and len(shown) < len(found) else None
            return HitPage(tuple(shown), more)

        return await self._call("search", effect)

    def _scored(self, owner: str, query: SearchQuery, words: list[str]) -> Iterator[Hit]:
        for one in self._wanted(owner, query):
            if words and (count := matches(words, one.text)):
                snippet, places = snippet_of(words, one.text)
                yield replace(one.hit, score=count / (count + 1 + len(one.text) / 100), snippet=snippet, matches=places)
            elif not words and one.hit.distance is not None:
                yield replace(one.hit, score=-one.hit.distance, snippet=one.text[:_SHOWN])

    async def similar(self, owner: str, query: SearchQuery, vector: bytes, limit: int) -> Sequence[Hit]:
        def effect() -> Sequence[Hit]:
            found: list[Hit] = []
            for one in self._wanted(owner, query) if any(vector) else ():
                _, passages = self._embedded.get(f"{one.hit.kind}:{one.hit.id}", ("", ()))
                if passages:
                    score, start = max((_cosine(vector, passage.vector), passage.start) for passage in passages)
                    found.append(replace(one.hit, score=score, snippet=one.text[start : start + _SHOWN].strip()))
            return sorted(found, key=_key)[: max(limit, 0)]

        return await self._call("similar", effect)

    # --- vectors -------------------------------------------------------------------------------------------------

    @property
    def lacks(self) -> str | None:
        return None

    async def use_embedder(self, name: str, dimensions: int) -> None:
        def effect() -> None:
            if self._embedder != (name, dimensions):
                self._embedder = (name, dimensions)
                self._embedded.clear()

        await self._call("use_embedder", effect, writes=True)

    async def unembedded(self, limit: int) -> Sequence[Unembedded]:
        def effect() -> Sequence[Unembedded]:
            return self._waiting(self._all())[: max(limit, 0)] if self._embedder else []

        return await self._call("unembedded", effect)

    async def add_embedded(self, embedder: str, texts: Sequence[Embedded]) -> None:
        def effect() -> None:
            known = {f"{one.hit.kind}:{one.hit.id}": one.text for one in self._all()}
            for text in texts if self._embedder and self._embedder[0] == embedder else ():
                if known.get(text.key) == text.text:
                    self._embedded[text.key] = (text.text, text.passages)

        await self._call("add_embedded", effect, writes=True)

    async def pending(self, owner: str) -> int:
        return await self._call(
            "pending", lambda: min(len(self._waiting(one for one in self._all() if one.owner == owner)), 10_000)
        )

    def _waiting(self, candidates: Iterable[Candidate]) -> list[Unembedded]:
        keyed = ((f"{one.hit.kind}:{one.hit.id}", one) for one in candidates if one.hit.kind != "title" and one.text)
        return [Unembedded(key, one.text) for key, one in keyed if self._embedded.get(key, (None,))[0] != one.text]

    # --- what there is -------------------------------------------------------------------------------------------

    def _wanted(self, owner: str, query: SearchQuery) -> Iterator[Candidate]:
        for one in self._all():
            hit = one.hit
            if query.near is not None:
                if one.place is None or distance(one.place.lat, one.place.lon, query.near) > query.near.radius:
                    continue
                hit = replace(hit, distance=distance(one.place.lat, one.place.lon, query.near))
            if one.owner == owner and _passes(hit, query):
                yield one._replace(hit=hit)

    def _all(self) -> Iterator[Candidate]:
        """What is in no trash."""
        for row in self._rows():
            header = row.header
            if header.deleted_at is None:
                yield from self._messages(row)
                hit = Hit("title", header.id, header.created_at, "", conversation=header.id, title=header.title)
                yield Candidate(header.owner, header.title or "", None, hit)
        for file, text in self._files.texts():
            place = None if file.lat is None or file.lon is None else Location(file.lat, file.lon)
            hit = Hit("file", file.id, file.created_at, "", title=file.name)
            yield Candidate(file.owner, text, place, hit)

    def _messages(self, row: Row) -> Iterator[Candidate]:
        for m in row.messages.values():
            if m.id in row.removed:
                continue
            text = text_of(m.parts) if m.role in ("user", "assistant") else ""
            hit = Hit(
                "message",
                m.id,
                m.created_at,
                "",
                conversation=row.header.id,
                title=row.header.title,
                role=m.role,
                model=m.model,
            )
            yield Candidate(row.header.owner, text, m.location, hit)


def _passes(hit: Hit, query: SearchQuery) -> bool:
    return (
        hit.kind in query.kinds
        and query.conversation in (None, hit.conversation)
        and query.role in (None, hit.role)
        and query.model in (None, hit.model)
        and (query.since is None or hit.at >= query.since)
        and (query.until is None or hit.at < query.until)
    )


def snippet_of(words: Sequence[str], text: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    """The text around the first match, and where in it the matches are."""
    said = re.finditer(r"[^\W_]+", text)
    found = [m.span() for m in said if matches(words[-1:], m[0]) or {*words_of(m[0])} & {*words}]
    start = max(0, found[0][0] - _SHOWN // 4) if found else 0
    shown = [(left - start, right - start) for left, right in found if right <= start + _SHOWN]
    return text[start : start + _SHOWN], tuple(shown)


def _cosine(one: bytes, other: bytes) -> float:
    a, b = (struct.unpack(f"<{len(vector) // 4}f", vector) for vector in (one, other))
    product: float = sum(x * y for x, y in zip(a, b, strict=True))
    return product / (math.hypot(*a) * math.hypot(*b))


def _key(hit: Hit) -> Key:
    return -hit.score, hit.kind, -((hit.at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)), hit.id


def _coded(key: Key) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode()


def _parse(cursor: str) -> Key:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor.encode()), type=tuple[float, str, int, str])
    except (ValueError, binascii.Error, msgspec.MsgspecError) as error:
        raise InvalidError(f"{cursor[:64]!r} is not a cursor of this search: leave it out to start over") from error
