"""The provider: what is asked of one upstream of this dialect, and how its answer is decoded."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from trialogue import Model, ProviderError, Request, TextPart
from trialogue.anthropic_dialect import MessagesDecoder, documents_of, expected_space, holds_thoughts, messages_body
from trialogue.sdk_provider import SdkProvider
from trialogue_anthropic._facts import Facts, headers_of, length_of, takes_prefix, thinking_of

if TYPE_CHECKING:
    from trialogue.upstreams import Body, DecodedStream, Questions
    from trialogue_anthropic._upstream import AnthropicUpstream

_OFFICIAL = "https://api.anthropic.com"


class AnthropicProvider(SdkProvider["AnthropicUpstream"]):
    """One upstream and its connections. ``base_url`` is Anthropic's own where none is given.

    ``thinks`` says whether models that think as they see fit are asked to, and to show it.
    """

    name = "anthropic"

    def __init__(self, key: str | None, base_url: str | None = None, *, thinks: bool = True) -> None:
        super().__init__(base_url or _OFFICIAL)
        self._key = key or "no-key-needed"
        self._base_url = base_url or None
        self._thinks = thinks
        # Whoever else speaks this dialect has prices of its own.
        self.vendor = "anthropic" if self._host == urlsplit(_OFFICIAL).hostname else None
        #: What the last list told, by the model's name.
        self._facts: Mapping[str, Facts] = {}

    def __repr__(self) -> str:
        return f"<AnthropicProvider {self._base_url or _OFFICIAL!r}>"

    def accepts(self, model: str) -> bool:
        return bool(self._base_url and model)

    def _open(self) -> AnthropicUpstream:
        from trialogue_anthropic._upstream import AnthropicUpstream

        return AnthropicUpstream(self._key, self._base_url or _OFFICIAL, official=self.vendor is not None)

    def _headers(self) -> Mapping[str, str]:
        from trialogue_anthropic._models import headers_for_list

        return headers_for_list(self._key, os.environ, official=self.vendor is not None)

    def _import(self) -> None:
        import_module("trialogue_anthropic._models")

    async def _list(self, questions: Questions) -> Sequence[Model]:
        from trialogue_anthropic._models import listed_models

        try:
            self._facts = await listed_models(questions, self.name, official=self.vendor is not None)
        except ProviderError:
            if self._base_url:
                return ()  # many upstreams have no such list; their models are asked for by name
            raise
        return [facts.model for facts in self._facts.values()]

    async def _ask(self, upstream: AnthropicUpstream, request: Request) -> DecodedStream:
        from trialogue.upstreams import DecodedStream

        space = expected_space(_sent_back(request))
        return DecodedStream(await self._begun(upstream, request), MessagesDecoder(space, documents_of(request)))

    async def _begun(self, upstream: AnthropicUpstream, request: Request) -> Body:
        """The body of the answer. Thoughts that are not taken back, or for which there is no room, are left out.

        Newer models take a thought only behind the very words it was thought behind, and some of those may have been
        corrected or have become too old to be shown. And how long a thought was, only its vendor knows. A model needs no
        old thoughts; only in the middle of its tool calls it is better off with them.
        """
        content, headers = self._body(request, f"{self.name}:{request.model}"), headers_of(request)
        try:
            return await upstream.ask(content, headers)
        except ProviderError as error:
            if not holds_thoughts(content) or not _over_thoughts(error):
                raise
        return await upstream.ask(self._body(request, None), headers)

    def _body(self, request: Request, own: str | None) -> bytes:
        facts = self._facts.get(request.model)
        return messages_body(
            request,
            max_tokens=length_of(facts, request.settings.max_tokens),
            prefills=takes_prefix(request.model),
            own=own,
            thinking=thinking_of(facts, request, self._thinks),
        )


def _sent_back(request: Request) -> str:
    """The text that the answer is to go on from, where it is sent as the model's own and at the end."""
    if request.paused:
        last = request.messages[-1].parts[-1]
        return last.text if isinstance(last, TextPart) else ""
    return request.prefix if takes_prefix(request.model) else ""


def _over_thoughts(error: ProviderError) -> bool:
    """Whether a request may have been refused because of the thoughts in it."""
    return error.kind == "refused" and any(words in error.detail for words in ("thinking", "too long", "context limit"))
