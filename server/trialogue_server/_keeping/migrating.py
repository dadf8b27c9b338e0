"""The schema, brought up to date without serving: what a start does, under the same lock, as a step of its own."""

from __future__ import annotations

from collections.abc import Sequence

from trialogue import Finding, load_plugins
from trialogue_server._keeping.backup import told
from trialogue_server.config import Config


async def migrate(config: Config, *, dry_run: bool = False) -> Sequence[Finding]:
    """What there is to say of the storage, after it or instead of it. Raises ``ConfigurationError``."""
    plugins = load_plugins(disabled=config.disabled_plugins)
    with told(config.data_dir):
        if not dry_run:
            async with plugins.open_store(config.storage_url, config.data_dir):
                pass
        look = plugins.store_checkup(config.storage_url, config.data_dir)
        return () if look is None else await look()
