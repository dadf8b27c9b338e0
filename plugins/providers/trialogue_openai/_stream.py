"""The response stream: one read of the body is one batch of pieces."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import httpx2
import trio

from trialogue import Piece, ProviderError, ResponseStream
from trialogue.openai_dialect import ChatDecoder
from trialogue_openai._body import Body


class ChatStream(ResponseStream):
    """Everything one read brings is decoded at once; no task switch per token."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._decoder = ChatDecoder()
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
