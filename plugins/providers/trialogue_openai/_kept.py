"""A response that the upstream keeps, read to its end: over as many connections as it takes, and at last as a whole.

When a connection breaks another is opened, from behind what was read. An upstream may keep a response for longer than it
streams it: then it is asked from time to time whether it is done, and what is missing is taken from the whole.
"""

from __future__ import annotations

from collections.abc import Sequence

import trio

from trialogue import HandlePiece, Part, Piece, ProviderError
from trialogue.openai_dialect import Heard, ResponsesDecoder, rest_of
from trialogue.sdk_provider import ClosableStream
from trialogue.upstreams import Body, DecodedStream
from trialogue_openai._upstream import OpenAIUpstream

#: How often a response is taken up again before more of it has come, and the seconds before the first time; each takes
#: twice as long as the last.
REOPENINGS, PAUSE = 4, 0.1
#: Seconds between two questions whether it is done.
POLL = 5.0


async def open_kept(
    upstream: OpenAIUpstream, handle: str, cursor: int, said: Sequence[Part]
) -> KeptStream | RetrievedStream:
    """What comes behind ``cursor``, where ``said`` was heard. Raises ``ProviderError``: the upstream has it no more."""
    at, heard = HandlePiece(handle, cursor), Heard(said)
    try:
        return KeptStream(upstream, await upstream.resume(handle, cursor), at, heard)
    except ProviderError as error:
        if error.kind != "refused":
            raise
    return RetrievedStream(upstream, at, heard, await upstream.retrieve(handle))


class KeptStream(ClosableStream):
    """Reads one response as it is streamed."""

    def __init__(
        self, upstream: OpenAIUpstream, body: Body, at: HandlePiece | None = None, heard: Heard | None = None
    ) -> None:
        self._upstream = upstream
        #: How far it was read; ``None`` until the upstream has said that it keeps it.
        self._at = at
        self._heard = heard or Heard()
        self._left = REOPENINGS
        self._read(body)

    def _read(self, body: Body) -> None:
        self._decoder = ResponsesDecoder(kept=True, handle=self._at.handle if self._at else None)
        self._stream: ClosableStream = DecodedStream(body, self._decoder)

    async def receive(self) -> Sequence[Piece]:
        while True:
            try:
                batch = await self._stream.receive()
            except ProviderError as error:
                await self._take_up(error)
                continue
            self._heard.add(batch)
            at = next((piece for piece in reversed(batch) if isinstance(piece, HandlePiece)), None)
            if at is not None:
                self._at, self._left = at, REOPENINGS
            return batch

    async def _take_up(self, error: ProviderError) -> None:
        """Open another connection, if it was the connection that failed and not the response."""
        if self._at is None or not (self._decoder.cut or error.kind == "stalled"):
            raise error
        await self._stream.aclose()
        while self._left:
            await trio.sleep(PAUSE * 2 ** (REOPENINGS - self._left))
            self._left -= 1
            try:
                self._read(await self._upstream.resume(self._at.handle, self._at.cursor))
                return
            except ProviderError as again:
                if again.kind == "refused":
                    await self._retrieve(self._at, error)
                    return
        raise error

    async def _retrieve(self, at: HandlePiece, error: ProviderError) -> None:
        try:
            self._stream = RetrievedStream(self._upstream, at, self._heard, await self._upstream.retrieve(at.handle))
        except ProviderError:
            raise error from None

    async def aclose(self) -> None:
        await self._stream.aclose()


class RetrievedStream(ClosableStream):
    """Waits until a response has ended, and reads what is missing from the whole."""

    def __init__(self, upstream: OpenAIUpstream, at: HandlePiece, heard: Heard, response: object) -> None:
        self._upstream = upstream
        self._at = at
        self._heard = heard
        #: What it was like when it was last looked at; ``None`` when it is to be looked at again.
        self._response: object | None = response
        self._over = False

    async def receive(self) -> Sequence[Piece]:
        if self._over:
            await trio.lowlevel.checkpoint()
            return ()
        if self._response is None:
            await trio.sleep(POLL)
            self._response = await self._upstream.retrieve(self._at.handle)
        rest, self._response = rest_of(self._response, self._heard), None
        if rest is None:
            return (self._at,)  # It goes on: nobody need think that it has stalled.
        self._over = True
        return rest

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()
