"""Questions to an upstream that are answered in JSON, as which models it has: asked without its SDK.

An SDK takes seconds to import. Such a question needs of it no more than the headers that say who asks, and it is asked at
the start of every process, while nobody may ever want an answer of the upstream's models.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TypeVar
from urllib.parse import urlsplit

import httpx2
import msgspec
import trio

from trialogue._dialects.event_lines import kind_of_status, shown
from trialogue._facts.errors import ProviderError
from trialogue.upstreams._body import PlainBody
from trialogue.upstreams._client import make_client
from trialogue.upstreams._errors import message_in, retry_after

#: Seconds for everything about one question.
PATIENCE = 5.0
#: No list is longer: the longest there is, of a broker of models, is a megabyte.
LONGEST = 16 * 1024 * 1024

_T = TypeVar("_T")


class Questions:
    """What an upstream is asked at ``base_url``, by whom the headers say. Made by ``open_questions``."""

    def __init__(self, client: httpx2.AsyncClient, base_url: str, headers: Mapping[str, str]) -> None:
        #: Without a slash at its end.
        self.base_url: str = base_url.rstrip("/")
        self._host = urlsplit(base_url).hostname
        self._client = client
        self._headers = headers

    def __repr__(self) -> str:
        return f"<Questions {self.base_url!r}>"

    async def get(self, path: str, kind: type[_T]) -> _T:
        """What stands at a path below the base, or at a whole address. Raises ``ProviderError``."""
        return await self._ask("GET", path, kind)

    async def post(self, path: str, body: object, kind: type[_T]) -> _T:
        """The same, for who wants to be told something first. Raises ``ProviderError``."""
        return await self._ask("POST", path, kind, msgspec.json.encode(body))

    async def _ask(self, method: str, path: str, kind: type[_T], content: bytes | None = None) -> _T:
        url = f"{self.base_url}{path}" if path.startswith("/") else path
        headers = {"accept": "application/json", **self._headers}
        if content is not None:
            headers["content-type"] = "application/json"
        try:
            with trio.fail_after(PATIENCE):
                async with self._client.stream(method, url, headers=headers, content=content) as response:
                    data = await _whole(response)
        except trio.TooSlowError as error:
            raise ProviderError("the upstream did not answer in time", kind="stalled") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError) as error:
            # Not in the error's words, which may hold a key that cannot be one.
            words = f"no answer from the upstream at {self._host!r} ({type(error).__name__})"
            raise ProviderError(words, kind="unavailable") from error
        if not response.is_success:
            raise _turned_down(response, data)
        # In a thread, since reading a long list takes longer than the loop has.
        return await trio.to_thread.run_sync(_read, data, kind)


async def _whole(response: httpx2.Response) -> bytes:
    body, data = PlainBody(response), bytearray()
    try:
        while chunk := await body.read():
            data += chunk
            if len(data) > LONGEST:
                raise ProviderError(f"the upstream's answer is longer than {LONGEST} bytes", kind="malformed")
        return bytes(data)
    finally:
        await body.aclose()


def _read(data: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProviderError(f"the upstream's answer cannot be read: {error}", kind="malformed") from error


def _turned_down(response: httpx2.Response, data: bytes) -> ProviderError:
    words = data.decode(errors="replace")
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        words = message_in(msgspec.json.decode(data)) or words
    return ProviderError(
        f"the upstream answered {response.status_code}: {shown(words)}",
        kind=kind_of_status(response.status_code),
        retry_after=retry_after(response.headers),
    )


@asynccontextmanager
async def open_questions(base_url: str, headers: Mapping[str, str]) -> AsyncGenerator[Questions]:
    """Ask an upstream something for the length of the block."""
    client, _ = await trio.to_thread.run_sync(make_client)
    try:
        yield Questions(client, base_url, headers)
    finally:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 0.2):
            await client.aclose()


def custom_headers(text: str) -> dict[str, str]:
    """Headers of the operator's own, a line each, as SDKs read them from the environment."""
    lines = (line.partition(":") for line in text.split("\n"))
    return {name.strip(): value.strip() for name, colon, value in lines if colon}
