"""The provider: opens the upstream on first use, asks it, and reads the answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import trio

from trialogue import Model, Provider, ProviderError, Request, ResponseStream
from trialogue.model_calls import check_allowed
from trialogue.openai_dialect import chat_body

if TYPE_CHECKING:
    from trialogue_openai._upstream import Upstream

_OFFICIAL = "https://api.openai.com/v1"
#: How long a list of models is good for, and how long the absence of one.
_LIST_LASTS, _NOTHING_LASTS = 300.0, 30.0


class OpenAIProvider(Provider):
    """One upstream and its connections. ``base_url`` is OpenAI's own where none is given."""

    name = "openai"

    def __init__(self, key: str | None, base_url: str | None = None) -> None:
        self._key = key or "no-key-needed"
        self._base_url = base_url or None
        self._host = urlsplit(base_url or _OFFICIAL).hostname or ""
        # Whoever else speaks this dialect has prices of its own.
        self.vendor = "openai" if self._host == urlsplit(_OFFICIAL).hostname else None
        #: ``None`` until it is first wanted.
        self._upstream: Upstream | None = None
        self._opening = trio.Lock()
        self._models: Sequence[Model] = ()
        self._models_good_until = float("-inf")

    def accepts(self, model: str) -> bool:
        return bool(self._base_url and model)

    async def models(self) -> Sequence[Model]:
        if trio.current_time() < self._models_good_until:
            await trio.lowlevel.checkpoint()
            return self._models
        self._models = await self._ask_for_models()
        self._models_good_until = trio.current_time() + (_LIST_LASTS if self._models else _NOTHING_LASTS)
        return self._models

    @asynccontextmanager
    async def open_response(self, request: Request) -> AsyncGenerator[ResponseStream]:
        check_allowed(self._host)
        upstream = self._upstream or await self._opened()
        from trialogue_openai._stream import ChatStream

        limit_name = "max_tokens" if self._base_url else "max_completion_tokens"
        body = await upstream.ask(chat_body(request, limit_name=limit_name))
        try:
            yield ChatStream(body)
        finally:
            # Closes the socket unless the answer was read to its end; nothing in it waits for the other side.
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 0.2):
                await body.aclose()

    async def aclose(self) -> None:
        if self._upstream is not None:
            await self._upstream.aclose()

    async def _ask_for_models(self) -> Sequence[Model]:
        check_allowed(self._host)
        upstream = self._upstream or await self._opened()
        import openai

        from trialogue_openai._errors import translated
        from trialogue_openai._models import listed_models

        try:
            return await listed_models(upstream.sdk, official=self._base_url is None)
        except (openai.OpenAIError, ProviderError) as error:
            if self._base_url:
                return ()  # many upstreams have no such list; their models are asked for by name
            if isinstance(error, ProviderError):
                raise
            raise translated(error) from error

    async def _opened(self) -> Upstream:
        async with self._opening:
            if self._upstream is None:
                upstream = await trio.to_thread.run_sync(self._open)
                await upstream.prepare()
                self._upstream = upstream
        return self._upstream

    def _open(self) -> Upstream:
        """In a thread: the import takes long the first time, and must not hold up the loop."""
        from trialogue_openai._upstream import Upstream

        for name in ("_errors", "_models", "_stream"):  # so that no later import finds work to do
            import_module(f"trialogue_openai.{name}")

        return Upstream(self._key, self._base_url or _OFFICIAL)

    def __repr__(self) -> str:
        return f"<OpenAIProvider {self._base_url or _OFFICIAL!r}>"
