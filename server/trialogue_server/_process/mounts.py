"""What the folder for uploaded files lies on: a disk, a share whose promises hold, or something that would lose files.

A file is acknowledged when it was written under another name, synced, renamed, and its folder synced. So these calls have to
mean what they say, also when a server at the other end of a wire goes away and comes back. What is known not to keep that is
refused at the start, in words; what keeps it at a price is told.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import NamedTuple

from trialogue import ConfigurationError

TABLE = Path("/proc/self/mountinfo")
NFS = frozenset({"nfs", "nfs4"})
#: They acknowledge what is not stored yet, or rename in two steps.
KEEPS_NOTHING = frozenset(
    {
        *("fuse.s3fs", "fuse.goofys", "fuse.gcsfuse", "fuse.rclone", "fuse.sshfs", "fuse.curlftpfs"),
        *("davfs", "fuse.davfs2", "vboxsf", "9p"),
    }
)
#: Gone when the machine is switched off.
FLEETING = frozenset({"tmpfs", "ramfs"})
OPTIONS = "hard,vers=4.2,lookupcache=positive"

_log = logging.getLogger("trialogue.serve")


class Mount(NamedTuple):
    """One line of the kernel's table."""

    point: Path
    kind: str
    options: frozenset[str]


def check_files_folder(folder: Path, table: str | None = None) -> None:
    """Raise ``ConfigurationError`` if files would not be safe in ``folder``. ``table`` is the kernel's, unless given."""
    mount = mount_of(folder, kernel_table() if table is None else table)
    if mount is None:
        return
    where = f"the folder for files {str(folder)!r} is on {mount.kind}, mounted at {str(mount.point)!r}"
    if mount.kind in KEEPS_NOTHING:
        raise ConfigurationError(
            f"{where}, which acknowledges what is not stored yet: name a folder on a disk, or on an NFS share, as files_dir"
        )
    if mount.kind in NFS:
        _check_nfs(where, mount)
    elif mount.kind in FLEETING:
        _log.warning("%s, which is empty after the next start of the machine", where)


def _check_nfs(where: str, mount: Mount) -> None:
    soft = mount.options & {"soft", "softerr"}
    if soft:
        raise ConfigurationError(
            f"{where} with the option {min(soft)!r}: what is written while its server is away may be lost without a word; "
            f"mount it with {OPTIONS}"
        )
    if "vers=2" in mount.options:
        raise ConfigurationError(f"{where} by version 2, which has no sync: mount it with {OPTIONS}")
    if not mount.options & {"lookupcache=pos", "lookupcache=positive", "lookupcache=none"}:
        _log.warning(
            "%s: without lookupcache=positive, what another host uploads may be unknown here for half a minute", where
        )


def mount_of(folder: Path, table: str) -> Mount | None:
    """The deepest mount above ``folder``, and of several on one point the last; ``None`` where nothing is known."""
    found: Mount | None = None
    folder = folder.resolve()
    for line in table.split("\n"):
        before, _, after = line.partition(" - ")
        fields, rest = before.split(" "), after.split(" ")
        if len(fields) < 6 or len(rest) < 3:
            continue  # Not a line as the kernel writes them.
        point = Path(_unescaped(fields[4]))
        if folder.is_relative_to(point) and (found is None or len(point.parts) >= len(found.point.parts)):
            found = Mount(point, rest[0], frozenset(fields[5].split(",") + rest[2].split(",")))
    return found


def _unescaped(name: str) -> str:
    """The kernel writes blanks and backslashes in octal, and all else as it is."""
    return os.fsdecode(re.sub(rb"\\([0-3][0-7]{2})", lambda octal: bytes([int(octal[1], 8)]), os.fsencode(name)))


def kernel_table() -> str:
    """What is mounted where, as the kernel tells it."""
    try:
        return os.fsdecode(TABLE.read_bytes())
    except OSError:
        return ""  # Not Linux: nothing is known, and nothing refused.
