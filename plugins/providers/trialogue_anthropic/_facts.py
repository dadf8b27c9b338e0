"""What has to be known of a model to ask it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from trialogue import Model, Request

#: How long an answer may be where nobody says how long it can be: what all models but the oldest can give.
DEFAULT_LENGTH = 8_192
#: Of a model's context, what an answer may take by default. The rest is for what was said before.
_SHARE = 4
#: The generations that take the beginning of their own answer; those from 4.6 on refuse it. A list does not say.
_PREFILLED = re.compile(r"^claude-(?:3|(?:opus|sonnet|haiku)-4-(?:[015]|20\d{6})(?:-|$))")
#: The last version of the API that knows settings of how words are drawn, for the models that take them.
_DRAWING = {"anthropic-version": "2023-06-01"}


class Facts(msgspec.Struct, frozen=True):
    """A listed model, whether it can be asked to think as it sees fit, and whether it can be asked not to."""

    model: Model
    thinks: bool = False
    abstains: bool = False


def takes_prefix(model: str) -> bool:
    """Whether the model goes on from the beginning of its answer."""
    return bool(_PREFILLED.match(model))


def length_of(facts: Facts | None, wanted: int | None) -> int:
    """How long the answer may be: as long as is wanted and can be."""
    if facts is None:
        return wanted or DEFAULT_LENGTH
    longest = facts.model.output_tokens
    usual = min(longest or DEFAULT_LENGTH, max(facts.model.context_tokens // _SHARE, 1))
    return min(wanted or usual, longest or wanted or usual)


def thinking_of(facts: Facts | None, request: Request, wanted: bool) -> dict[str, Any] | None:
    """How the model is asked to think; ``None`` leaves it to the model. (JSON values.)

    Newer models think unless they are told not to, and show nothing of it unless they are asked to. A request that sets how
    words are drawn cannot be thought about.
    """
    settings = request.settings
    if facts is None or settings.temperature is not None or settings.top_p is not None:
        return None
    # Who has to call a tool is not left to think first.
    wanted = wanted and not (request.tools and request.tool_choice == "required")
    if wanted and facts.thinks:
        return {"type": "adaptive", "display": "summarized"}
    return {"type": "disabled"} if not wanted and facts.thinks and facts.abstains else None


def headers_of(request: Request) -> Mapping[str, str]:
    """What a request is sent with besides what the SDK sends."""
    draws = request.settings.temperature is not None or request.settings.top_p is not None
    return _DRAWING if draws else {}
