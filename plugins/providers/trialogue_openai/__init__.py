"""OpenAI, and every upstream that speaks its Chat Completions: vLLM, llama.cpp, Ollama, LiteLLM, OpenRouter and so on.

OpenAI itself is asked by Responses, and can be asked to go on in the background, so that an answer survives a process.

Declared when ``OPENAI_API_KEY`` or ``OPENAI_BASE_URL`` is set. With a base URL any model may be asked for by name; with a
base URL alone a placeholder stands in for the key. Further upstreams, each under a name of its own, are declared with
``TRIALOGUE_OPENAI_PROFILES`` (``_profiles``). What is sent is what the official SDK would send, and errors and further
attempts are its business. The first attempt and the reading are ours, because through the SDK they would be the largest
cost of a first token, and of every other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec

from trialogue import ConfigurationError, Provider, hookimpl
from trialogue_openai._profiles import read_own, read_profiles
from trialogue_openai._provider import OpenAIProvider as OpenAIProvider

__all__ = ["OpenAIProvider", "trialogue_providers"]


@hookimpl
def trialogue_providers(environment: Mapping[str, str]) -> Sequence[Provider]:
    """One when a key or a base URL is set, and one for each profile; the SDK is imported when one is first asked."""
    own = read_own(environment)
    profiles = [*([own] if own else []), *read_profiles(environment)]
    if not profiles:
        return []
    if not find_spec("openai") or not find_spec("httpx2"):
        raise ConfigurationError(
            "OPENAI_API_KEY, OPENAI_BASE_URL or a profile is set, but the SDK is missing: install trialogue[openai]"
        )
    return [OpenAIProvider(None, profile=profile) for profile in profiles]
