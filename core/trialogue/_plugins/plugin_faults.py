"""Why a plugin is not used, in words for the operator: what its errors mean, and which names cannot be meant."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Collection, Sequence

import pluggy

from trialogue._facts.errors import TrialogueError


def unusable_name(names: Sequence[object], taken: Collection[str], kind: str) -> str | None:
    """What is wrong with the first name that cannot be part of a model's id or of an address."""
    for name in names:
        if not isinstance(name, str) or not re.fullmatch("[a-z0-9-]+", name):
            return f"offers a {kind} called {name!r}: lower case letters, digits and hyphens make a name"
        if name in taken or names.count(name) > 1:
            return f"offers {kind} {name!r}, which is offered already"
    return None


def reason_of(error: BaseException, distribution: importlib.metadata.Distribution | None) -> str:
    """Why, in words for the operator."""
    match error:
        case ModuleNotFoundError(name=str(module)):
            return f"needs `{module.partition('.')[0]}`: pip install {_requirement(module, distribution)}"
        case ImportError():
            return f"cannot be imported: {error}"
        case TrialogueError():
            return error.detail
        case pluggy.PluginValidationError():
            return " ".join(str(error).split())
        case _:
            return f"{type(error).__name__}: {error}"


def _requirement(module: str, distribution: importlib.metadata.Distribution | None) -> str:
    """What to install for ``module``: the extra of ``distribution`` that brings it, or the module's own name."""
    wanted = re.sub(r"[-_.]+", "-", module.partition(".")[0]).lower()
    for line in (distribution.requires or ()) if distribution else ():
        match = re.match(r"""([\w.-]+).*;.*\bextra\s*==\s*['"]([\w.-]+)['"]""", line)
        if distribution and match and re.sub(r"[-_.]+", "-", match[1]).lower() == wanted:
            return f"'{distribution.name}[{match[2]}]'"
    return wanted
