"""Making a backup, while servers run: the rows of one moment, and the contents they name.

    PLACE/20261124T133000.000000Z/manifest.json, rows.jsonl.gz     a backup each; complete, or not there under such a name
    PLACE/files/ab/abcdef...                                        contents, each once for all backups

Contents are copied twice: all there are before the rows are read, so that one that goes away meanwhile is had already, and
what the rows name besides afterwards.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec
import trio

from trialogue import ConfigurationError, TrialogueError, load_plugins
from trialogue_server._keeping.manifest import MANIFEST, ROWS, Manifest, backups_in, read_manifest
from trialogue_server._keeping.pool import copy_content, digests_in, remove_others, sync_folder
from trialogue_server._keeping.rows import RowsFile, Tally, read_rows, sha256_of
from trialogue_server.config import Config

POOL = "files"
PARTIAL = ".partial-"


class Made(msgspec.Struct, frozen=True):
    """What became of it."""

    backup: str
    manifest: Manifest
    #: Backups that were removed because there are enough, and contents that none needs any more.
    removed: tuple[str, ...] = ()
    removed_contents: int = 0


async def back_up(config: Config, place: Path, keep: int | None = None) -> Made:
    """Make one, verified, in ``place``, and leave the newest ``keep``. Raises ``ConfigurationError``, ``TrialogueError``."""
    with told(place), _held(place):
        partial = place / f"{PARTIAL}{os.getpid()}"
        partial.mkdir(mode=0o700)
        try:
            manifest = await _written(config, place, partial)
            await trio.to_thread.run_sync(verify_rows, partial, manifest)
            backup = _named(place, partial, manifest.made_at)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        removed = () if keep is None else await trio.to_thread.run_sync(_remove_old, place, keep)
        contents = await trio.to_thread.run_sync(_remove_unneeded, place) if removed else 0
    return Made(str(backup), manifest, removed, contents)


async def _written(config: Config, place: Path, partial: Path) -> Manifest:
    files, pool, made_at = config.data_dir / config.files_dir, place / POOL, datetime.now(UTC)
    await trio.to_thread.run_sync(_copy_all, files, pool)
    tally = await _write_rows(config, partial / ROWS)
    missing = await trio.to_thread.run_sync(_copy_missing, files, pool, tally.contents)
    assert tally.about is not None, "it was the first line"
    manifest = Manifest(
        format=1,
        made_at=made_at,
        version=version("trialogue"),
        storage=config.storage_url.partition(":")[0],
        store=tally.about.store,
        generation=tally.about.generation,
        file_sha256=await trio.to_thread.run_sync(sha256_of, partial / ROWS),
        rows_sha256=tally.sha256,
        rows=dict(tally.counts),
        contents=len(tally.contents),
        content_bytes=sum(tally.contents.values()),
        missing=missing,
    )
    await trio.to_thread.run_sync(_write_manifest, partial, manifest)
    return manifest


async def _write_rows(config: Config, path: Path) -> Tally:
    transfer = load_plugins(disabled=config.disabled_plugins).store_transfer(config.storage_url, config.data_dir)
    file = RowsFile(path)
    try:
        async with transfer.dump() as chunks:
            async for chunk in chunks:
                await trio.to_thread.run_sync(file.write, chunk)
        await trio.to_thread.run_sync(file.finish)
    finally:
        file.close()
    return file.tally


def _copy_all(files: Path, pool: Path) -> None:
    for digest in digests_in(files):
        copy_content(files, pool, digest)


def _copy_missing(files: Path, pool: Path, contents: dict[str, int]) -> tuple[str, ...]:
    return tuple(digest for digest in contents if not copy_content(files, pool, digest))


def _write_manifest(partial: Path, manifest: Manifest) -> None:
    with (partial / MANIFEST).open("xb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    sync_folder(partial)


def verify_rows(backup: Path, manifest: Manifest) -> Tally:
    """Read the rows as a restore will; what there is of them.

    Raises ``ConfigurationError`` unless they are what the manifest says.
    """
    path = backup / ROWS
    try:
        is_same = sha256_of(path) == manifest.file_sha256
    except OSError as error:
        raise ConfigurationError(f"{str(path)!r} cannot be read ({error}): name another backup") from error
    tally = Tally()
    if is_same:
        try:
            for chunk in read_rows(path):
                tally.take(chunk)
        except (TrialogueError, ValueError) as error:
            raise ConfigurationError(f"{str(path)!r} is damaged ({error}): name another backup") from error
    if not is_same or (tally.sha256, dict(tally.counts)) != (manifest.rows_sha256, manifest.rows):
        raise ConfigurationError(f"{str(path)!r} is not what its manifest says: it is damaged, name another backup")
    return tally


def _named(place: Path, partial: Path, made_at: datetime) -> Path:
    backup = place / made_at.strftime("%Y%m%dT%H%M%S.%fZ")
    partial.rename(backup)
    sync_folder(place)
    return backup


def _remove_old(place: Path, keep: int) -> tuple[str, ...]:
    old = backups_in(place)[: -max(keep, 1)]
    for backup in old:
        # Renamed first: what is removed halfway must not look like a backup.
        gone = backup.rename(place / f"{PARTIAL}{backup.name}")
        shutil.rmtree(gone)
    return tuple(map(str, old))


def _remove_unneeded(place: Path) -> int:
    needed: set[str] = set()
    for backup in backups_in(place):
        tally = Tally()
        if read_manifest(backup).contents:
            for chunk in read_rows(backup / ROWS):
                tally.take(chunk)
        needed |= tally.contents.keys()
    return remove_others(place / POOL, needed)


@contextmanager
def _held(place: Path) -> Generator[None]:
    """Make the place if need be, and be the only one in it; what somebody who died has left is removed."""
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(place / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for left in place.glob(f"{PARTIAL}*"):
            shutil.rmtree(left)
        yield
    except BlockingIOError as error:
        raise ConfigurationError(f"another backup is being made in {str(place)!r}: wait for it") from error
    finally:
        os.close(lock)


@contextmanager
def told(place: Path) -> Generator[None]:
    """What goes wrong with a disk, and with a store, as what the operator has to mend."""
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"{str(place)!r} cannot be used ({error}): look at its disk and owner") from error
    except ConfigurationError:
        raise
    except TrialogueError as error:
        raise ConfigurationError(error.detail) from error
