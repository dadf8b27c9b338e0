"""The body of a response in reads as large as possible: from the tap where that can be, else by way of the client.

How long a silence between two reads may last is the caller's to say.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx2
import trio

from trialogue import ProviderError
from trialogue_openai._chunked import ChunkedDecoder
from trialogue_openai._tap import Tap

#: Seconds for the end of the body to arrive once the answer is complete, so that the connection can be kept.
_END_TIMEOUT = 0.25


class Body(ABC):
    """Bytes of a response; ``aclose`` keeps the connection for reuse only if the body was read to its end."""

    def __init__(self, response: httpx2.Response) -> None:
        self._response = response

    @abstractmethod
    async def read(self) -> bytes:
        """All that has arrived; ``b""`` at the end. Raises ``ProviderError`` and what the client raises."""

    async def drain(self) -> None:
        """Read the little that follows a complete answer, if it comes at once."""
        with trio.move_on_after(_END_TIMEOUT):
            while await self.read():
                pass

    async def aclose(self) -> None:
        await self._response.aclose()


class TappedBody(Body):
    """Straight from the connection, decoded a read at a time."""

    def __init__(self, response: httpx2.Response, tap: Tap) -> None:
        super().__init__(response)
        self._tap = tap
        self._chunked = ChunkedDecoder()

    async def read(self) -> bytes:
        while not self._chunked.ended:
            data = await self._tap.receive_body()
            if not data:
                return b""
            try:
                body = self._chunked.feed(data)
            except ValueError as error:
                raise ProviderError(f"the upstream's HTTP cannot be read: {error}", kind="malformed") from error
            if self._chunked.ended:
                await self._settle()
            if body:
                return body
        return b""

    async def _settle(self) -> None:
        """Show the client an empty body, with whatever the upstream sent behind the real one."""
        self._tap.give_back(b"0\r\n\r\n" + self._chunked.rest)
        await self._response.aread()


class PlainBody(Body):
    """By way of the client, which undoes every coding there is."""

    def __init__(self, response: httpx2.Response) -> None:
        super().__init__(response)
        self._reads: AsyncIterator[bytes] = response.aiter_bytes()

    async def read(self) -> bytes:
        return await anext(self._reads, b"")

    async def aclose(self) -> None:
        await super().aclose()
        # The client nests generators and closes only the outermost; a read from the closed connection ends them all.
        with suppress(httpx2.TransportError, httpx2.StreamError):
            async for _ in self._reads:
                pass


def body_of(response: httpx2.Response) -> Body:
    """The quickest way to this response's body."""
    stream = response.extensions.get("network_stream")
    chunked = response.headers.get("transfer-encoding", "").lower() == "chunked"
    plain = response.headers.get("content-encoding", "identity").lower() == "identity"
    if isinstance(stream, Tap) and stream.untouched and chunked and plain:
        return TappedBody(response, stream)
    return PlainBody(response)
