"""A fake embedder: texts mean what the words in them are said to mean, and it fails as it is told to."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping, Sequence

import trio

from trialogue._facts.errors import EmbedderError
from trialogue._search.embedder import Embedder


class ScriptedEmbedder(Embedder):
    """A direction for each meaning: ``meanings`` says which one a word has; other words mean nothing."""

    def __init__(self, meanings: Mapping[str, int], name: str = "scripted") -> None:
        self.name = name
        self.dimensions = 16
        self._meanings = meanings
        #: Raised instead of an answer, as long as it is set.
        self.failure: EmbedderError | None = None
        #: Texts at which it dies.
        self.deadly: frozenset[str] = frozenset()
        #: What it was asked, in order.
        self.asked: list[tuple[str, ...]] = []
        self.closed: bool = False

    def __repr__(self) -> str:
        return f"<ScriptedEmbedder {self.name!r} asked={len(self.asked)}>"

    async def embed(self, texts: Sequence[str]) -> Sequence[bytes]:
        await trio.lowlevel.checkpoint()
        self.asked.append(tuple(texts))
        if self.failure is not None:
            raise self.failure
        if self.deadly & {*texts}:
            raise EmbedderError("it died over a text", by_text=True)
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> bytes:
        numbers = [0.0] * self.dimensions
        for word in re.findall(r"\w+", text.lower()):
            if word in self._meanings:
                numbers[self._meanings[word]] += 1.0
        length = math.hypot(*numbers) or 1.0
        return struct.pack(f"<{self.dimensions}f", *(number / length for number in numbers))

    async def aclose(self) -> None:
        self.closed = True
