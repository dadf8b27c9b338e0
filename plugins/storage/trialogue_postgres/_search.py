"""The facet for searches: by words and places in ``_windows``, by meaning in ``_similar``, and vectors in ``_embedding``."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from trialogue import Embedded, Hit, HitPage, Index, InvalidError, SearchQuery, Unembedded
from trialogue_postgres import _embedding as embedding
from trialogue_postgres import _search_sql as sql
from trialogue_postgres._database import Database
from trialogue_postgres._similar import read_similar
from trialogue_postgres._windows import Search

_LACKS = (
    "vectors need the extension vector (pgvector 0.7 or newer) in the database: install it on the server, let an "
    "administrator CREATE EXTENSION vector in a schema of the search_path, and start again"
)


class PostgresIndex(Index):
    """See ``trialogue.Index``. What it can do depends on the extensions that are there."""

    def __init__(self, database: Database, *, has_vectors: bool, has_geography: bool) -> None:
        self._database = database
        self._has_vectors = has_vectors
        self._near = sql.NEAR_GEOGRAPHY if has_geography else sql.NEAR_BOX

    async def search(self, owner: str, query: SearchQuery, limit: int, cursor: str | None = None) -> HitPage:
        return await Search(self._database, owner, query, self._near).page(limit, cursor)

    async def similar(self, owner: str, query: SearchQuery, vector: bytes, limit: int) -> Sequence[Hit]:
        self._check_vectors()
        return await read_similar(self._database, owner, query, vector, limit, self._near)

    @property
    def lacks(self) -> str | None:
        return None if self._has_vectors else _LACKS

    def _check_vectors(self) -> None:
        if not self._has_vectors:
            raise InvalidError(_LACKS)

    async def use_embedder(self, name: str, dimensions: int) -> None:
        self._check_vectors()
        await embedding.use_embedder(self._database, name, dimensions)

    async def unembedded(self, limit: int) -> Sequence[Unembedded]:
        self._check_vectors()
        return await embedding.read_unembedded(self._database, limit)

    async def add_embedded(self, embedder: str, texts: Sequence[Embedded]) -> None:
        self._check_vectors()
        for made in await trio.to_thread.run_sync(embedding.make_rows, texts):
            await embedding.add_embedded(self._database, embedder, made)

    async def pending(self, owner: str) -> int:
        if not self._has_vectors:
            await self._database.nothing()
            return 0
        return await embedding.count_pending(self._database, owner)
