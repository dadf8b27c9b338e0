"""Content on a disk, named by its SHA-256: written once, never changed, read in any order, in bounded memory.

    <folder>/trialogue-files.json     whose folder it is
    <folder>/incoming/<id>            being written; a crash leaves these and nothing else
    <folder>/ab/abcdef...             content, by its digest

Content is written under a name of its own, made durable, and then given its digest as name, durably too: under a digest
there is never less than the whole content. The same content arriving twice at once is renamed twice, to the same effect.
Who still needs a content is known to the store (``files``); here it is only kept. The folder may be a share of another
machine's, so nothing is locked, nobody is asked whether a name exists, and everything runs in threads, a few at a time.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar, TypeVarTuple, Unpack

import trio

from trialogue._facts.ids import new_id
from trialogue._files.blob_streams import Held, Reader, Writer
from trialogue._files.disk import Disk, told_as_storage, write_all

T = TypeVar("T")
_Args = TypeVarTuple("_Args")

INCOMING = "incoming"
#: Seconds after which what was left in ``incoming`` is nobody's any more: no upload may last so long.
ABANDONED = 24 * 3600.0
#: How long clean-up is waited for when its task is cancelled; on a share that hangs it is done once that goes on.
CLEAN_UP = 1.0


class Blobs:
    """The contents in ``folder``. ``threads`` calls of the system run at a time; the others wait."""

    def __init__(self, folder: Path, *, threads: int = 8, disk: Disk | None = None) -> None:
        self.folder = folder
        self.disk: Disk = disk or Disk()
        # Its own: a share that hangs holds these threads, and no others of the process.
        self._limiter = trio.CapacityLimiter(threads)
        #: Whoever asks whether a share answers holds one thread while it does not, and no more.
        self._asking = trio.CapacityLimiter(1)
        #: Nobody needs them any more, and they are open yet: a call goes on that was given up, or no thread was free.
        self._leaving: set[Held] = set()

    def __repr__(self) -> str:
        return f"<Blobs {str(self.folder)!r} busy={self._limiter.borrowed_tokens}>"

    @asynccontextmanager
    async def create(self) -> AsyncGenerator[Writer]:
        """New content, gone again when the block ends unless it was placed. Raises ``StorageError``."""
        writer = Writer(self, self.folder / INCOMING / new_id())
        try:
            yield writer
        finally:
            await self._let_go(writer)

    @asynccontextmanager
    async def open(self, digest: str, size: int) -> AsyncGenerator[Reader]:
        """Content to be read. Raises ``NotFoundError`` when it is not there, ``StorageError`` (not whole, or the disk)."""
        reader = Reader(self, digest, size)
        try:
            await reader.open()
            yield reader
        finally:
            await self._let_go(reader)

    async def remove(self, digests: Sequence[str]) -> None:
        """Remove contents; those that are not there are no error. Raises ``StorageError``."""
        await self.run(self._remove, digests)

    async def sweep(self, older: float = ABANDONED) -> int:
        """Remove what uploads of dead processes left; returns how many. Raises ``StorageError``."""
        return await self.run(self._sweep, older)

    async def check(self) -> None:
        """Raise ``StorageError`` unless the folder can be written now. Given up at once when cancelled."""
        await trio.to_thread.run_sync(self._check, limiter=self._asking, abandon_on_cancel=True)

    def statistics(self) -> dict[str, int]:
        """Calls under way, and those that wait for a thread."""
        found = self._limiter.statistics()
        return {"busy": found.borrowed_tokens, "waiting": found.tasks_waiting}

    def path(self, digest: str) -> Path:
        """Where content of that digest stands."""
        return self.folder / digest[:2] / digest

    async def run(self, call: Callable[[Unpack[_Args]], T], *args: *_Args) -> T:
        """A blocking call in a thread. Cancelled, it goes on there without us: nothing ends a call on a share that is away.

        So a call that uses a descriptor has it for itself until it ends, and then lets go of what was left (``Held``).
        """
        return await trio.to_thread.run_sync(call, *args, limiter=self._limiter, abandon_on_cancel=True)

    async def _let_go(self, held: Held) -> None:
        held.left = True
        self._leaving.add(held)
        with trio.CancelScope(shield=True, deadline=trio.current_time() + CLEAN_UP):
            await self.run(self._drop, held, CLEAN_UP)

    # --- in threads ----------------------------------------------------------------------------------------------

    def _remove(self, digests: Sequence[str]) -> None:
        with told_as_storage("content cannot be removed"):
            for digest in digests:
                with suppress(FileNotFoundError):
                    self.disk.unlink(self.path(digest))

    def _drop(self, held: Held, patience: float = 0.0) -> None:
        if held.drop(patience):
            self._leaving.discard(held)

    def _sweep(self, older: float) -> int:
        swept = 0
        for held in tuple(self._leaving):
            self._drop(held)
        with told_as_storage("what uploads left cannot be removed"):
            for name, age in self.disk.ages(self.folder / INCOMING).items():
                if age >= older:
                    with suppress(FileNotFoundError):
                        self.disk.unlink(self.folder / INCOMING / name)
                        swept += 1
        return swept

    def _check(self) -> None:
        path = self.folder / INCOMING / f"check-{new_id()}"
        with told_as_storage("the folder for files cannot be written"):
            descriptor = self.disk.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            try:
                write_all(self.disk, descriptor, b"ready?")
                self.disk.fsync(descriptor)
            finally:
                self.disk.close(descriptor)
                self.disk.unlink(path)
