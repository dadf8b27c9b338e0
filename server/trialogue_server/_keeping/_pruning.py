"""What nobody else removes: contents that no row knows of, as a restore leaves those of what it replaced.

All that has a time of its own goes while a server runs: the trash, deltas of ended answers, the audit log, sessions and
uploads.
"""

from __future__ import annotations

from collections.abc import Sequence

import trio

from trialogue import Blobs
from trialogue_server._keeping._backup import told
from trialogue_server._keeping._checking import orphans
from trialogue_server.config import Config


async def prune(config: Config, *, dry_run: bool = False) -> Sequence[str]:
    """Their digests. Raises ``ConfigurationError``."""
    found = await orphans(config)
    if not dry_run:
        with told(config.data_dir):
            await Blobs(config.data_dir / config.files_dir).remove(found)
    else:
        await trio.lowlevel.checkpoint()
    return found
