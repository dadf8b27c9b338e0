"""What nobody else removes: contents that no row knows of, as a restore leaves those of what it replaced. What is
younger than a day is left alone: it may have come, again, after the rows were read.

All that has a time of its own goes while a server runs: the trash, deltas of ended answers, the audit log, sessions and
uploads.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import trio

from trialogue_server._keeping.backup import told
from trialogue_server._keeping.checking import orphans
from trialogue_server._keeping.pool import content_path
from trialogue_server.config import Config

#: Seconds.
YOUNG = 24 * 3600.0


async def prune(config: Config, *, dry_run: bool = False) -> Sequence[str]:
    """Their digests. Raises ``ConfigurationError``."""
    files = config.data_dir / config.files_dir
    found = await orphans(config)
    with told(config.data_dir):
        return await trio.to_thread.run_sync(lambda: [one for one in found if _removed(files, one, dry_run=dry_run)])


def _removed(files: Path, digest: str, *, dry_run: bool) -> bool:
    path = content_path(files, digest)
    try:
        if path.stat().st_mtime > time.time() - YOUNG:
            return False
        if not dry_run:
            path.unlink()
    except FileNotFoundError:
        return False
    return True
