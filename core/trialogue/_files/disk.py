"""The system calls that content on a disk is made of, in one place, so that a test can have each of them fail.

The disk may be a share of another machine's: a handle may go stale at any call (ESTALE), a write may take less than it was
given, and nothing is known of a name until it was asked for. What is worth another try is tried here; the rest is told in
words, as ``StorageError``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Generator
from pathlib import Path

from trialogue._facts.errors import StorageError

#: Tries of an opening or a reading that failed for a reason that may pass, and the pause before each further one.
TRIES, PAUSE = 3, 0.05
#: A share lost its server for a moment, or serves another generation of the file: asked again, it may answer. EBADF is what
#: NFS 4 says of a file that was open when its server was restarted, and that the server did not find again.
PASSING = frozenset({errno.ESTALE, errno.EIO, errno.ETIMEDOUT, errno.EBADF})


class Disk:
    """The calls, as the system has them. All block."""

    def open(self, path: Path, flags: int) -> int:
        return os.open(path, flags | os.O_CLOEXEC, 0o600)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def size(self, descriptor: int) -> int:
        return os.fstat(descriptor).st_size

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        return os.write(descriptor, data)

    def pread(self, descriptor: int, size: int, offset: int) -> bytes:
        return os.pread(descriptor, size, offset)

    def fsync(self, descriptor: int) -> None:
        os.fsync(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        source.replace(target)

    def unlink(self, path: Path) -> None:
        path.unlink()

    def mkdir(self, path: Path) -> None:
        path.mkdir(mode=0o700)

    def ages(self, folder: Path) -> dict[str, float]:
        """Names in a folder, and how many seconds ago each was written; those of the file system itself left out."""
        ages: dict[str, float] = {}
        with os.scandir(folder) as entries:
            for entry in entries:
                # An open file that was removed lives on under such a name, on a share.
                if not entry.name.startswith(".nfs"):
                    with _gone_by_now():
                        ages[entry.name] = time.time() - entry.stat().st_mtime
        return ages


@contextlib.contextmanager
def _gone_by_now() -> Generator[None]:
    """Another host, or another task, may remove what a folder listed a moment ago."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ESTALE):
            raise


def write_all(disk: Disk, descriptor: int, data: bytes) -> None:
    """Write all of it, however little each call takes. Raises ``OSError``."""
    rest = memoryview(data)
    while rest:
        rest = rest[disk.write(descriptor, rest) :]


def sync_folder(disk: Disk, folder: Path) -> None:
    """Make what was renamed in ``folder`` durable. Raises ``OSError``."""
    descriptor = disk.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        disk.fsync(descriptor)
    finally:
        disk.close(descriptor)


def make_folder(disk: Disk, folder: Path) -> None:
    """Make ``folder``, durably, unless it is there. Raises ``OSError``."""
    with contextlib.suppress(FileExistsError):
        disk.mkdir(folder)
        sync_folder(disk, folder.parent)


@contextlib.contextmanager
def told_as_storage(what: str) -> Generator[None]:
    """Turns an ``OSError`` into a ``StorageError`` that says what could not be done and what to do."""
    try:
        yield
    except OSError as error:
        again = 1.0 if error.errno in PASSING or error.errno in _FULL else None
        raise StorageError(f"{what}: {error.strerror or error}; {_advice(error)}", retry_after=again) from error


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def _advice(error: OSError) -> str:
    if error.errno in _FULL:
        return "make room on the disk of files_dir"
    if error.errno in PASSING:
        return "look at the disk or the share of files_dir, then try again"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "make files_dir writable for us"
    return "look at files_dir and the system's log"
