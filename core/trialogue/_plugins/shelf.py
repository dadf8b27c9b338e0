"""Plugins on their shelf: loaded, asked one at a time, and set aside when they fail. What they are asked is in ``plugins``.

Nothing a plugin does when it is imported or asked takes the process down: it is set aside, and from then on not asked
again. It is an error only when the configuration needs what a plugin would have brought.
"""

from __future__ import annotations

import importlib.metadata
import logging
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar, cast

import msgspec
import pluggy

from trialogue import hookspecs
from trialogue._facts.errors import ConfigurationError, TrialogueError
from trialogue._plugins.plugin_faults import reason_of, unusable_name

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


class Shelf:
    """Where the plugins stand: those in use, those set aside, and why."""

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
        in_use, aside = ", ".join(self.loaded) or "none", ", ".join(self.set_aside) or "none"
        return f"<{type(self).__name__} {in_use}; set aside: {aside}>"

    @property
    def loaded(self) -> dict[str, PluginInfo]:
        """The plugins in use by name, in the order of loading."""
        return {name: self._info(name, plugin) for name, plugin in self.manager.list_name_plugin() if plugin}

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

    def _all(self, hook: str, kind: type[T], *, is_asked_for: bool = False, **arguments: object) -> list[T]:
        """What all of them return, in the order of asking."""
        found = self._declared(hook, kind, is_asked_for=is_asked_for, **arguments)
        return [one for _, some in found for one in some]

    def _named(
        self, hook: str, kind: type[T], what: str, *, is_asked_for: bool = False, **arguments: object
    ) -> list[T]:
        """The same, of what has a name of its own: one that takes a name already taken is set aside, with all it offers."""
        offered: dict[str, T] = {}
        for plugin, found in self._declared(hook, kind, is_asked_for=is_asked_for, **arguments):
            names = [getattr(one, "name", None) for one in found]
            problem = unusable_name(names, offered, what)
            if problem:
                self._put_aside(plugin, problem)
            else:
                offered.update(zip(map(str, names), found, strict=True))
        return list(offered.values())

    def _first(self, hook: str, kind: type[object], **arguments: object) -> object:
        """The first answer to a hook of which one counts, of that ``kind``; ``None`` when nobody has one.

        Raises ``ConfigurationError`` of a plugin that knows what it is asked about: the operator is to mend that.
        """
        for name in self._implementers(hook):
            try:
                with self._timed(name, hook, SLOW_HOOK):
                    answer = self._ask(name, hook, **arguments)
                if answer is not None:
                    return _expect(answer, kind)
            except ConfigurationError:
                raise
            except FAULTS as error:
                self._put_aside(name, error)
        return None

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


def _expect(value: object, kind: type[T]) -> T:
    if not isinstance(value, kind):
        raise TypeError(f"a hook returned {value!r}, which is no {kind.__name__}")
    return value
