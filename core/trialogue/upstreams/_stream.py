"""The response stream: one read of the body is one batch of pieces, whatever the dialect."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

import httpx2
import trio

from trialogue._asking.provider import Piece
from trialogue._facts.errors import ProviderError
from trialogue.sdk_provider import ClosableStream
from trialogue.upstreams._body import Body


class Decoder(Protocol):
    """What turns the bytes of a dialect into pieces, cut anywhere. It does no I/O and raises nothing."""

    @property
    def over(self) -> bool:
        """The response ended as it should have; further bytes are ignored."""
        ...

    @property
    def failure(self) -> ProviderError | None:
        """What is wrong with the response: raised once the pieces are handed out."""
        ...

    def feed(self, data: bytes) -> list[Piece]:
        """The pieces in what is complete."""
        ...

    def end(self) -> None:
        """The upstream sends nothing more: the response is over, or has failed."""
        ...


class DecodedStream(ClosableStream):
    """Everything one read brings is decoded at once; no task switch per token."""

    def __init__(self, body: Body, decoder: Decoder) -> None:
        self._body = body
        self._decoder = decoder
        #: What follows a complete answer has been waited for.
        self._drained = False

    async def receive(self) -> Sequence[Piece]:
        decoder = self._decoder
        while decoder.failure is None and not decoder.over:
            data = await self._read()
            if not data:
                decoder.end()
            elif pieces := decoder.feed(data):
                return pieces
        if decoder.failure is not None:
            raise decoder.failure
        await self._drain()
        return ()

    async def _read(self) -> bytes:
        try:
            return await self._body.read()
        except httpx2.TimeoutException as error:
            raise ProviderError("the upstream fell silent", kind="stalled") from error
        except httpx2.DecodingError as error:
            raise ProviderError(str(error), kind="malformed") from error
        except httpx2.TransportError:
            return b""  # an end, in good time or not, which the decoder judges

    async def _drain(self) -> None:
        if self._drained:
            await trio.lowlevel.checkpoint()
            return
        self._drained = True
        # The answer is complete; only the connection may not be worth keeping.
        with suppress(httpx2.TransportError, httpx2.DecodingError):
            await self._body.drain()

    async def aclose(self) -> None:
        await self._body.aclose()
