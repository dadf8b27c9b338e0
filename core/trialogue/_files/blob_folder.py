"""Whose folder it is: one that belongs to another store, or an empty one beside known files, is refused in words.

A share that is not mounted looks like an empty folder. Writing into that would hide the files there are and split them from
the new ones, so the folder says whose it is, and the store knows which one it has.
"""

from __future__ import annotations

import os

import msgspec

from trialogue._facts.errors import ConfigurationError, StorageError
from trialogue._facts.ids import new_id
from trialogue._files.blobs import INCOMING, Blobs
from trialogue._files.disk import make_folder, sync_folder, write_all
from trialogue._files.files import Files

IDENTITY = "trialogue-files.json"


class Identity(msgspec.Struct, frozen=True):
    """What the file in the folder says."""

    format: int
    folder: str


async def claim_folder(files: Files, blobs: Blobs) -> None:
    """Make the folder if it is new, and compare it with what the store knows. Raises ``ConfigurationError``."""
    path = blobs.folder
    try:
        found, others = await blobs.run(_look, blobs)
        known, in_use = await files.folder(new_id())
        if found is not None and found.folder != known:
            raise ConfigurationError(
                f"the folder for files {str(path)!r} belongs to another store (it is {found.folder}, and this store has "
                f"{known}): name the right one as files_dir, or remove its {IDENTITY} to take it over"
            )
        if found is None and in_use:
            raise ConfigurationError(
                f"the folder for files {str(path)!r} has no {IDENTITY}, though this store has files: mount the disk or "
                "share that holds them, or restore them from a backup"
            )
        if found is None and others:
            raise ConfigurationError(
                f"the folder for files {str(path)!r} holds other things ({', '.join(others[:3])}): name an empty one as "
                "files_dir"
            )
        if found is None:
            await blobs.run(_write, blobs, Identity(1, known))
        await blobs.run(make_folder, blobs.disk, path / INCOMING)
        await blobs.check()
    except (OSError, StorageError) as error:
        raise ConfigurationError(f"the folder for files {str(path)!r} cannot be used: {error}") from error


def _look(blobs: Blobs) -> tuple[Identity | None, list[str]]:
    """What the folder says it is, and what else is in it; made if it is missing."""
    blobs.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    names = sorted(name for name in blobs.disk.ages(blobs.folder) if name[0] != "." and name != "lost+found")
    if IDENTITY not in names:
        return None, names
    path = blobs.folder / IDENTITY
    try:
        identity = msgspec.json.decode(path.read_bytes(), type=Identity)
    except msgspec.DecodeError as error:
        raise ConfigurationError(f"{str(path)!r} cannot be read ({error}): restore it from a backup") from error
    if identity.format != 1:
        raise ConfigurationError(
            f"{str(path)!r} has format {identity.format}: start the version that wrote it, or newer"
        )
    return identity, names


def _write(blobs: Blobs, identity: Identity) -> None:
    fresh = blobs.folder / f".{IDENTITY}.new"
    descriptor = blobs.disk.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        write_all(blobs.disk, descriptor, msgspec.json.encode(identity) + b"\n")
        blobs.disk.fsync(descriptor)
    finally:
        blobs.disk.close(descriptor)
    blobs.disk.replace(fresh, blobs.folder / IDENTITY)
    sync_folder(blobs.disk, blobs.folder)
