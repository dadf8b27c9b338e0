"""Putting a backup back: verified first, contents before the rows that name them, and rows all at once or not at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
import trio

from trialogue import ConfigurationError, load_plugins, new_id
from trialogue_server._keeping.backup import POOL, told, verify_rows
from trialogue_server._keeping.manifest import ROWS, Manifest, read_manifest
from trialogue_server._keeping.pool import is_whole, put_content, sync_folder
from trialogue_server._keeping.rows import Tally, read_rows
from trialogue_server.config import Config

IDENTITY = "trialogue-files.json"


class Restored(msgspec.Struct, frozen=True):
    """What became of it."""

    backup: str
    generation: int
    rows: dict[str, int]
    contents: int
    #: Where what was there before is kept.
    kept: str | None = None


class _FolderIdentity(msgspec.Struct, frozen=True):
    format: int
    folder: str


async def restore(config: Config, backup: Path, *, replace: bool = False) -> Restored:
    """Raises ``ConfigurationError``: it is damaged, what is to be filled is in use or not empty, or a disk fails."""
    transfer = load_plugins(disabled=config.disabled_plugins).store_transfer(config.storage_url, config.data_dir)
    files = config.data_dir / config.files_dir
    manifest = read_manifest(backup)
    with told(backup):
        tally = await trio.to_thread.run_sync(verified, backup, manifest)
        folder = folder_of(files, tally)
        async with transfer.load(folder, replace=replace) as loader:
            await trio.to_thread.run_sync(claim, files, folder)
            await trio.to_thread.run_sync(put_contents, backup.parent / POOL, files, tally, manifest.missing)
            chunks = read_rows(backup / ROWS)
            while (chunk := await trio.to_thread.run_sync(next, chunks, None)) is not None:
                await loader.put(chunk)
    return Restored(str(backup), loader.generation, manifest.rows, manifest.contents, loader.kept)


def verified(backup: Path, manifest: Manifest) -> Tally:
    """Read all of a backup. Raises ``ConfigurationError`` unless it is what it says."""
    tally = verify_rows(backup, manifest)
    pool = backup.parent / POOL
    bad = [digest for digest in tally.contents if digest not in manifest.missing and not is_whole(pool, digest)]
    if bad:
        raise ConfigurationError(
            f"{len(bad)} contents of files are missing in {str(pool)!r} or damaged, such as {bad[0]}: name another backup, "
            "or copy the folder as a whole"
        )
    return tally


def folder_of(files: Path, tally: Tally) -> str:
    """Which folder for files the rows will belong to: the one that is there, else as it was."""
    try:
        return msgspec.json.decode((files / IDENTITY).read_bytes(), type=_FolderIdentity).folder
    except FileNotFoundError:
        return (tally.about.folder if tally.about else None) or new_id()
    except msgspec.DecodeError as error:
        raise ConfigurationError(f"{str(files / IDENTITY)!r} cannot be read ({error}): move it away") from error


def claim(files: Path, folder: str) -> None:
    """Have the folder for files say whose it is, unless it does."""
    if (files / IDENTITY).exists():
        return
    files.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = files / f".{IDENTITY}.new"
    fresh.write_bytes(msgspec.json.encode(_FolderIdentity(1, folder)) + b"\n")
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    fresh.replace(files / IDENTITY)
    sync_folder(files)


def put_contents(source: Path, files: Path, tally: Tally, missing: Sequence[str]) -> None:
    """What is there and whole stays. Raises ``ConfigurationError`` for what is lacking."""
    for digest in tally.contents:
        if not (is_whole(files, digest) or put_content(source, files, digest)) and digest not in missing:
            raise ConfigurationError(
                f"content {digest} is not in {str(source)!r}, or damaged: name a backup that is whole"
            )
