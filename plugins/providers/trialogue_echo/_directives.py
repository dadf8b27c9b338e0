"""The directives of a prompt: ``[[rate=50 tokens=200 endless]]`` and their meaning as a value."""

from __future__ import annotations

import re
from math import isfinite
from typing import Literal

import msgspec

from trialogue import FinishReason

_BRACKETS = re.compile(r"\[\[([^\[\]]*)\]\] ?")

Kind = Literal["refused", "throttled", "unavailable", "stalled", "broken", "malformed"]


class Directives(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to answer; the README beside this file is the list for users. Counts are tokens from the answer's beginning."""

    rate: float = 50.0
    tokens: int | None = None
    numbered: bool = False
    endless: bool = False
    delay: float = 0.0
    reason: int = 0
    stall: int | None = None
    fail: int | None = None
    kind: Kind = "unavailable"
    retry_after: float | None = None
    garbage: int | None = None
    die: int | None = None
    finish: FinishReason = "stop"
    call: str | None = None
    calls: int = 1
    rounds: int = 1

    def __post_init__(self) -> None:
        numbers = (self.rate, self.delay, self.reason, self.tokens or 0, self.retry_after or 0, self.calls, self.rounds)
        if not all(isfinite(number) and number >= 0 for number in numbers):
            raise ValueError("directives are finite and not negative")


def parse(prompt: str) -> tuple[Directives, str]:
    """The directives in ``prompt``, and the prompt without them."""
    found: dict[str, str | bool] = {}

    def take(match: re.Match[str]) -> str:
        words = _words(match[1])
        try:
            msgspec.convert(words, Directives, strict=False)
        except (msgspec.ValidationError, ValueError):
            return match[0]  # not meant for us
        found.update(words)
        return "" if words else match[0]

    rest = _BRACKETS.sub(take, prompt)
    return msgspec.convert(found, Directives, strict=False), rest.strip()


def _words(text: str) -> dict[str, str | bool]:
    pairs = (word.partition("=") for word in text.split())
    return {key: value if equals else True for key, equals, value in pairs}
