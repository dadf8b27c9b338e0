"""The body of an answer in reads as large as possible: from our own connection, else by way of the client.

How long a silence between two reads may last is the caller's to say.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx2
import trio

from trialogue.upstreams._wire import Wire
from trialogue.upstreams._wires import Wires

#: Seconds for the end of the body to arrive once the answer is complete, so that the connection can be kept.
_END_TIMEOUT = 0.25


class Body(ABC):
    """Bytes of an answer; ``aclose`` keeps the connection for reuse only if the body was read to its end."""

    @abstractmethod
    async def read(self) -> bytes:
        """All that has arrived; ``b""`` at the end. Raises ``httpx2.TransportError``, ``httpx2.DecodingError``."""

    async def drain(self) -> None:
        """Read the little that follows a complete answer, if it comes at once."""
        with trio.move_on_after(_END_TIMEOUT):
            while await self.read():
                pass

    @abstractmethod
    async def aclose(self) -> None:
        """Nobody reads any more."""


class WireBody(Body):
    """Straight from the connection, decoded a read at a time."""

    def __init__(self, wires: Wires, wire: Wire) -> None:
        self._wires = wires
        self._wire = wire

    async def read(self) -> bytes:
        return await self._wire.read()

    async def aclose(self) -> None:
        await self._wires.put_back(self._wire)


class PlainBody(Body):
    """By way of the client, which undoes every coding there is."""

    def __init__(self, response: httpx2.Response) -> None:
        self._response = response
        self._reads: AsyncIterator[bytes] = response.aiter_bytes()

    async def read(self) -> bytes:
        return await anext(self._reads, b"")

    async def aclose(self) -> None:
        await self._response.aclose()
        # The client nests generators and closes only the outermost; a read from the closed connection ends them all.
        with suppress(httpx2.TransportError, httpx2.StreamError):
            async for _ in self._reads:
                pass
