"""The upstream by way of OpenAI's SDK. Imported and opened in a thread, because the SDK's import takes half a second."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar
from urllib.parse import quote

import httpx2
import openai

from trialogue import ProviderError
from trialogue.upstreams import TIMEOUT, Body, Upstream, translated

#: The SDK's ``create`` walks through every message of the history in search of parameters to rename, which takes 0.17 ms
#: a message; it has nothing to rename in ours. So the body is ours, and the rest of the request is the SDK's.
_READING = {"accept": "text/event-stream", "accept-encoding": "identity"}
_HEADERS = {"content-type": "application/json", **_READING}
#: Where answers are asked for.
CHAT, RESPONSES = "/chat/completions", "/responses"


class OpenAIUpstream(Upstream):
    """Made with the SDK's defaults but for waits and further attempts, which are the server's, and the transport."""

    errors: ClassVar[type[Exception]] = openai.OpenAIError

    def __init__(self, key: str, base_url: str) -> None:
        super().__init__()
        self.sdk = openai.AsyncOpenAI(
            api_key=key, base_url=base_url, http_client=self.client, timeout=TIMEOUT, max_retries=0
        )

    async def post(
        self, content: bytes, headers: Mapping[str, str] = MappingProxyType({}), path: str = ""
    ) -> httpx2.Response:
        stream = await self.sdk.post(
            path or CHAT,
            cast_to=object,
            content=content,
            options={"headers": {**_HEADERS, **headers}},
            stream=True,
            stream_cls=openai.AsyncStream[object],
        )
        return stream.response

    async def resume(self, response: str, cursor: int) -> Body:
        """The body of a response that the upstream keeps, from behind an event. Raises ``ProviderError``."""
        return await self.body_of(self._get(response, cursor))

    async def _get(self, response: str, cursor: int) -> httpx2.Response:
        params = {"stream": "true", "starting_after": cursor, "include_obfuscation": "false"}
        stream = await self.sdk.get(
            _path_of(response),
            cast_to=object,
            options={"headers": _READING, "params": params},
            stream=True,
            stream_cls=openai.AsyncStream[object],
        )
        return stream.response

    async def retrieve(self, response: str) -> object:
        """A response as it is now: JSON, decoded. Raises ``ProviderError``."""
        try:
            return await self.sdk.get(_path_of(response), cast_to=object)
        except openai.OpenAIError as error:
            raise translated(error) from error
        except (ValueError, RecursionError) as error:
            raise ProviderError(
                "the upstream keeps a response that cannot be read as JSON", kind="malformed"
            ) from error

    async def cancel(self, response: str) -> None:
        """Have the upstream work on a response no longer. Raises ``ProviderError``."""
        try:
            await self.sdk.post(f"{_path_of(response)}/cancel", cast_to=object)
        except openai.OpenAIError as error:
            raise translated(error) from error

    async def aclose(self) -> None:
        await self.sdk.close()


def _path_of(response: str) -> str:
    return f"{RESPONSES}/{quote(response, safe='')}"
