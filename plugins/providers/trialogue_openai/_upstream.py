"""The upstream by way of OpenAI's SDK. Imported and opened in a thread, because the SDK's import takes half a second."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

import httpx2
import openai

from trialogue.upstreams import TIMEOUT, Upstream

#: The SDK's ``create`` walks through every message of the history in search of parameters to rename, which takes 0.17 ms
#: a message; it has nothing to rename in ours. So the body is ours, and the rest of the request is the SDK's.
_HEADERS = {"content-type": "application/json", "accept": "text/event-stream", "accept-encoding": "identity"}


class OpenAIUpstream(Upstream):
    """Made with the SDK's defaults but for waits, which are the server's, and the transport."""

    errors: ClassVar[type[Exception]] = openai.OpenAIError

    def __init__(self, key: str, base_url: str) -> None:
        super().__init__()
        self.sdk = openai.AsyncOpenAI(api_key=key, base_url=base_url, http_client=self.client, timeout=TIMEOUT)

    async def post(self, content: bytes, headers: Mapping[str, str] = MappingProxyType({})) -> httpx2.Response:
        stream = await self.sdk.post(
            "/chat/completions",
            cast_to=object,
            content=content,
            options={"headers": {**_HEADERS, **headers}},
            stream=True,
            stream_cls=openai.AsyncStream[object],
        )
        return stream.response

    async def aclose(self) -> None:
        await self.sdk.close()
