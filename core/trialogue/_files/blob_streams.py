"""Content on its way in and on its way out, in pieces; made by ``Blobs``, whose threads do the work.

A call on a share that is away ends when the share is back, and nobody can end it before. Whoever waited for it may be
cancelled all the same: the call then goes on alone, and what it uses is nobody else's until it has ended (``Held``).
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple, Unpack

from trialogue._facts.errors import NotFoundError, StorageError
from trialogue._files.disk import PASSING, PAUSE, TRIES, make_folder, sync_folder, told_as_storage, write_all

if TYPE_CHECKING:
    from trialogue._files.blobs import Blobs

T = TypeVar("T")
_Args = TypeVarTuple("_Args")


class DamagedError(StorageError):
    """Content that is not whole any more: trying again does not help, a backup does."""


class Held(ABC):
    """A descriptor that one call at a time uses; whoever needs it no more says so (``left``) and drops it."""

    def __init__(self, blobs: Blobs) -> None:
        #: Nobody comes back. A call that is still under way then drops it at its end.
        self.left = False
        self._blobs = blobs
        self._disk = blobs.disk
        self._descriptor: int | None = None
        self._in_use = threading.Lock()

    async def _do(self, call: Callable[[Unpack[_Args]], T], *args: *_Args) -> T:
        return await self._blobs.run(self._using, call, *args)

    def _using(self, call: Callable[[Unpack[_Args]], T], *args: *_Args) -> T:
        try:
            with self._in_use:
                return call(*args)
        finally:
            if self.left:
                self.drop()

    def drop(self, patience: float = 0.0) -> bool:
        """Let go of it, in a thread; ``False`` if a call uses it for longer than that. Once more does no harm."""
        if not self._in_use.acquire(timeout=patience):
            return False
        try:
            self._let_go()
        finally:
            self._in_use.release()
        return True

    @abstractmethod
    def _let_go(self) -> None:
        """Close it, and remove what nobody will have any more."""


class Writer(Held):
    """Content on its way in. ``write`` as often as needed, then ``finish``, then ``place``."""

    def __init__(self, blobs: Blobs, path: Path) -> None:
        super().__init__(blobs)
        self.size = 0
        self._path = path
        self._hash = hashlib.sha256()
        self._placed = False

    @property
    def digest(self) -> str:
        """SHA-256 of what was written."""
        return self._hash.hexdigest()

    async def write(self, *pieces: bytes) -> None:
        """Append; the fewer and larger the calls, the better. Raises ``StorageError``."""
        await self._do(self._write, pieces)

    async def finish(self) -> None:
        """Make it durable. Raises ``StorageError``; the content is then lost, whatever a second try would say."""
        await self._do(self._finish)

    async def place(self) -> None:
        """Give it its digest as name, durably. Raises ``StorageError``; it may be tried again."""
        await self._do(self._place)

    def _write(self, pieces: Sequence[bytes]) -> None:
        with told_as_storage("the file cannot be written"):
            if self._descriptor is None:
                self._descriptor = self._disk.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            for piece in pieces:
                write_all(self._disk, self._descriptor, piece)
                self._hash.update(piece)
                self.size += len(piece)

    def _finish(self) -> None:
        self._write(())
        with told_as_storage("the file cannot be made durable"):
            descriptor, self._descriptor = self._descriptor, None
            assert descriptor is not None
            try:
                self._disk.fsync(descriptor)
            finally:
                # A share may keep its bad news until here.
                self._disk.close(descriptor)

    def _place(self) -> None:
        target = self._blobs.path(self.digest)
        with told_as_storage("the file cannot be put in its place"):
            if not self._placed:
                self._rename(target)
            self._placed = True
            sync_folder(self._disk, target.parent)

    def _rename(self, target: Path) -> None:
        for tried in range(1, TRIES + 1):
            try:
                return self._disk.replace(self._path, target)
            except FileNotFoundError:
                # No such folder yet; or a share did it and lost the answer, and was asked again by the system.
                if self._is_whole(target):
                    return self._remove_own()
                if tried == TRIES:
                    raise
                make_folder(self._disk, target.parent)
            except FileExistsError:
                # Not ours to replace: what is there must be the same.
                if not self._is_whole(target):
                    raise
                return self._remove_own()
            except OSError as error:
                if error.errno not in PASSING or tried == TRIES:
                    raise
                time.sleep(PAUSE)
        return None

    def _remove_own(self) -> None:
        """Another upload of the same content was faster. What cannot be removed is left to the sweep."""
        with suppress(OSError):
            self._disk.unlink(self._path)

    def _is_whole(self, target: Path) -> bool:
        try:
            descriptor = self._disk.open(target, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            return self._disk.size(descriptor) == self.size
        finally:
            self._disk.close(descriptor)

    def _let_go(self) -> None:
        """What cannot be removed is left to the sweep."""
        descriptor, self._descriptor = self._descriptor, None
        with suppress(OSError):
            if descriptor is not None:
                self._disk.close(descriptor)
        if not self._placed:
            with suppress(OSError):
                self._disk.unlink(self._path)


class Reader(Held):
    """Content on its way out."""

    def __init__(self, blobs: Blobs, digest: str, size: int) -> None:
        super().__init__(blobs)
        self.digest = digest
        self.size = size

    async def read(self, offset: int, size: int) -> bytes:
        """``size`` bytes from ``offset``, fewer only at the end. Raises ``StorageError``, ``NotFoundError``."""
        return await self._do(self._read, offset, size)

    async def duplicate(self) -> int:
        """A descriptor of it for somebody else, who closes it."""
        return await self._do(self._duplicate)

    async def open(self) -> None:
        """Open it. Raises ``NotFoundError``, ``StorageError``."""
        await self._do(self._patiently, self._open)

    def _let_go(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):
                self._disk.close(descriptor)

    def _open(self) -> None:
        self._let_go()
        self._descriptor = self._disk.open(self._blobs.path(self.digest), os.O_RDONLY)
        found = self._disk.size(self._descriptor)
        if found != self.size:
            self._let_go()
            raise DamagedError(f"content {self.digest} has {found} bytes instead of {self.size}: restore a backup")

    def _read(self, offset: int, size: int) -> bytes:
        pieces: list[bytes] = []
        end = min(offset + size, self.size)
        while offset < end:
            piece = self._patiently(self._read_some, end - offset, offset)
            if not piece:
                raise DamagedError(f"content {self.digest} ends before its {self.size} bytes: restore a backup")
            pieces.append(piece)
            offset += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _read_some(self, size: int, offset: int) -> bytes:
        if self._descriptor is None:
            self._open()
        assert self._descriptor is not None
        return self._disk.pread(self._descriptor, size, offset)

    def _duplicate(self) -> int:
        if self._descriptor is None:
            self._patiently(self._open)
        assert self._descriptor is not None
        return os.dup(self._descriptor)

    def _patiently(self, call: Callable[[Unpack[_Args]], T], *args: *_Args) -> T:
        """Again with a fresh handle when the old one has gone stale."""
        with told_as_storage(f"content {self.digest} cannot be read"):
            for tried in range(1, TRIES + 1):
                try:
                    return call(*args)
                except FileNotFoundError as error:
                    raise NotFoundError(f"content {self.digest} is not there any more") from error
                except OSError as error:
                    if error.errno not in PASSING or tried == TRIES:
                        raise
                    self._let_go()
                    time.sleep(PAUSE)
            raise AssertionError("unreachable")
