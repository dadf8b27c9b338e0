"""``trialogue plugins``: what is loaded, what each adds and where it came from, and what is not used and why.

Hooks are asked as when serving, since one that fails then shall be seen here. Nothing is connected to, no storage opened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from trialogue import ConfigurationError, PluginInfo, Plugins, Provider, Toolbox
from trialogue.testing import MemoryStore


class Shown(msgspec.Struct, frozen=True, omit_defaults=True):
    """A plugin that is used. ``adds`` has names by kind, none where there is no name before a URL is known; the providers in
    ``any_model`` take models that they do not list.
    """

    name: str
    distribution: str | None
    adds: dict[str, tuple[str, ...]]
    any_model: tuple[str, ...] = ()
    slow: str | None = None


class PluginsShown(msgspec.Struct, frozen=True):
    """All that were found. ``tools_set_aside`` are single tools of plugins that are used; ``wrong`` keeps a server from
    starting.
    """

    plugins: tuple[Shown, ...]
    set_aside: dict[str, str]
    tools_set_aside: dict[str, str]
    wrong: tuple[str, ...] = ()


def look_at(plugins: Plugins, environment: Mapping[str, str]) -> PluginsShown:
    """Ask all plugins, as a server would."""
    any_model = {provider.name for provider in plugins.providers(environment) if _takes_any(provider)}
    toolbox = Toolbox(plugins.tools(environment))
    plugins.turns(environment)
    plugins.extractors()
    plugins.embedders(environment)
    plugins.authenticators(MemoryStore())  # For any store they are the same.
    wrong = _ask_logins(plugins, environment)
    found = tuple(_shown(info, any_model, plugins.slow.get(name)) for name, info in plugins.loaded.items())
    return PluginsShown(found, dict(plugins.set_aside), dict(toolbox.set_aside), wrong)


def lines(found: PluginsShown, *, as_json: bool) -> list[str]:
    """What is printed."""
    if as_json:
        return [msgspec.json.format(msgspec.json.encode(found)).decode()]
    rows = [(one.name, one.distribution or "", _in_words(one)) for one in found.plugins]
    rows += [(name, "set aside", reason) for name, reason in sorted(found.set_aside.items())]
    rows += [(name, "set aside", f"this tool: {reason}") for name, reason in sorted(found.tools_set_aside.items())]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    shown = [f"{name:<{widths[0]}}  {source:<{widths[1]}}  {text}" for name, source, text in rows]
    return [*shown, *(f"a server would not start: {problem}" for problem in found.wrong)]


def _ask_logins(plugins: Plugins, environment: Mapping[str, str]) -> tuple[str, ...]:
    wrong: list[str] = []
    for ask in (plugins.redirect_logins, plugins.header_logins):
        try:
            ask(environment)
        except ConfigurationError as error:
            wrong.append(error.detail)
    return tuple(wrong)


def _takes_any(provider: Provider) -> bool:
    try:
        return provider.accepts("a model that nobody lists")
    except Exception:  # It is asked the same when serving, and no worse for that.
        return False


def _shown(info: PluginInfo, any_model: set[str], slow: str | None) -> Shown:
    adds = {hook.removeprefix("trialogue_"): info.adds.get(hook, ()) for hook in info.hooks}
    return Shown(
        info.name,
        info.distribution,
        adds,
        tuple(name for name in adds.get("providers", ()) if name in any_model),
        slow,
    )


def _in_words(one: Shown) -> str:
    """What it adds; a kind that it has nothing of now is left out, save where that is not known yet."""
    kinds = [_kind(kind, names, one.any_model) for kind, names in one.adds.items() if names or kind in OPENED]
    text = "; ".join(kinds) or "adds nothing with these settings"
    return f"{text} (slow: {one.slow})" if one.slow else text


#: Asked for with a URL, and not before.
OPENED = frozenset({"store", "store_checkup", "store_transfer", "soft_state"})


def _kind(kind: str, names: Sequence[str], any_model: Sequence[str]) -> str:
    named = ", ".join(f"{name} (any model)" if name in any_model else name for name in names)
    return f"{kind}: {named}" if named else kind
