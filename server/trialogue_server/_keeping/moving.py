"""From one store into another: the same rows, verified, and contents of files where they are wanted elsewhere."""

from __future__ import annotations

from pathlib import Path

import msgspec
import trio

from trialogue import ConfigurationError, Transfer, load_plugins
from trialogue_server._keeping.backup import told
from trialogue_server._keeping.restore import claim, folder_of, put_contents
from trialogue_server._keeping.rows import Tally
from trialogue_server.config import Config


class Moved(msgspec.Struct, frozen=True):
    """What became of it."""

    generation: int
    rows: dict[str, int]
    rows_sha256: str
    contents: int


async def move(config: Config, url: str, data_dir: Path) -> Moved:
    """From the configured storage into the empty one at ``url``. Raises ``ConfigurationError``.

    Files stay where they are, unless ``data_dir`` is another one: then their contents are copied.
    """
    plugins = load_plugins(disabled=config.disabled_plugins)
    source = plugins.store_transfer(config.storage_url, config.data_dir)
    target = plugins.store_transfer(url, data_dir)
    here, there = config.data_dir / config.files_dir, data_dir / config.files_dir
    with told(data_dir):
        tally = Tally()
        about = await _about(source)
        folder = folder_of(there, about)
        async with source.dump() as chunks, target.load(folder) as loader:
            async for chunk in chunks:
                await trio.to_thread.run_sync(tally.take, chunk)
                await loader.put(chunk)
            if here.resolve() != there.resolve():
                await trio.to_thread.run_sync(claim, there, folder)
                await trio.to_thread.run_sync(put_contents, here, there, tally, ())
        await _verify(target, tally)
    return Moved(loader.generation, dict(tally.counts), tally.sha256, len(tally.contents))


async def _about(source: Transfer) -> Tally:
    """Only the beginning: where the rows are from."""
    tally = Tally()
    async with source.dump() as chunks:
        async for chunk in chunks:
            tally.take(chunk.partition(b"\n")[0] + b"\n")
            break
    return tally


async def _verify(target: Transfer, expected: Tally) -> None:
    found = Tally()
    async with target.dump() as chunks:
        async for chunk in chunks:
            await trio.to_thread.run_sync(found.take, chunk)
    if (found.sha256, found.counts) != (expected.sha256, expected.counts):
        raise ConfigurationError("the rows that arrived are not those that were sent: do not use them, and report it")
