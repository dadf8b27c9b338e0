"""Reads that belong together are of one history: a store that went backwards between them has them made again (I12)."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from trialogue._facts.errors import StorageError
from trialogue._storage.store import Store


@contextmanager
def one_history(store: Store) -> Generator[None]:
    """Around what must not be of two histories. Raises ``StorageError`` at its end when the store went backwards in it."""
    generation = store.generation
    yield
    if store.generation != generation:
        raise StorageError("the storage was replaced meanwhile: ask again", retry_after=1)
