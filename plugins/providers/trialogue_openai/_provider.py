"""The provider: what is asked of one upstream of this dialect, and how its answer is decoded."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from trialogue import Model, Part, ProviderError, Request, ResponseStream
from trialogue.model_calls import check_allowed
from trialogue.openai_dialect import ChatDecoder, ResponsesDecoder, chat_body
from trialogue.sdk_provider import ClosableStream, SdkProvider, closed_in_time
from trialogue_openai._asking import ResponsesAsked, speaks_responses
from trialogue_openai._profiles import NO_KEY, OFFICIAL, Profile

if TYPE_CHECKING:
    from trialogue.upstreams import Questions
    from trialogue_openai._upstream import OpenAIUpstream


class OpenAIProvider(SdkProvider["OpenAIUpstream"]):
    """One upstream and its connections. ``base_url`` is OpenAI's own where none is given; a ``profile`` says it all."""

    name = "openai"

    def __init__(self, key: str | None, base_url: str | None = None, *, profile: Profile | None = None) -> None:
        profile = profile or Profile(key=key, base_url=base_url or None)
        super().__init__(profile.base_url or OFFICIAL)
        self.name = profile.name
        self._profile = profile
        self._base_url = profile.base_url
        # Whoever else speaks this dialect has prices of its own.
        self.vendor = "openai" if profile.official else None
        #: Cleared when the upstream refuses to show summaries of thoughts.
        self._summaries = True

    def __repr__(self) -> str:
        return f"<OpenAIProvider {self.name} {self._base_url or OFFICIAL!r}>"

    def accepts(self, model: str) -> bool:
        return bool(self._base_url and model)

    def _open(self) -> OpenAIUpstream:
        from trialogue_openai._upstream import OpenAIUpstream

        import_module("trialogue_openai._kept")  # so that no later import finds work to do
        return OpenAIUpstream(self._profile.key or NO_KEY, self._base_url or OFFICIAL)

    def _headers(self) -> Mapping[str, str]:
        from trialogue_openai._models import headers_of

        return headers_of(self._profile, os.environ)

    def _import(self) -> None:
        import_module("trialogue_openai._models")

    async def _list(self, questions: Questions) -> Sequence[Model]:
        from trialogue_openai._models import listed_models

        try:
            return await listed_models(questions, self._profile)
        except ProviderError:
            if self._base_url:
                return ()  # many upstreams have no such list; their models are asked for by name
            raise

    async def _ask(self, upstream: OpenAIUpstream, request: Request) -> ClosableStream:
        from trialogue.upstreams import DecodedStream

        if speaks_responses(self._profile, request):
            return await self._ask_responses(upstream, request)
        limit_name = "max_tokens" if self._base_url else "max_completion_tokens"
        extra = self._profile.kind.going_on if request.prefix else {}
        body = chat_body(request, limit_name=limit_name, own=f"{self.name}:{request.model}", **extra)
        return DecodedStream(await upstream.ask(body), ChatDecoder())

    async def _ask_responses(self, upstream: OpenAIUpstream, request: Request) -> ClosableStream:
        from trialogue.upstreams import DecodedStream
        from trialogue_openai._kept import KeptStream
        from trialogue_openai._upstream import RESPONSES

        asked = ResponsesAsked(self._profile, request, summaries=self._summaries)
        while True:
            try:
                body = await upstream.ask(asked.body(), path=RESPONSES)
                break
            except ProviderError as error:
                if not asked.without(error):
                    raise
        self._summaries = self._summaries and asked.summaries
        return KeptStream(upstream, body) if self._profile.background else DecodedStream(body, ResponsesDecoder())

    @asynccontextmanager
    async def reopen(
        self, model: str, handle: str, cursor: int, said: Sequence[Part] = ()
    ) -> AsyncGenerator[ResponseStream]:
        check_allowed(self._host)
        upstream = await self._opened()
        from trialogue_openai._kept import open_kept  # there once it is opened

        async with closed_in_time(await open_kept(upstream, handle, cursor, said)) as stream:
            yield stream

    async def discard(self, model: str, handle: str) -> None:
        check_allowed(self._host)
        await (await self._opened()).cancel(handle)
