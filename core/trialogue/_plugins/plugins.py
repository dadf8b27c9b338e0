"""What plugins are asked for: each hook's question in types, and what is made of the answers.

    installed entry points ─┐
                            ├─> load_plugins() ─> Plugins ─> providers, a store, authenticators
    objects, for tests ─────┘                       └──────> set_aside: name -> why, in words

How they are loaded, asked and set aside is ``shelf``'s business. What the objects do that a plugin returned is not seen
here; hooks and their promises are in ``hookspecs``.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import cast

from trialogue._accounts.auth import Authenticator
from trialogue._accounts.identity import HeaderLogin, RedirectLogin
from trialogue._asking.provider import Provider
from trialogue._facts.errors import ConfigurationError
from trialogue._files.extractor import Extractor
from trialogue._plugins.shelf import GROUP, Shelf
from trialogue._runs.turns import TurnHook
from trialogue._search.embedder import Embedder
from trialogue._storage.checkup import Checkup
from trialogue._storage.soft import SoftState
from trialogue._storage.store import Store
from trialogue._storage.transfer import Transfer
from trialogue._tools.tools import ToolLike


class Plugins(Shelf):
    """The plugins of one process; made by ``load_plugins``. What is offered comes in the order of asking."""

    def providers(self, environment: Mapping[str, str]) -> list[Provider]:
        """Every provider that is offered. A plugin that offers a name already taken is set aside, with all it offers."""
        return self._named("trialogue_providers", Provider, "provider", environment=environment)

    def authenticators(self, store: Store) -> list[Authenticator]:
        """Every authenticator that is offered for the accounts in ``store``."""
        return self._all("trialogue_authenticators", Authenticator, store=store)

    def redirect_logins(self, environment: Mapping[str, str]) -> list[RedirectLogin]:
        """Every place that people can be sent to for logging in. A plugin that takes a name already taken is set aside.

        Raises ``ConfigurationError`` when a plugin was given settings that cannot be meant.
        """
        hook = "trialogue_redirect_logins"
        return self._named(hook, RedirectLogin, "login", is_asked_for=True, environment=environment)

    def header_logins(self, environment: Mapping[str, str]) -> list[HeaderLogin]:
        """Everything that reads a person from a proxy's headers. Raises ``ConfigurationError``, as above."""
        return self._all("trialogue_header_logins", HeaderLogin, is_asked_for=True, environment=environment)

    def extractors(self) -> list[Extractor]:
        """Every extractor that is offered; of two that read the same media type, the first one is asked."""
        return self._all("trialogue_extractors", Extractor)

    def tools(self, environment: Mapping[str, str]) -> list[ToolLike]:
        """Every tool and every source of tools that is offered."""
        return self._all("trialogue_tools", ToolLike, environment=environment)

    def turns(self, environment: Mapping[str, str]) -> list[TurnHook]:
        """Everyone who takes part in turns. A plugin that offers a name already taken is set aside."""
        return self._named("trialogue_turns", TurnHook, "turn hook", environment=environment)

    def embedders(self, environment: Mapping[str, str]) -> list[Embedder]:
        """Every embedder that is offered."""
        return self._all("trialogue_embedders", Embedder, environment=environment)

    # --- what a URL names ----------------------------------------------------------------------------------------

    def open_store(self, url: str, data_dir: Path) -> AbstractAsyncContextManager[Store]:
        """The store for ``url``; nothing is opened until the block is entered.

        Raises ``ConfigurationError``: no plugin knows the URL's scheme, or the one that does says what is wrong with it.
        """
        found = self._opening("trialogue_store", "storage_url", url, data_dir=data_dir)
        return cast("AbstractAsyncContextManager[Store]", found)

    def store_checkup(self, url: str, data_dir: Path) -> Checkup | None:
        """A look at the store for ``url``; ``None`` when the plugin that knows it offers none.

        Raises ``ConfigurationError``: the URL cannot be meant.
        """
        # Any callable: what it returns is seen when it is called.
        found = self._first("trialogue_store_checkup", cast("type[object]", Callable), url=url, data_dir=data_dir)
        return cast("Checkup | None", found)

    def store_transfer(self, url: str, data_dir: Path) -> Transfer:
        """What takes rows out of the store for ``url``, and into it.

        Raises ``ConfigurationError``: the URL cannot be meant, or the plugin that knows it offers none.
        """
        found = self._first("trialogue_store_transfer", Transfer, url=url, data_dir=data_dir)
        if found is None:
            raise ConfigurationError(
                f"storage of the kind {url.partition(':')[0]!r} cannot be backed up or moved by us: its plugin has no "
                "trialogue_store_transfer"
            )
        return cast("Transfer", found)

    def open_soft_state(self, url: str) -> AbstractAsyncContextManager[SoftState]:
        """What processes share at ``url``; nothing is opened until the block is entered. Raises as ``open_store`` does."""
        return cast("AbstractAsyncContextManager[SoftState]", self._opening("trialogue_soft_state", "redis_url", url))

    def _opening(self, hook: str, setting: str, url: str, **more: object) -> object:
        found = self._first(hook, AbstractAsyncContextManager, url=url, **more)
        if found is None:
            raise ConfigurationError(self._nobody_opens(setting, url))
        return found

    def _nobody_opens(self, setting: str, url: str) -> str:
        # Only the scheme: what follows it may hold a password.
        problem = f"no plugin opens {setting} {url.partition(':')[0] + ':'!r}"
        aside = "; ".join(f"{name}: {reason}" for name, reason in self.set_aside.items())
        return f"{problem}. Set aside: {aside}" if aside else f"{problem}: correct it, or install the plugin that does"


def load_plugins(*plugins: object, installed: bool = True, disabled: Collection[str] = ()) -> Plugins:
    """Load ``plugins`` and, unless told otherwise, every entry point of the group ``trialogue`` that is not ``disabled``.

    The objects come first, then what comes with Trialogue, then the others by name. Never raises because of a plugin.
    """
    loaded = Plugins()
    for plugin in plugins:
        loaded._add(plugin)
    for entry in _entry_points() if installed else ():
        if entry.name in disabled:
            loaded.set_aside[entry.name] = "disabled by the configuration"
        else:
            loaded._load(entry)
    loaded._reject_unknown_hooks()
    return loaded


def _entry_points() -> list[importlib.metadata.EntryPoint]:
    def rank(entry: importlib.metadata.EntryPoint) -> tuple[bool, str, str]:
        return (entry.dist is None or entry.dist.name != "trialogue", entry.name, entry.value)

    return sorted(importlib.metadata.entry_points(group=GROUP), key=rank)
