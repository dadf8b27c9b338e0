"""The data folder: whose it is, that one process has it, and that its disk keeps SQLite's promises.

Three names in it are ours: ``trialogue.json`` says which store lives here, ``trialogue.lock`` is locked by the process that
has it open, and the database. A folder that holds other things and no ``trialogue.json`` is refused, as is one whose
database is missing or is another one's: starting empty beside old data is how data gets lost. A folder for files in it is
left to whoever opens that one, and compares it with what the store knows of it.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from trialogue import ConfigurationError

IDENTITY = "trialogue.json"
LOCK = "trialogue.lock"
#: By which a folder for uploaded files says whose it is. It may be a share, and be there before a database is, or still.
OF_FILES = "trialogue-files.json"
#: File systems that are shared by machines: their locks and memory maps are not what WAL needs.
NETWORK = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "ceph", "glusterfs", "lustre", "gpfs", "beegfs"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.rclone", "davfs", "fuse.davfs2"),
    }
)


class Identity(msgspec.Struct, frozen=True):
    """What ``trialogue.json`` says. ``opened`` counts starts; a database that counts fewer has gone backwards."""

    format: int
    store: str
    opened: int = 0
    generation: int = 1


@contextmanager
def hold_folder(data_dir: Path, database: Path) -> Generator[Identity | None]:
    """Make the folder if need be and keep it locked in the block; its identity, or ``None`` while it is new.

    Raises ``ConfigurationError`` when it cannot be, or must not be, ours.
    """
    with _told_as_configuration(data_dir), ExitStack() as held:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in {data_dir, database.parent}:
            refuse_network(folder, mounts())
        held.enter_context(_locked(data_dir / LOCK))
        if database.parent.resolve() != data_dir.resolve():
            held.enter_context(_locked(database.with_name(database.name + ".lock")))
        identity = read_identity(data_dir)
        refuse_strangers(data_dir, database, identity)
        held_on = held.pop_all()
    with held_on:
        yield identity


def read_identity(data_dir: Path) -> Identity | None:
    """What the folder says it is; ``None`` when it says nothing. Raises ``ConfigurationError`` for what we do not know."""
    path = data_dir / IDENTITY
    try:
        identity = msgspec.json.decode(path.read_bytes(), type=Identity)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise ConfigurationError(f"{str(path)!r} cannot be read ({error}): restore it from a backup") from error
    if identity.format != 1:
        raise ConfigurationError(
            f"{str(path)!r} has format {identity.format}: start the version that wrote it, or newer"
        )
    return identity


def write_identity(data_dir: Path, identity: Identity) -> None:
    """Replace ``trialogue.json``, wholly or not at all."""
    with _told_as_configuration(data_dir):
        fresh = data_dir / (IDENTITY + ".new")
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(identity) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(data_dir / IDENTITY)
        folder = os.open(data_dir, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def refuse_network(folder: Path, mounts: str) -> None:
    """Raise ``ConfigurationError`` if ``folder`` lies on a network file system. ``mounts`` is a ``mountinfo`` table."""
    where, kind = Path("/"), ""
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        point = Path(before.split()[4].encode().decode("unicode_escape"))
        # The deepest mount above the folder counts, and of several on one point the last.
        if folder.resolve().is_relative_to(point) and len(point.parts) >= len(where.parts):
            where, kind = point, after.split()[0]
    if kind in NETWORK:
        raise ConfigurationError(
            f"the folder {str(folder)!r} is on a network file system ({kind}), on which SQLite loses data: "
            "put it on a local disk, or use a database server"
        )


def mounts() -> str:
    """The table of what is mounted where."""
    try:
        return Path("/proc/self/mountinfo").read_text(errors="replace")
    except OSError:
        return ""  # Not Linux: nothing is known, and nothing refused.


@contextmanager
def _locked(path: Path) -> Generator[None]:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(file, 32, 0).decode(errors="replace").strip() or "unknown"
            raise ConfigurationError(
                f"{str(path.parent)!r} is in use by the process with pid {holder}: stop that one first"
            ) from error
        os.truncate(file, 0)
        os.pwrite(file, b"%d\n" % os.getpid(), 0)
        yield
    finally:
        os.close(file)


def refuse_strangers(data_dir: Path, database: Path, identity: Identity | None) -> None:
    """Raise ``ConfigurationError`` if what is in the folder does not belong together, or to us."""
    if identity is not None:
        if not database.exists():
            raise ConfigurationError(
                f"{str(data_dir)!r} belongs to store {identity.store}, but {str(database)!r} is missing: restore it, "
                f"or remove {IDENTITY} to begin with nothing"
            )
        return
    ours = {LOCK, IDENTITY + ".new"} | {database.name + end for end in ("", "-wal", "-shm", ".lock")}
    others = sorted(path.name for path in _things(data_dir) if path.name not in ours and not _is_for_files(path))
    if others:
        raise ConfigurationError(
            f"{str(data_dir)!r} holds other things ({', '.join(others[:3])}) and no {IDENTITY}: "
            "name an empty folder, or the one that was used before"
        )


def _things(folder: Path) -> Iterator[Path]:
    """What is in it, but for what file systems and tools put everywhere."""
    return (path for path in folder.iterdir() if path.name != "lost+found" and not path.name.startswith("."))


def _is_for_files(path: Path) -> bool:
    """A folder that says so, or one without content: a share that is mounted for them may be new."""
    return path.is_dir() and ((path / OF_FILES).exists() or not any(_things(path)))


@contextmanager
def _told_as_configuration(data_dir: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        advice = (
            "make it writable for us" if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM) else "look at its disk"
        )
        raise ConfigurationError(f"the data folder {str(data_dir)!r} cannot be used ({error}): {advice}") from error
