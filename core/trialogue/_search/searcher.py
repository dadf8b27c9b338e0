"""Searches as callers see them: by words, by meaning, or both ways at once, fused.

Words find what was acknowledged at once; meaning finds what others words say, once it has its vectors. The two orders are
fused by reciprocal rank: what stands high in one of them stands high, what stands in both stands higher, and scores that
cannot be compared need not be.
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from trialogue._facts.errors import EmbedderError, InvalidError
from trialogue._search.embedder import Embedder
from trialogue._search.embedding import Embedding
from trialogue._search.search import Hit, Index, SearchQuery
from trialogue._supervision.child import ChildSpec
from trialogue._supervision.supervisor import open_supervisor

SearchMode: TypeAlias = Literal["text", "semantic", "hybrid"]

#: Hits of each order that are fused; what is further down both is not found.
HORIZON = 100
#: How much the first places outweigh later ones: the usual number.
_DAMPING = 60

_log = logging.getLogger("trialogue.search")


class Found(msgspec.Struct, frozen=True):
    """A page of hits, best first, and how they were found. ``cursor`` continues after the last one, ``None`` at the end."""

    hits: tuple[Hit, ...]
    cursor: str | None
    #: ``text`` although another one was asked for: there are no words to compare, or the embedder fails.
    mode: SearchMode
    #: Whether all matches of the words were compared, or the newest of very many, before which older ones come later.
    ranked: Literal["all", "newest"] = "all"
    #: Texts that cannot be compared by meaning yet, up to 10,000; ``None`` when meaning was not asked for.
    pending: int | None = None


class _Place(msgspec.Struct, frozen=True, array_like=True):
    """Where a fused page ended: hits shown, and when the first page was asked for; what is younger does not push in."""

    mode: SearchMode
    shown: int
    asked: datetime


class Searcher:
    """Searches of one store. Without an embedder, by words alone."""

    def __init__(self, index: Index, embedder: Embedder | None = None) -> None:
        self._index = index
        self._embedder = embedder

    def __repr__(self) -> str:
        return f"<Searcher embedder={self._embedder.name if self._embedder else None!r}>"

    async def search(
        self, owner: str, query: SearchQuery, limit: int, *, mode: SearchMode | None = None, cursor: str | None = None
    ) -> Found:
        """A page of what is found; ``None`` is the best mode there is.

        Raises ``InvalidError`` (no words, a mode that is not there, a cursor that is not ours), ``EmbedderError`` (by
        meaning alone, and it fails), ``StorageError``.
        """
        if not query.text.strip() and query.near is None:
            raise InvalidError("there is nothing to look for: send words as q, or a place as near and radius")
        mode = self._mode(mode, query)
        if mode == "text":
            return await self._by_words(owner, query, limit, cursor)
        assert self._embedder is not None
        place = _Place(mode, 0, datetime.now(UTC)) if cursor is None else _parse(cursor, mode)
        try:
            (vector,) = await self._embedder.embed([query.text[: self._embedder.passage]])
        except EmbedderError as error:
            if mode == "semantic" or cursor is not None:
                raise
            _log.warning("searching by words alone: %s", error)
            return await self._by_words(owner, query, limit, None)
        pinned = replace(query, until=place.asked if query.until is None else min(query.until, place.asked))
        similar = await self._index.similar(owner, pinned, vector, HORIZON)
        near = [hit for hit in similar if hit.score >= self._embedder.floor]
        return await self._fused(owner, pinned, near, place, limit)

    def _mode(self, mode: SearchMode | None, query: SearchQuery) -> SearchMode:
        if self._embedder is None and mode not in (None, "text"):
            raise InvalidError(
                f"mode {mode!r} needs an embedder, and none is loaded: use text, or see `trialogue plugins`",
                pointer="/mode",
            )
        if self._embedder is None or not query.text.strip():
            return "text"
        return mode or "hybrid"

    async def _by_words(self, owner: str, query: SearchQuery, limit: int, cursor: str | None) -> Found:
        page = await self._index.search(owner, query, limit, cursor)
        return Found(page.hits, page.cursor, "text", page.ranked)

    async def _fused(self, owner: str, query: SearchQuery, similar: Sequence[Hit], place: _Place, limit: int) -> Found:
        ranked: Literal["all", "newest"] = "all"
        hits = list(similar)
        if place.mode == "hybrid":
            worded = await self._index.search(owner, query, HORIZON)
            hits, ranked = fuse(worded.hits, similar), worded.ranked
        until = place.shown + max(limit, 0)
        more = _coded(replace(place, shown=until)) if until < len(hits) else None
        pending = await self._index.pending(owner)
        return Found(tuple(hits[place.shown : until]), more, place.mode, ranked, pending)


def fuse(*orders: Sequence[Hit]) -> list[Hit]:
    """One order of what stands in several. What several have is shown as the first of them has it."""
    hits: dict[tuple[str, str], Hit] = {}
    scores: dict[tuple[str, str], float] = {}
    for order in orders:
        for rank, hit in enumerate(order, 1):
            key = (hit.kind, hit.id)
            hits.setdefault(key, hit)
            scores[key] = scores.get(key, 0.0) + 1 / (_DAMPING + rank)
    best = sorted(hits, key=lambda key: (-scores[key], key))
    return [replace(hits[key], score=scores[key]) for key in best]


def _coded(place: _Place) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode()


def _parse(cursor: str, mode: SearchMode) -> _Place:
    try:
        place = msgspec.json.decode(base64.urlsafe_b64decode(cursor.encode()), type=_Place)
    except (ValueError, binascii.Error, msgspec.MsgspecError) as error:
        raise _no_cursor(cursor) from error
    if place.mode != mode or not 0 < place.shown <= 2 * HORIZON or place.asked.tzinfo is None:
        raise _no_cursor(cursor)
    return place


def _no_cursor(cursor: str) -> InvalidError:
    return InvalidError(f"{cursor[:64]!r} is not a cursor of this search: leave it out to start over")


@asynccontextmanager
async def open_searcher(index: Index, embedder: Embedder | None = None, share: float = 0.5) -> AsyncGenerator[Searcher]:
    """Searches, and beside them the service that makes vectors for ``share`` of its time. Closes the embedder at the end.

    A store that keeps no vectors does without the embedder, and says so.
    """
    if embedder is not None and index.lacks is not None:
        _log.warning("searches go by words alone: %s", index.lacks)
        await embedder.aclose()
        embedder = None
    if embedder is None:
        yield Searcher(index)
        return
    embedding = Embedding(index, embedder, share)
    try:
        async with open_supervisor("search", specs=[ChildSpec("embedding", embedding.run)]):
            yield Searcher(index, embedder)
    finally:
        await embedder.aclose()
