"""Loading plugins and asking them: what they declare comes out, and a bad one degrades alone.

    installed entry points ─┐
                            ├─> load_plugins() ─> Plugins ─> providers, a store, authenticators
    objects, for tests ─────┘                       └──────> set_aside: name -> why, in words

Nothing a plugin does when it is imported or asked takes the process down: it is set aside, and from then on not asked
again. It is an error only when the configuration needs what a plugin would have brought. What the objects do that a
plugin returned is not seen here; hooks and their promises are in ``hookspecs``.
"""

from __future__ import annotations

import importlib.metadata
import logging
import time
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import TypeVar, cast

import msgspec
import pluggy

from trialogue import hookspecs
from trialogue._accounts.auth import Authenticator
from trialogue._accounts.identity import HeaderLogin, RedirectLogin
from trialogue._asking.provider import Provider
from trialogue._facts.errors import ConfigurationError, TrialogueError
from trialogue._files.extractor import Extractor
from trialogue._plugins.plugin_faults import reason_of, unusable_name
from trialogue._runs.turns import TurnHook
from trialogue._search.embedder import Embedder
from trialogue._storage.checkup import Checkup
from trialogue._storage.soft import SoftState
from trialogue._storage.store import Store
from trialogue._storage.transfer import Transfer
from trialogue._tools.tools import ToolLike

log = logging.getLogger("trialogue.plugins")

GROUP = "trialogue"

#: What a plugin's mistake may raise; one that calls ``sys.exit`` is no reason to leave either.
FAULTS = (Exception, SystemExit)

#: Seconds after which a hook, and the import of a plugin, is told to be slow: nothing else happens meanwhile.
SLOW_HOOK, SLOW_IMPORT = 1.0, 5.0

T = TypeVar("T")


class PluginInfo(msgspec.Struct, frozen=True):
    """A plugin in use: the hooks it implements, and the distribution it came in (``None`` for an object)."""

    name: str
    hooks: tuple[str, ...]
    distribution: str | None = None
    #: By hook, the names of what it returned the last time it was asked for a list.
    adds: dict[str, tuple[str, ...]] = {}


class Plugins:
    """The plugins of one process; made by ``load_plugins``."""

    def __init__(self) -> None:
        #: pluggy's own; holds the plugins in use and nothing of those set aside.
        self.manager: pluggy.PluginManager = pluggy.PluginManager(GROUP)
        self.manager.add_hookspecs(hookspecs)
        #: Name to reason, of those that are not used. Grows when a hook fails while it is asked.
        self.set_aside: dict[str, str] = {}
        #: Name to what took too long, of those that held everything up. They are used all the same.
        self.slow: dict[str, str] = {}
        self._added: dict[str, dict[str, tuple[str, ...]]] = {}
        self._distributions: dict[str, importlib.metadata.Distribution] = {}

    def __repr__(self) -> str:
        return f"<Plugins {', '.join(self.loaded) or 'none'}; set aside: {', '.join(self.set_aside) or 'none'}>"

    @property
    def loaded(self) -> dict[str, PluginInfo]:
        """The plugins in use by name, in the order of loading."""
        return {name: self._info(name, plugin) for name, plugin in self.manager.list_name_plugin() if plugin}

    def providers(self, environment: Mapping[str, str]) -> list[Provider]:
        """Every provider that is offered. A plugin that offers a name already taken is set aside, with all it offers."""
        offered: dict[str, Provider] = {}
        for plugin, found in self._declared("trialogue_providers", Provider, environment=environment):
            problem = unusable_name([getattr(provider, "name", None) for provider in found], offered, "provider")
            if problem:
                self._put_aside(plugin, problem)
            else:
                offered.update((provider.name, provider) for provider in found)
        return list(offered.values())

    def authenticators(self, store: Store) -> list[Authenticator]:
        """Every authenticator that is offered for the accounts in ``store``."""
        found = self._declared("trialogue_authenticators", Authenticator, store=store)
        return [authenticator for _, some in found for authenticator in some]

    def redirect_logins(self, environment: Mapping[str, str]) -> list[RedirectLogin]:
        """Every place that people can be sent to for logging in. A plugin that takes a name already taken is set aside.

        Raises ``ConfigurationError`` when a plugin was given settings that cannot be meant.
        """
        offered: dict[str, RedirectLogin] = {}
        for plugin, found in self._declared(
            "trialogue_redirect_logins", RedirectLogin, is_asked_for=True, environment=environment
        ):
            problem = unusable_name([getattr(login, "name", None) for login in found], offered, "login")
            if problem:
                self._put_aside(plugin, problem)
            else:
                offered.update((login.name, login) for login in found)
        return list(offered.values())

    def header_logins(self, environment: Mapping[str, str]) -> list[HeaderLogin]:
        """Everything that reads a person from a proxy's headers. Raises ``ConfigurationError``, as above."""
        found = self._declared("trialogue_header_logins", HeaderLogin, is_asked_for=True, environment=environment)
        return [login for _, some in found for login in some]

    def extractors(self) -> list[Extractor]:
        """Every extractor that is offered; of two that read the same media type, the first one is asked."""
        return [extractor for _, some in self._declared("trialogue_extractors", Extractor) for extractor in some]

    def tools(self, environment: Mapping[str, str]) -> list[ToolLike]:
        """Every tool and every source of tools that is offered, in the order of asking."""
        found = self._declared("trialogue_tools", ToolLike, environment=environment)
        return [one for _, some in found for one in some]

    def turns(self, environment: Mapping[str, str]) -> list[TurnHook]:
        """Everyone who takes part in turns, in the order of asking. A plugin that offers a name already taken is set
        aside.
        """
        offered: dict[str, TurnHook] = {}
        for plugin, found in self._declared("trialogue_turns", TurnHook, environment=environment):
            problem = unusable_name([getattr(hook, "name", None) for hook in found], offered, "turn hook")
            if problem:
                self._put_aside(plugin, problem)
            else:
                offered.update((hook.name, hook) for hook in found)
        return list(offered.values())

    def embedders(self, environment: Mapping[str, str]) -> list[Embedder]:
        """Every embedder that is offered, in the order of asking."""
        found = self._declared("trialogue_embedders", Embedder, environment=environment)
        return [embedder for _, some in found for embedder in some]

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
        for name in self._implementers("trialogue_store_checkup"):
            try:
                answer = self._ask(name, "trialogue_store_checkup", url=url, data_dir=data_dir)
            except ConfigurationError:
                raise
            except FAULTS as error:
                self._put_aside(name, error)
            else:
                if callable(answer):
                    return cast("Checkup", answer)
        return None

    def store_transfer(self, url: str, data_dir: Path) -> Transfer:
        """What takes rows out of the store for ``url``, and into it.

        Raises ``ConfigurationError``: the URL cannot be meant, or the plugin that knows it offers none.
        """
        for name in self._implementers("trialogue_store_transfer"):
            try:
                answer = self._ask(name, "trialogue_store_transfer", url=url, data_dir=data_dir)
            except ConfigurationError:
                raise
            except FAULTS as error:
                self._put_aside(name, error)
            else:
                if isinstance(answer, Transfer):
                    return answer
        scheme = url.partition(":")[0]
        raise ConfigurationError(
            f"storage of the kind {scheme!r} cannot be backed up or moved by us: its plugin has no trialogue_store_transfer"
        )

    def open_soft_state(self, url: str) -> AbstractAsyncContextManager[SoftState]:
        """What processes share at ``url``; nothing is opened until the block is entered. Raises as ``open_store`` does."""
        found = self._opening("trialogue_soft_state", "redis_url", url)
        return cast("AbstractAsyncContextManager[SoftState]", found)

    def _opening(self, hook: str, setting: str, url: str, **more: object) -> AbstractAsyncContextManager[object]:
        """The first answer to what opens a URL."""
        for name in self._implementers(hook):
            try:
                with self._timed(name, hook, SLOW_HOOK):
                    answer = self._ask(name, hook, url=url, **more)
                if answer is not None:
                    return cast("AbstractAsyncContextManager[object]", _expect(answer, AbstractAsyncContextManager))
            except ConfigurationError:
                raise  # It knows the scheme, and the operator is to mend the URL.
            except FAULTS as error:
                self._put_aside(name, error)
        raise ConfigurationError(self._nobody_opens(setting, url))

    # --- asking --------------------------------------------------------------------------------------------------

    def _declared(
        self, hook: str, kind: type[T], *, is_asked_for: bool = False, **arguments: object
    ) -> Iterator[tuple[str, list[T]]]:
        for name in self._implementers(hook):
            try:
                # Walking through it is the plugin's code too, when it is a generator.
                with self._timed(name, hook, SLOW_HOOK):
                    answer = cast("Iterable[object]", self._ask(name, hook, **arguments))
                    found = [_expect(item, kind) for item in answer]
                    called = tuple(str(getattr(item, "name", "")) for item in found)  # Perhaps a property.
            except ConfigurationError as error:
                if is_asked_for:
                    raise  # Its settings are given: going on without it is not what the operator meant.
                self._put_aside(name, error)
            except FAULTS as error:
                self._put_aside(name, error)
            else:
                self._added.setdefault(name, {})[hook] = called
                yield name, found

    def _implementers(self, hook: str) -> list[str]:
        """The plugins to ask: in the order of loading, save those that want to be first or last."""
        found = sorted(getattr(self.manager.hook, hook).get_hookimpls(), key=lambda one: one.trylast - one.tryfirst)
        return list(dict.fromkeys(implementation.plugin_name for implementation in found))

    def _ask(self, name: str, hook: str, **arguments: object) -> object:
        """One plugin's answer. One at a time, since an error out of a joint call would not say whose it is."""
        others = [plugin for other, plugin in self.manager.list_name_plugin() if other != name]
        answer: object = self.manager.subset_hook_caller(hook, remove_plugins=others)(**arguments)
        if not isinstance(answer, list):  # A hook whose first result counts.
            return answer
        answers = cast("list[object]", answer)
        return answers[0] if answers else ()

    def _nobody_opens(self, setting: str, url: str) -> str:
        # Only the scheme: what follows it may hold a password.
        problem = f"no plugin opens {setting} {url.partition(':')[0] + ':'!r}"
        aside = "; ".join(f"{name}: {reason}" for name, reason in self.set_aside.items())
        return f"{problem}. Set aside: {aside}" if aside else f"{problem}: correct it, or install the plugin that does"

    # --- loading and setting aside -------------------------------------------------------------------------------

    def _load(self, entry: importlib.metadata.EntryPoint) -> None:
        name = entry.name
        if self.manager.has_plugin(name) or name in self.set_aside:
            name = f"{entry.name} of {entry.value}"
            self.set_aside[name] = f"another plugin is called {entry.name!r}"
            return
        if entry.dist is not None:
            self._distributions[name] = entry.dist
        try:
            with self._timed(name, "its import", SLOW_IMPORT):
                plugin = entry.load()
            self.manager.register(plugin, name)
        except FAULTS as error:
            self._put_aside(name, error)

    def _add(self, plugin: object) -> None:
        name = base = getattr(plugin, "__name__", type(plugin).__name__)
        number = 1
        while self.manager.has_plugin(name):
            number += 1
            name = f"{base}-{number}"
        try:
            self.manager.register(plugin, name)
        except FAULTS as error:
            self._put_aside(name, error)

    def _reject_unknown_hooks(self) -> None:
        while True:
            try:
                return self.manager.check_pending()
            except pluggy.PluginValidationError as error:
                callers = self.manager.get_hookcallers(error.plugin) or []
                unknown = ", ".join(caller.name for caller in callers if not caller.has_spec())
                name = self.manager.get_name(error.plugin)
                assert name is not None, "only registered plugins have pending hooks"
                self._put_aside(name, f"implements {unknown}, which this version does not have")

    def _put_aside(self, name: str, why: BaseException | str) -> None:
        self.manager.unregister(name=name)
        reason = why if isinstance(why, str) else reason_of(why, self._distributions.get(name))
        self.set_aside[name] = reason
        if isinstance(why, str | ImportError | TrialogueError):
            log.warning("plugin %s set aside: %s", name, reason)
        else:  # A mistake in it, for whose author there is a traceback.
            log.warning("plugin %s set aside: %s", name, reason, exc_info=why)

    @contextmanager
    def _timed(self, name: str, what: str, seconds: float) -> Generator[None]:
        """Nothing can interrupt a plugin that blocks; but it can be said whose fault it was that everything waited."""
        started = time.perf_counter()
        yield
        took = time.perf_counter() - started
        if took > seconds:
            self.slow[name] = f"{what} took {took:.1f} s, and everything waited for it"
            log.warning("plugin %s is slow: %s", name, self.slow[name])

    def _info(self, name: str, plugin: object) -> PluginInfo:
        hooks = sorted(caller.name for caller in self.manager.get_hookcallers(plugin) or ())
        source = self._distributions.get(name)
        came = f"{source.name} {source.version}" if source else None
        return PluginInfo(name, tuple(hooks), came, self._added.get(name, {}))


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


def _expect(value: object, kind: type[T]) -> T:
    if not isinstance(value, kind):
        raise TypeError(f"a hook returned {value!r}, which is no {kind.__name__}")
    return value
