"""What is looked at: the settings and where they come from, the environment, and the plugins."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from trialogue import Finding, Plugins
from trialogue_server.config import Config


class Patient(NamedTuple):
    """All of it."""

    config: Config
    #: Where each setting's value comes from, by name.
    sources: Mapping[str, str]
    environment: Mapping[str, str]
    plugins: Plugins
    #: Whether providers may be asked, which goes over the network.
    ask: bool = False


Check: TypeAlias = Callable[[Patient], Awaitable[Sequence[Finding]]]


def right(what: str, detail: str) -> Finding:
    """It is as it should be."""
    return Finding(what, "right", detail)


def doubtful(what: str, detail: str, fix: str) -> Finding:
    """It works, and may not be meant."""
    return Finding(what, "doubtful", detail, fix)


def wrong(what: str, detail: str, fix: str) -> Finding:
    """It does not work."""
    return Finding(what, "wrong", detail, fix)


def as_told(what: str, error: Exception) -> Finding:
    """An error of ours ends with what to do, after its last colon."""
    detail, _, fix = str(error).rpartition(": ")
    return wrong(what, detail, fix) if detail else wrong(what, fix, "see `trialogue config`")
