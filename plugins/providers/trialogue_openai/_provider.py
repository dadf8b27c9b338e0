"""The provider: opens the SDK on first use, makes the request through it, and reads the answer itself."""

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
from trialogue_openai._lanes import Lanes

if TYPE_CHECKING:
    import httpx2
    import openai

_OFFICIAL = "https://api.openai.com/v1"
#: How long a list of models is good for, and how long the absence of one.
_LIST_LASTS, _NOTHING_LASTS = 300.0, 30.0
#: The SDK's ``create`` walks through every message of the history in search of parameters to rename, which takes 0.17 ms
#: a message; it has nothing to rename in ours. So the body is ours, and the rest of the request is the SDK's.
_HEADERS = {"content-type": "application/json", "accept": "text/event-stream", "accept-encoding": "identity"}


class OpenAIProvider(Provider):
    """One upstream and its connections. ``base_url`` is OpenAI's own where none is given."""

    name = "openai"

    def __init__(self, key: str | None, base_url: str | None = None) -> None:
        self._key = key or "no-key-needed"
        self._base_url = base_url or None
        self._host = urlsplit(base_url or _OFFICIAL).hostname or ""
        self._lanes = Lanes(self._open)
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
        async with self._lanes.use() as sdk:
            response = await self._ask(sdk, request)
            from trialogue_openai._body import body_of
            from trialogue_openai._stream import ChatStream

            body = body_of(response)
            try:
                yield ChatStream(body)
            finally:
                # Closes the socket unless the answer was read to its end; nothing in it waits for the other side.
                with trio.CancelScope(shield=True, deadline=trio.current_time() + 0.2):
                    await body.aclose()

    async def aclose(self) -> None:
        await self._lanes.aclose()

    async def _ask(self, sdk: openai.AsyncOpenAI, request: Request) -> httpx2.Response:
        import openai

        from trialogue_openai._errors import translated

        limit_name = "max_tokens" if self._base_url else "max_completion_tokens"
        try:
            stream = await sdk.post(
                "/chat/completions",
                cast_to=object,
                content=chat_body(request, limit_name=limit_name),
                options={"headers": _HEADERS},
                stream=True,
                stream_cls=openai.AsyncStream[object],
            )
        except openai.OpenAIError as error:
            raise translated(error) from error
        return stream.response

    async def _ask_for_models(self) -> Sequence[Model]:
        check_allowed(self._host)
        sdk = await self._lanes.first()
        import openai

        from trialogue_openai._errors import translated
        from trialogue_openai._models import listed_models

        try:
            return await listed_models(sdk, official=self._base_url is None)
        except (openai.OpenAIError, ProviderError) as error:
            if self._base_url:
                return ()  # many upstreams have no such list; their models are asked for by name
            if isinstance(error, ProviderError):
                raise
            raise translated(error) from error

    def _open(self) -> openai.AsyncOpenAI:
        """The import is what takes long the first time."""
        from trialogue_openai._sdk import open_sdk

        for name in ("_errors", "_models", "_stream"):  # so that no later import finds work to do
            import_module(f"trialogue_openai.{name}")

        return open_sdk(self._key, self._base_url or _OFFICIAL)

    def __repr__(self) -> str:
        return f"<OpenAIProvider {self._base_url or _OFFICIAL!r}>"
