"""Removing at once what is over: everything that has a time in the settings, as a running server does it by and by, and
contents that no row knows of, as a restore leaves those of what it replaced.

Where a server runs over the data folder, it does the first itself, asked at its socket: it tells those who look on. Of the
second, what is younger than a day is left alone: it may have come, again, after the rows were read.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import trio

from trialogue import (
    ConfigurationError,
    ContentRecord,
    Limits,
    Pruned,
    Retention,
    Store,
    decode_records,
    load_plugins,
    tidy_folder,
)
from trialogue_server._administering.local import find_local
from trialogue_server._keeping.backup import told
from trialogue_server._keeping.foreseeing import Foresight
from trialogue_server._keeping.pool import content_path, digests_in
from trialogue_server.config import Config

#: Seconds.
YOUNG = 24 * 3600.0


class Outcome(msgspec.Struct, frozen=True):
    """What went, or would."""

    over: Pruned
    #: Digests of contents that no row knew of.
    strays: Sequence[str]


async def prune(config: Config, limits: Limits, *, dry_run: bool = False) -> Outcome:
    """Remove it, or say only what it would be. Raises ``ConfigurationError``."""
    files = config.data_dir / config.files_dir
    with told(config.data_dir):
        over = None if dry_run else await _removed(config, limits)
        # Listed first: what comes later is known to the rows before it has its name.
        there = await trio.to_thread.run_sync(lambda: set(digests_in(files)))
        foresight, known = Foresight(limits, datetime.now(UTC)), set[str]()
        await _read(config, foresight, known)
        strays = sorted(there - known)
        gone = await trio.to_thread.run_sync(lambda: [one for one in strays if _drop(files, one, dry_run=dry_run)])
    return Outcome(foresight.pruned() if over is None else over, gone)


async def _removed(config: Config, limits: Limits) -> Pruned:
    server = find_local(config.data_dir)
    if server is not None:
        return await server.prune()
    plugins = load_plugins(disabled=config.disabled_plugins)
    try:
        async with plugins.open_store(config.storage_url, config.data_dir) as store:
            return await _removed_from(store, config.data_dir / config.files_dir, limits)
    except ConfigurationError as error:
        if "in use by" not in error.detail:
            raise
        raise ConfigurationError(
            f"a server has this data open and does not answer at its socket: run it as that server's user ({error.detail})"
        ) from error


async def _removed_from(store: Store, files: Path, limits: Limits) -> Pruned:
    if store.nodes is not None and any(node.alive for node in (await store.nodes.members()).nodes):
        raise ConfigurationError(
            "servers run over this storage: run it where one of them does, with its data folder (data_dir)"
        )

    async def sweep() -> int:
        there = await trio.to_thread.run_sync(files.is_dir)
        return await tidy_folder(store.files, files) if there else 0

    return await Retention(store, limits, lambda: datetime.now(UTC), store.purge).all(sweep)


async def _read(config: Config, foresight: Foresight, known: set[str]) -> None:
    transfer = load_plugins(disabled=config.disabled_plugins).store_transfer(config.storage_url, config.data_dir)
    async with transfer.dump() as chunks:
        async for chunk in chunks:
            await trio.to_thread.run_sync(_take, chunk, foresight, known)


def _take(chunk: bytes, foresight: Foresight, known: set[str]) -> None:
    records = decode_records(chunk)
    foresight.take(records)
    known.update(one.sha256 for one in records if isinstance(one, ContentRecord))


def _drop(files: Path, digest: str, *, dry_run: bool) -> bool:
    path = content_path(files, digest)
    try:
        if path.stat().st_mtime > time.time() - YOUNG:
            return False
        if not dry_run:
            path.unlink()
    except FileNotFoundError:
        return False
    return True
