"""Anthropic's Claude, and every upstream that speaks its Messages.

    ANTHROPIC_API_KEY=...
    ANTHROPIC_BASE_URL=http://127.0.0.1:8080     another upstream, without the /v1; its models may be asked for by name
    TRIALOGUE_ANTHROPIC_THINKING=off             models that decide themselves whether to think are not asked to

Declared when a key or a base URL is set; with a base URL alone a placeholder stands in for the key. Requests, further
attempts and errors are the official SDK's business; the first attempt and the reading are ours, as with openai.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec

from trialogue import ConfigurationError, Provider, hookimpl
from trialogue.sdk_provider import is_address
from trialogue_anthropic._provider import AnthropicProvider as AnthropicProvider

__all__ = ["AnthropicProvider", "trialogue_providers"]

_PREFIX = "TRIALOGUE_ANTHROPIC_"
_THINKING = f"{_PREFIX}THINKING"


@hookimpl
def trialogue_providers(environment: Mapping[str, str]) -> Sequence[Provider]:
    """One provider when a key or a base URL is set; the SDK is imported when it is first asked something."""
    thinking = environment.get(_THINKING, "").strip()
    if thinking not in ("", "on", "off"):
        raise ConfigurationError(f"{_THINKING}={thinking!r} must be on or off")
    if unknown := sorted(name for name in environment if name.startswith(_PREFIX) and name != _THINKING):
        raise ConfigurationError(f"{unknown[0]} is no setting: there is {_THINKING}")
    key, base_url = environment.get("ANTHROPIC_API_KEY"), environment.get("ANTHROPIC_BASE_URL")
    if not key and not base_url:
        return []
    if base_url and not is_address(base_url):
        raise ConfigurationError("ANTHROPIC_BASE_URL must be an http or https address")
    if not find_spec("anthropic") or not find_spec("httpx2"):
        raise ConfigurationError(
            "ANTHROPIC_API_KEY or ANTHROPIC_BASE_URL is set, but the SDK is missing: install trialogue[anthropic]"
        )
    return [AnthropicProvider(key, base_url, thinks=thinking != "off")]
