"""The port to embedders: texts go in, vectors that mean something come out. ``embedding`` and ``searcher`` ask them.

An embedder is an object a plugin declares (see ``hookspecs``). It raises ``EmbedderError`` and nothing else of its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence


class Embedder(ABC):
    """A model that turns texts into vectors."""

    #: Says whose vectors these are: another name, and all are made anew. Of the model, not of the machine it runs on.
    name: str
    #: Numbers in a vector.
    dimensions: int
    #: Code points that one vector can stand for; what is longer is cut into passages of that length.
    passage: int = 1_000
    #: Cosine below which two texts have nothing to do with each other, as this model sees it.
    floor: float = 0.0

    @abstractmethod
    async def embed(self, texts: Sequence[str]) -> Sequence[bytes]:
        """A vector for each text, in order: float32, little-endian, of length one. Texts beyond ``passage`` may be cut off.

        The work is done in a thread or a process, never in the loop; several calls may be under way, and a short one does
        not wait for a long one. Any text is accepted: one that says nothing gets a vector of zeros. Raises
        ``EmbedderError``.
        """

    async def aclose(self) -> None:  # noqa: B027 - some have nothing to close
        """Close clients and child processes. Called once, when nothing uses the embedder any more."""
