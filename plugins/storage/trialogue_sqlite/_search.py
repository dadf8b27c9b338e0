"""The facet for searches: each call, and where it runs. Reads are braked (``_readers``): who gives up ends them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec

import trio

from trialogue import Embedded, Hit, HitPage, Index, InvalidError, SearchQuery, Unembedded
from trialogue_sqlite import _embedding as embedding
from trialogue_sqlite._finding import read_hits
from trialogue_sqlite._readers import Readers
from trialogue_sqlite._similar import read_similar
from trialogue_sqlite._writer import Writer


class SQLiteIndex(Index):
    """See ``trialogue.Index``."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    async def search(self, owner: str, query: SearchQuery, limit: int, cursor: str | None = None) -> HitPage:
        now = datetime.now(UTC)
        return await self._readers.far(
            partial(read_hits, owner=owner, query=query, limit=limit, cursor=cursor, now=now)
        )

    async def similar(self, owner: str, query: SearchQuery, vector: bytes, limit: int) -> Sequence[Hit]:
        if self.lacks is not None:
            raise InvalidError(self.lacks)
        now = datetime.now(UTC)
        return await self._readers.far(
            partial(read_similar, owner=owner, query=query, vector=vector, limit=limit, now=now)
        )

    @property
    def lacks(self) -> str | None:
        return None if find_spec("sqlite_vec") else "vectors need `sqlite-vec`: pip install 'trialogue[semantic]'"

    async def use_embedder(self, name: str, dimensions: int) -> None:
        if await self._writer.run(partial(embedding.uses, name=name, dimensions=dimensions)):
            return
        # Bit by bit, so that no commit waits for all of them; begun anew after a crash in between.
        while await self._writer.run(embedding.forget_some):
            await trio.lowlevel.checkpoint()
        await self._writer.run(partial(embedding.begin, name=name, dimensions=dimensions))

    async def unembedded(self, limit: int) -> Sequence[Unembedded]:
        return await self._readers.far(partial(embedding.read_unembedded, limit=limit))

    async def add_embedded(self, embedder: str, texts: Sequence[Embedded]) -> None:
        for made in await trio.to_thread.run_sync(embedding.make_rows, texts):
            await self._writer.run(partial(embedding.add_embedded, embedder=embedder, texts=made))

    async def pending(self, owner: str) -> int:
        return await self._readers.far(partial(embedding.count_pending, owner=owner))
