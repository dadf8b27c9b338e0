"""Where settings come from: one TOML file, below the environment, below flags. The first wrong one stops the start.

The file is what ``--config`` or ``TRIALOGUE_CONFIG`` names, else ``trialogue.toml`` in the current folder when there is
one. An empty variable counts as not set. What each setting is stands in ``config``.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from trialogue_server._settings.masking import HIDDEN, mask
from trialogue_server._settings.setting import Setting
from trialogue_server.config import SETTINGS, Config

DEFAULT_FILE = "trialogue.toml"
FILE_VARIABLE = "TRIALOGUE_CONFIG"
#: Variables that are nobody's setting: where the file is, the process that one takes over from, and the
#: tests' switch (``trialogue.model_calls``).
NO_SETTINGS = frozenset({FILE_VARIABLE, "TRIALOGUE_PREDECESSOR", "TRIALOGUE_FORBID_MODEL_CALLS"})


class Loaded(NamedTuple):
    """The settings, and for each by name where its value came from: a file, a variable, a flag, or ``default``."""

    config: Config
    sources: Mapping[str, str]


class _Given(NamedTuple):
    """A value before it is checked."""

    source: str
    value: object
    #: Whether it is text that stands for a value, as in a variable and a flag.
    is_text: bool


def load_settings(
    flags: Mapping[str, str], environment: Mapping[str, str], *, plugins: Collection[str] = (), file: str | None = None
) -> Loaded:
    """Read all sources and check every value.

    ``flags`` is by setting name. Variables that begin with ``TRIALOGUE_`` and one of ``plugins`` belong to that plugin.
    Raises ``ConfigurationError``: a file that cannot be read, a name that is no setting, a value that cannot be.
    """
    given = _from_file(file or environment.get(FILE_VARIABLE, ""))
    given |= _from_environment(environment, plugins)
    given |= {name: _Given(_by_name()[name].flag, value, True) for name, value in flags.items()}
    # Any: each is of its own row's type, which was just checked.
    values: dict[str, Any] = {name: _checked(_by_name()[name], one) for name, one in given.items()}
    sources = {one.name: given[one.name].source if one.name in given else "default" for one in SETTINGS}
    return Loaded(Config(**values), sources)


# --- sources -----------------------------------------------------------------------------------------------------


def _from_file(named: str) -> dict[str, _Given]:
    path = Path(named or DEFAULT_FILE)
    if not named and not path.is_file():
        return {}
    content = _parsed(path)
    for name in content:
        if name not in _by_name():
            raise _wrong(f"{path}: {name!r} is no setting{_meant(name, _by_name())}")
    return {name: _Given(str(path), value, False) for name, value in content.items()}


def _parsed(path: Path) -> dict[str, Any]:  # Any: what the operator wrote; checked one by one.
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _wrong(f"configuration file {str(path)!r} cannot be read: {error.strerror}") from error
    except ValueError as error:  # Not UTF-8, or not TOML; the message of the latter names line and column.
        raise _wrong(f"configuration file {str(path)!r} is not TOML: {error}") from error


def _from_environment(environment: Mapping[str, str], plugins: Collection[str]) -> dict[str, _Given]:
    variables = {setting.variable: setting.name for setting in SETTINGS}
    others = tuple(f"TRIALOGUE_{plugin.upper().replace('-', '_')}_" for plugin in plugins)
    given: dict[str, _Given] = {}
    for variable, value in sorted(environment.items()):
        if variable in variables:
            if value:
                given[variables[variable]] = _Given(variable, value, True)
        elif variable.startswith("TRIALOGUE_") and variable not in NO_SETTINGS and not variable.startswith(others):
            raise _wrong(f"{variable} is no setting{_meant(variable, variables)}")
    return given


# --- checks ------------------------------------------------------------------------------------------------------


def _checked(setting: Setting, given: _Given) -> object:
    value = given.value
    if given.is_text and setting.is_list:
        value = _items(str(value))
    elif given.is_text and setting.is_table:
        value = _table(setting, given)
    try:
        return msgspec.convert(value, setting.type, strict=not given.is_text, dec_hook=_path)
    except msgspec.ValidationError as error:
        shown = HIDDEN if setting.is_secret else mask(repr(given.value))
        expected = _expected(setting, error)
        raise _wrong(f"{given.source}: {setting.name} cannot be {shown}: expected {expected}. {setting.doc}") from error


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _table(setting: Setting, given: _Given) -> dict[str, object]:
    """``name=value;name=value``; where the values are lists, their items stand between commas."""
    rows = [row.partition("=") for row in str(given.value).split(";") if row.strip()]
    if not all(equals for _, equals, _ in rows):
        shown = mask(repr(given.value))
        raise _wrong(f"{given.source}: {setting.name} cannot be {shown}: expected something like {setting.example}")
    return {name.strip(): _items(text) if setting.has_lists else text.strip() for name, _, text in rows}


def _path(kind: type, value: object) -> Path:
    if kind is not Path or not isinstance(value, str) or not value:
        raise ValueError("Expected the path of a folder")
    return Path(value).expanduser()


def _expected(setting: Setting, error: msgspec.ValidationError) -> str:
    if setting.choices:
        return f"one of {', '.join(setting.choices)}"
    if "regex" in str(error):
        return f"something like {setting.example}"
    return str(error).replace("`", "").removeprefix("Expected ")


def _by_name() -> dict[str, Setting]:
    return {setting.name: setting for setting in SETTINGS}


def _meant(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f": did you mean {close[0]}?" if close else "; `trialogue config` lists them all"


def _wrong(detail: str) -> Exception:
    # The core is imported here and not above: `--help` needs the table but not the core.
    from trialogue import ConfigurationError

    return ConfigurationError(detail)
