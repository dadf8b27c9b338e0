"""The upstream by way of Anthropic's SDK. Imported and opened in a thread, because the SDK's import takes a second."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

import anthropic
import httpx2

from trialogue.upstreams import TIMEOUT, Upstream

#: The body is ours, so that nobody walks through it again; the rest of the request is the SDK's.
_HEADERS = {"content-type": "application/json", "accept": "text/event-stream", "accept-encoding": "identity"}


class AnthropicUpstream(Upstream):
    """Made with the SDK's defaults but for waits and further attempts, which are the server's, and the transport."""

    errors: ClassVar[type[Exception]] = anthropic.AnthropicError

    def __init__(self, key: str, base_url: str, *, official: bool) -> None:
        super().__init__()
        self.sdk = anthropic.AsyncAnthropic(
            api_key=key,
            base_url=base_url,
            http_client=self.client,
            timeout=TIMEOUT,
            max_retries=0,
            open_telemetry=False,
            # The SDK sends a bearer token since its second version; who copied the API before then reads this one.
            default_headers=None if official else {"x-api-key": key},
        )

    async def post(
        self, content: bytes, headers: Mapping[str, str] = MappingProxyType({}), path: str = ""
    ) -> httpx2.Response:
        stream = await self.sdk.post(
            path or "/v1/messages",
            cast_to=object,
            content=content,
            options={"headers": {**_HEADERS, **headers}},
            stream=True,
            stream_cls=anthropic.AsyncStream[object],
        )
        return stream.response

    async def aclose(self) -> None:
        await self.sdk.close()
