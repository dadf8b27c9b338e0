"""One upload: files written while they arrive, within their owner's room, and then all named at once or none.

What is set aside in the store is renewed while bytes come, so that an upload whose process died gives its room back.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import trio

from trialogue._facts.errors import LimitError, QuotaError, StorageError
from trialogue._facts.ids import new_id
from trialogue._files.blob_streams import Writer
from trialogue._files.blobs import CLEAN_UP, Blobs
from trialogue._files.file_names import clean_name
from trialogue._files.files import File, Files, FileText, TextState
from trialogue._files.media_types import HEAD, media_type_of

if TYPE_CHECKING:
    from trialogue._files.library import FileLimits

#: Bytes handed to a thread at a time: the trip costs as much as writing some ten thousand.
BATCH = 512 * 1024
#: Bytes set aside ahead of what has come.
STEP = 8 * 1024 * 1024
#: Of a request's announced length, so much may be its form and not its files.
FORM = 1024 * 1024
#: How long what is set aside, and content before it is named, lasts without a sign of life; and when it is renewed.
LASTS, RENEWED = timedelta(minutes=3), timedelta(minutes=1)
#: Seconds to wait for content that is just being removed.
PATIENCE = 10.0


class _Arriving:
    """A file on its way in."""

    def __init__(self, id: str, created_at: datetime | None, name: str, writer: Writer) -> None:
        self.id = id
        self.created_at = created_at
        self.name = name
        self.writer = writer
        self.size = 0
        self.head = bytearray()


class Upload:
    """Made by ``Library.upload``. For each file ``begin``, ``write`` as often as needed, ``end``; then ``commit``.

    Every call raises ``StorageError``; ``begin`` and ``write`` raise ``LimitError``, ``write`` also ``QuotaError``.
    """

    def __init__(
        self,
        owner: str,
        files: Files,
        blobs: Blobs,
        limits: FileLimits,
        can_be_read: Callable[[str], bool],
        now: Callable[[], datetime],
    ) -> None:
        self.id: str = new_id()
        self.received: int = 0
        self._owner = owner
        self._files, self._blobs, self._limits = files, blobs, limits
        self._can_be_read = can_be_read
        self._now = now
        self._reserved = 0
        self._renewed: datetime | None = None
        self._batch: list[bytes] = []
        self._batched = 0
        self._arrived: list[_Arriving] = []
        self._open: _Arriving | None = None
        self._writers = AsyncExitStack()

    def __repr__(self) -> str:
        return f"<Upload {self.id} files={len(self._arrived)} received={self.received}>"

    async def expect(self, size: int) -> None:
        """About ``size`` bytes are announced; what is surely too much is refused before it comes."""
        await self._reserve(max(size - FORM, 0))

    async def begin(self, name: str, *, file: str | None = None, created_at: datetime | None = None) -> None:
        """A file by the name its owner gave it; one that is taken in from elsewhere has its id and time already."""
        assert self._open is None, "the file before has not ended"
        if len(self._arrived) >= self._limits.per_upload:
            raise LimitError(
                f"more than {self._limits.per_upload} files at once (files_per_upload): send them in parts"
            )
        writer = await self._writers.enter_async_context(self._blobs.create())
        self._open = _Arriving(file or new_id(), created_at, clean_name(name), writer)

    async def write(self, piece: bytes) -> None:
        """More of the file."""
        file = self._open
        assert file is not None, "no file has begun"
        file.size += len(piece)
        self.received += len(piece)
        if file.size > self._limits.bytes:
            raise LimitError(f"{file.name!r} is larger than {self._limits.bytes} bytes (file_max_bytes)")
        if len(file.head) < HEAD:
            file.head += piece[: HEAD - len(file.head)]
        self._batch.append(piece)
        self._batched += len(piece)
        if self._batched >= BATCH:
            await self._flush(file)

    async def end(self) -> None:
        """The file is complete."""
        file, self._open = self._open, None
        assert file is not None, "no file has begun"
        await self._flush(file)
        await file.writer.finish()
        self._arrived.append(file)

    async def commit(self) -> tuple[File, ...]:
        """Give the content its place, and store the rows; from here on the files are there. Raises ``QuotaError``."""
        # Making a large file durable may have taken longer than what was set aside for it lasts.
        await self._reserve(self.received)
        await self._keep([file.writer.digest for file in self._arrived])
        for file in self._arrived:
            await file.writer.place()
        made = tuple(self._row(file) for file in self._arrived)
        await self._files.add(self.id, made)
        self._reserved = 0
        return made

    async def aclose(self) -> None:
        """Whatever was not committed is gone, and its room given back."""
        with trio.CancelScope(shield=True, deadline=trio.current_time() + CLEAN_UP):
            try:
                if self._reserved:
                    await self._files.release(self.id)
            except StorageError:
                pass  # It comes back by itself, a little later.
            finally:
                await self._writers.aclose()

    async def _flush(self, file: _Arriving) -> None:
        batch, self._batch, self._batched = self._batch, [], 0
        await self._make_room()
        await file.writer.write(*batch)

    async def _make_room(self) -> None:
        stale = self._renewed is None or self._now() - self._renewed > RENEWED
        if self.received > self._reserved:
            try:
                await self._reserve(self.received + STEP)
            except QuotaError:
                await self._reserve(self.received)
        elif stale:
            await self._reserve(self._reserved)

    async def _reserve(self, size: int) -> None:
        now = self._now()
        await self._files.reserve(self.id, self._owner, size, quota=self._limits.quota, at=now, until=now + LASTS)
        self._reserved, self._renewed = max(size, 1), now

    async def _keep(self, digests: list[str]) -> None:
        with trio.move_on_after(PATIENCE):
            while await self._files.keep(digests, self._now() + LASTS):  # noqa: ASYNC110 - the store tells nobody
                await trio.sleep(0.05)
            return
        raise StorageError("the same content is being removed at this moment: send it again", retry_after=1.0)

    def _row(self, file: _Arriving) -> File:
        media_type = media_type_of(bytes(file.head), file.size <= len(file.head))
        state: TextState = "pending" if file.size and self._can_be_read(media_type) else "none"
        return File(
            id=file.id,
            owner=self._owner,
            name=file.name,
            media_type=media_type,
            size=file.size,
            sha256=file.writer.digest,
            created_at=file.created_at or self._now(),
            text=FileText(state),
        )
