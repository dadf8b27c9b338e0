"""The provider: what is asked of one upstream of this dialect, and how its answer is decoded."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from trialogue import Model, ProviderError, Request
from trialogue.openai_dialect import ChatDecoder, chat_body
from trialogue.sdk_provider import SdkProvider
from trialogue_openai._profiles import Profile

if TYPE_CHECKING:
    from trialogue.upstreams import DecodedStream
    from trialogue_openai._upstream import OpenAIUpstream

_OFFICIAL = "https://api.openai.com/v1"


class OpenAIProvider(SdkProvider["OpenAIUpstream"]):
    """One upstream and its connections. ``base_url`` is OpenAI's own where none is given; a ``profile`` says it all."""

    name = "openai"

    def __init__(self, key: str | None, base_url: str | None = None, *, profile: Profile | None = None) -> None:
        profile = profile or Profile(key=key, base_url=base_url or None)
        host = urlsplit(profile.base_url or _OFFICIAL).hostname or ""
        super().__init__(host)
        self.name = profile.name
        self._profile = profile
        self._base_url = profile.base_url
        # Whoever else speaks this dialect has prices of its own.
        self.vendor = "openai" if host == urlsplit(_OFFICIAL).hostname else None

    def __repr__(self) -> str:
        return f"<OpenAIProvider {self.name} {self._base_url or _OFFICIAL!r}>"

    def accepts(self, model: str) -> bool:
        return bool(self._base_url and model)

    def _open(self) -> OpenAIUpstream:
        from trialogue_openai._upstream import OpenAIUpstream

        import_module("trialogue_openai._models")  # so that no later import finds work to do
        return OpenAIUpstream(self._profile.key or "no-key-needed", self._base_url or _OFFICIAL)

    async def _list(self, upstream: OpenAIUpstream) -> Sequence[Model]:
        from trialogue.upstreams import translated
        from trialogue_openai._models import listed_models

        try:
            return await listed_models(upstream.sdk, self._profile)
        except (upstream.errors, ProviderError) as error:
            if self._base_url:
                return ()  # many upstreams have no such list; their models are asked for by name
            if isinstance(error, ProviderError):
                raise
            raise translated(error) from error

    async def _ask(self, upstream: OpenAIUpstream, request: Request) -> DecodedStream:
        from trialogue.upstreams import DecodedStream

        limit_name = "max_tokens" if self._base_url else "max_completion_tokens"
        extra = self._profile.kind.going_on if request.prefix else {}
        return DecodedStream(await upstream.ask(chat_body(request, limit_name=limit_name, **extra)), ChatDecoder())
