"""Contents by their digests, copied from folder to folder: whole, durable, and only what is not there yet.

The folder for files and the pool of a place for backups look alike (``ab/abcdef...``), so that one function serves both
ways. A copy is a copy, never a link: what damages the one leaves the other. All of it blocks.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

PIECE = 1024 * 1024


def content_path(folder: Path, digest: str) -> Path:
    """Where content stands."""
    return folder / digest[:2] / digest


def digests_in(folder: Path) -> Iterator[str]:
    """All contents in a folder, by their names."""
    for path in folder.glob("[0-9a-f][0-9a-f]/*"):
        if len(path.name) == 64 and path.name.startswith(path.parent.name):
            yield path.name


def copy_content(source: Path, target: Path, digest: str) -> bool:
    """Have content in ``target`` as well; returns whether it was there and whole. Raises ``OSError``."""
    return content_path(target, digest).exists() or put_content(source, target, digest)


def put_content(source: Path, target: Path, digest: str) -> bool:
    """The same, in the place of what is there."""
    place = content_path(target, digest)
    if not place.parent.is_dir():
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_folder(target)
    fresh = place.with_name(f".{digest}.new")
    try:
        if not _copied(content_path(source, digest), fresh, digest):
            return False
        fresh.replace(place)
    finally:
        fresh.unlink(missing_ok=True)
    sync_folder(place.parent)
    return True


def _copied(source: Path, target: Path, digest: str) -> bool:
    found = hashlib.sha256()
    try:
        with source.open("rb") as file, target.open("wb") as copy:
            target.chmod(0o600)
            while piece := file.read(PIECE):
                found.update(piece)
                copy.write(piece)
            copy.flush()
            os.fsync(copy.fileno())
    except FileNotFoundError:
        return False
    return found.hexdigest() == digest


def is_whole(folder: Path, digest: str) -> bool:
    """Whether content is there, and is what its name says. Reads all of it."""
    try:
        with content_path(folder, digest).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == digest
    except FileNotFoundError:
        return False


def remove_others(folder: Path, needed: Iterable[str]) -> int:
    """Remove contents that are not among those that are needed; returns how many."""
    others = set(digests_in(folder)) - set(needed)
    for digest in others:
        content_path(folder, digest).unlink(missing_ok=True)
    return len(others)


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
