"""The library: the files of one node. Their content is in a folder (``blobs``), their rows in the store (``files``).

It takes uploads, hands content out, removes it, and has two services of its own: one reads what was uploaded (``reading``),
the other removes content that nobody needs any more. Whoever wants to know of changes observes them.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import msgspec
import trio

from trialogue._facts.clock import utc_now
from trialogue._facts.errors import TrialogueError
from trialogue._files.blob_folder import claim_folder
from trialogue._files.blob_streams import Reader
from trialogue._files.blobs import Blobs
from trialogue._files.disk import Disk
from trialogue._files.extractor import Extractor
from trialogue._files.files import File, Files, Variant
from trialogue._files.inspection import Bounds
from trialogue._files.reading import Reading
from trialogue._files.upload import Upload
from trialogue._supervision.child import Child, ChildSpec
from trialogue._supervision.supervisor import open_supervisor

#: Told of a file that was added, learnt about or removed (``None``): its owner, its id, and what it is.
FileObserver: TypeAlias = Callable[[str, str, File | None], None]

#: More than anybody's files take.
_ANY = 1 << 62
#: Seconds between two sweeps, and content removed at a time.
SWEEP, MOST = 60.0, 100

_log = logging.getLogger("trialogue.files")


class FileLimits(msgspec.Struct, frozen=True):
    """Bounds of the library. Sizes in bytes."""

    #: One file, files in one upload, and all files of one owner.
    bytes: int = 2 * 1024**3
    per_upload: int = 20
    quota: int = 20 * 1024**3
    #: Calls on the folder at a time.
    threads: int = 8
    #: Of the child process that reads a file.
    reading: Bounds = Bounds()


class Library:
    """Made by ``open_library``."""

    def __init__(
        self, files: Files, blobs: Blobs, reading: Reading, limits: FileLimits, now: Callable[[], datetime]
    ) -> None:
        self.files = files
        self.blobs = blobs
        self.reading = reading
        self._limits = limits
        self._now = now
        self._observers: list[FileObserver] = []

    def __repr__(self) -> str:
        return f"<Library {self.blobs!r} {self.reading!r}>"

    # --- in and out ----------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def upload(self, owner: str) -> AsyncGenerator[Upload]:
        """An upload of ``owner``; what is not committed when the block ends is gone."""
        upload = Upload(owner, self.files, self.blobs, self._limits, self.reading.reads, self._now)
        try:
            yield upload
        finally:
            await upload.aclose()

    async def set_aside(self, upload: str, owner: str, size: int, lasts: timedelta, *, there: bool = False) -> None:
        """Count ``size`` bytes that lie elsewhere as ``owner``'s, in place of what ``upload`` had, for so long.

        Raises ``QuotaError``, but not for what is ``there`` already; ``StorageError``.
        """
        at, quota = self._now(), _ANY if there else self._limits.quota
        await self.files.reserve(upload, owner, size, quota=quota, at=at, until=at + lasts)

    async def give_back(self, upload: str) -> None:
        """What ``upload`` had set aside is free again. Raises ``StorageError``."""
        await self.files.release(upload)

    def added(self, files: Sequence[File]) -> None:
        """An upload was committed: have the files read, and tell of them."""
        for file in files:
            self.tell(file.owner, file.id, file)
        self.reading.wake()

    def open(self, file: File | Variant) -> AbstractAsyncContextManager[Reader]:
        """A file's content, or a variant's, to be read. Raises ``NotFoundError``, ``StorageError``."""
        return self.blobs.open(file.sha256, file.size)

    # --- removing ------------------------------------------------------------------------------------------------

    async def remove(self, file: File) -> None:
        """Remove a file for good; messages that name it stay. Its content goes when no other file has the same."""
        if await self.files.drop(file.id):
            self.tell(file.owner, file.id, None)

    async def remove_all(self, owner: str) -> None:
        """Remove all files of an owner; begun again, it goes on. Raises ``StorageError``."""
        while await self.files.drop_owner(owner, MOST):
            pass

    async def sweep(self) -> int:
        """Remove content that nobody needs, and what dead uploads left; returns how much. Raises ``StorageError``."""
        return await _sweep(self.files, self.blobs, self._now)

    # --- who wants to know ---------------------------------------------------------------------------------------

    def observe(self, observer: FileObserver) -> None:
        """Have ``observer`` called after each change that is committed here; it must be quick, and not raise."""
        self._observers.append(observer)

    def tell(self, owner: str, file: str, value: File | None) -> None:
        """Tell the observers."""
        for observer in self._observers:
            observer(owner, file, value)

    # --- services ------------------------------------------------------------------------------------------------

    async def keep_clean(self, child: Child) -> None:
        """The service that removes what nobody needs."""
        child.started()
        while True:
            try:
                await self.sweep()
            except TrialogueError as error:
                _log.warning("content that nobody needs is removed later: %s", error)
            await trio.sleep(SWEEP)


async def tidy_folder(files: Files, folder: Path, now: Callable[[], datetime] = utc_now) -> int:
    """What ``Library.sweep`` does, by whoever has the store while no server runs. Raises as it and ``open_library`` do."""
    blobs = Blobs(folder)
    await claim_folder(files, blobs)
    return await _sweep(files, blobs, now)


async def _sweep(files: Files, blobs: Blobs, now: Callable[[], datetime]) -> int:
    swept = await blobs.sweep()
    while doomed := await files.doomed(now(), MOST):
        await blobs.remove(doomed)
        await files.forget(doomed)
        swept += len(doomed)
    return swept


@asynccontextmanager
async def open_library(
    files: Files,
    folder: Path,
    extractors: Sequence[Extractor] = (),
    limits: FileLimits = FileLimits(),  # noqa: B008 - frozen
    *,
    disk: Disk | None = None,
    now: Callable[[], datetime] = utc_now,
) -> AsyncGenerator[Library]:
    """Open the folder that belongs to ``files``, and run the services until the block ends.

    Raises ``ConfigurationError``: the folder cannot be used, is somebody else's, or is empty beside known files.
    """
    blobs = Blobs(folder, threads=limits.threads, disk=disk)
    await claim_folder(files, blobs)
    reading = Reading(files, blobs, extractors, limits.reading, now)
    library = Library(files, blobs, reading, limits, now)
    reading.tell = library.tell
    specs = [ChildSpec("reading", reading.run), ChildSpec("cleaning", library.keep_clean)]
    async with open_supervisor("files", specs=specs):
        yield library
