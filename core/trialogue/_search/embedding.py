"""Making vectors of what is said, in the background: after it is said, and all of it when the embedder is a new one.

What is still to be done stands in the store, so that a restart goes on where it was. It is never in a hurry: between two
batches it rests, so that answers and searches have the processors.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import trio

from trialogue._facts.errors import EmbedderError, TrialogueError
from trialogue._search.embedder import Embedder
from trialogue._search.passages import passages_of
from trialogue._search.search import Embedded, Index, Passage, Unembedded
from trialogue._supervision.child import Child

#: Texts taken up at a time, and passages given to the embedder together: enough to be worth the call, few enough to stop.
BATCH, TOGETHER = 16, 8
#: Passages of one text; what a longer one says at its end is found by its words alone.
MOST = 64
#: Characters that are divided in the loop; more in a thread.
LITTLE = 20_000
#: Seconds until it looks again, when there was nothing to do and when something failed.
LOOK, AGAIN = 2.0, 5.0
#: Failures in a row of a single text that may be to blame, before it is left out.
PATIENCE = 3

_log = logging.getLogger("trialogue.search")


class Embedding:
    """The service. ``share`` is how much of its time it may work."""

    def __init__(self, index: Index, embedder: Embedder, share: float = 0.5) -> None:
        self._index = index
        self._embedder = embedder
        self._share = share
        self._size = BATCH
        self._failures = 0

    def __repr__(self) -> str:
        return f"<Embedding {self._embedder.name!r} failures={self._failures}>"

    async def run(self, child: Child) -> None:
        """Embed what waits, and then whatever comes."""
        child.started()
        ready = False
        while True:
            began = trio.current_time()
            try:
                if not ready:
                    await self._index.use_embedder(self._embedder.name, self._embedder.dimensions)
                    ready = True
                worked = await self._work()
            except TrialogueError as error:
                self._failed(error)
                await trio.sleep(AGAIN)
            else:
                spent = trio.current_time() - began
                await trio.sleep(spent * (1 / self._share - 1) if worked else LOOK)

    async def _work(self) -> bool:
        """Whether there was something to do."""
        texts = await self._index.unembedded(self._size)
        if texts:
            await self._index.add_embedded(self._embedder.name, await self._embed(texts))
        self._size, self._failures = BATCH, 0
        return bool(texts)

    async def _embed(self, texts: Sequence[Unembedded]) -> list[Embedded]:
        if self._failures > PATIENCE and len(texts) == 1:
            _log.error("text %s is left out of searches by meaning: the embedder fails at it", texts[0].key)
            return [Embedded(texts[0].key, texts[0].text, ())]
        if sum(len(text.text) for text in texts) > LITTLE:
            places = await trio.to_thread.run_sync(self._places, texts)
        else:
            places = self._places(texts)
        said = [text.text[start:stop] for text, some in zip(texts, places, strict=True) for start, stop in some]
        vectors = iter([vector for group in _groups(said) for vector in await self._embedder.embed(group)])
        return [
            Embedded(text.key, text.text, tuple(Passage(start, stop, next(vectors)) for start, stop in some))
            for text, some in zip(texts, places, strict=True)
        ]

    def _places(self, texts: Sequence[Unembedded]) -> list[list[tuple[int, int]]]:
        return [passages_of(text.text, self._embedder.passage, MOST) for text in texts]

    def _failed(self, error: TrialogueError) -> None:
        _log.warning("vectors are made later: %s", error)
        if isinstance(error, EmbedderError) and error.by_text:
            # One at a time, until it is known which one it is.
            self._failures = self._failures + 1 if self._size == 1 else 0
            self._size = 1


def _groups(texts: list[str]) -> list[list[str]]:
    return [texts[start : start + TOGETHER] for start in range(0, len(texts), TOGETHER)]
