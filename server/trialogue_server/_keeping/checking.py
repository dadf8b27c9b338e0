"""Whether what is stored is sound: the database itself, its rows among one another, and the contents of files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import trio

from trialogue import ConfigurationError, ContentRecord, Finding, Soundness, Transfer, decode_records, load_plugins
from trialogue_server._keeping.backup import told
from trialogue_server._keeping.pool import content_path, digests_in, is_whole
from trialogue_server.config import Config


async def check(config: Config, *, deep: bool = False) -> Sequence[Finding]:
    """Look at everything, and change nothing; ``deep`` reads all contents of files. Raises ``ConfigurationError``."""
    plugins = load_plugins(disabled=config.disabled_plugins)
    transfer = plugins.store_transfer(config.storage_url, config.data_dir)
    files = config.data_dir / config.files_dir
    with told(config.data_dir):
        look = plugins.store_checkup(config.storage_url, config.data_dir)
        found = list(await look()) if look is not None else []
        if any(one.state == "wrong" for one in found):
            return found
        found += await transfer.examine()
        # Listed first: what comes later is known to the rows before it has its name.
        there = await trio.to_thread.run_sync(lambda: frozenset(digests_in(files)))
        soundness, known = await examined(transfer)
        found += await trio.to_thread.run_sync(lambda: list(soundness.findings()))
        look_at = partial(_of_contents, files, soundness.contents, deep=deep)
        found += await trio.to_thread.run_sync(lambda: [*look_at(), *_of_orphans(files, there - known)])
    return found


async def examined(transfer: Transfer) -> tuple[Soundness, set[str]]:
    """All rows of a store, held against one another, and all contents that they know of."""
    soundness, known = Soundness(), set[str]()
    async with transfer.dump() as chunks:
        async for chunk in chunks:
            await trio.to_thread.run_sync(_take, chunk, soundness, known)
    return soundness, known


def _take(chunk: bytes, soundness: Soundness, known: set[str]) -> None:
    records = decode_records(chunk)
    soundness.take(records)
    known.update(one.sha256 for one in records if isinstance(one, ContentRecord))


def _of_contents(files: Path, contents: dict[str, int], *, deep: bool) -> Iterator[Finding]:
    bad = [digest for digest, size in contents.items() if not _is_right(files, digest, size, deep=deep)]
    if bad:
        detail = f"{len(bad)} contents of files are missing in {str(files)!r} or damaged, such as {bad[0]}"
        yield Finding(
            "files", "wrong", detail, "restore them from a backup's folder of files: their name is their digest"
        )
    else:
        how = "read and right" if deep else "there, with the right size"
        yield Finding("files", "right", f"{len(contents)} contents of files are {how}")


def _is_right(files: Path, digest: str, size: int, *, deep: bool) -> bool:
    try:
        return content_path(files, digest).stat().st_size == size and (not deep or is_whole(files, digest))
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ConfigurationError(f"{str(files)!r} cannot be read ({error}): see that it is mounted") from error


def _of_orphans(files: Path, others: frozenset[str]) -> Iterator[Finding]:
    if others:
        detail = f"{len(others)} contents in {str(files)!r} are known to no row, such as {min(others)}"
        yield Finding("files", "doubtful", detail, "remove them with `trialogue db prune`")
