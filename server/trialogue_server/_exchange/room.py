"""The room that the upload of an import takes of its owner's (``files_quota_bytes``), from its first byte until it is over.

The store counts it beside what is being uploaded as files. What a lost process had set aside comes back by itself.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import trio

from trialogue import Library, QuotaError, StorageError

#: Bytes set aside ahead of what has come, or given back at a time.
STEP = 8 * 1024 * 1024
#: How long it lasts without a sign of life: as long as a node may be away that has an import to go on with.
LASTS = timedelta(days=1)


class Room:
    """Of one import; nothing is counted where no files are kept."""

    def __init__(self, library: Library | None, job: str, owner: str, held: int = 0) -> None:
        self._library = library
        self._job, self._owner = job, owner
        self._held = held
        self._left = 0

    def __repr__(self) -> str:
        return f"<Room of {self._job} held={self._held}>"

    async def expect(self, size: int) -> None:
        """So much is announced. Raises ``QuotaError``, ``StorageError``."""
        await self._set(size)

    async def grow(self, size: int) -> None:
        """So much has come. Raises ``QuotaError``, ``StorageError``."""
        if size > self._held:
            try:
                await self._set(size + STEP)
            except QuotaError:
                await self._set(size)

    async def settle(self, size: int) -> None:
        """So much is there, whatever else its owner has by now. Raises ``StorageError``."""
        await self._set(size, there=True)

    async def leave(self, size: int) -> None:
        """So much of it is taken out: from here on it counts as what it becomes. Raises ``StorageError``."""
        self._left += size
        # Not for each of many small ones: to say so costs a write.
        if self._left >= min(STEP, self._held // 8):
            left, self._left = self._left, 0
            await self.settle(max(self._held - left, 0))

    async def give_back(self) -> None:
        """It is over."""
        if self._library is not None:
            # What cannot be told of comes back by itself, a day later.
            with suppress(StorageError), trio.CancelScope(deadline=trio.current_time() + 5, shield=True):
                await self._library.give_back(self._job)

    async def _set(self, size: int, there: bool = False) -> None:
        if self._library is not None:
            await self._library.set_aside(self._job, self._owner, size, LASTS, there=there)
        self._held = size
