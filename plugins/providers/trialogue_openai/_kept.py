"""The stream of a response that the upstream keeps: when its connection breaks, it is taken up again where it was."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import trio

from trialogue import HandlePiece, Piece, ProviderError
from trialogue.openai_dialect import ResponsesDecoder
from trialogue.sdk_provider import ClosableStream
from trialogue.upstreams import Body, DecodedStream

#: How often a response is taken up again before more of it has come, and the seconds before the first time; each takes
#: twice as long as the last.
REOPENINGS, PAUSE = 4, 0.1


class KeptStream(ClosableStream):
    """Reads one response over as many connections as it takes; ``resume`` opens another, from behind a cursor."""

    def __init__(
        self, body: Body, resume: Callable[[str, int], Awaitable[Body]], at: HandlePiece | None = None
    ) -> None:
        self._resume = resume
        #: How far it was read; ``None`` until the upstream has said that it keeps it.
        self._at = at
        self._left = REOPENINGS
        self._read(body)

    def _read(self, body: Body) -> None:
        self._decoder = ResponsesDecoder(kept=True, handle=self._at.handle if self._at else None)
        self._stream = DecodedStream(body, self._decoder)

    async def receive(self) -> Sequence[Piece]:
        while True:
            try:
                batch = await self._stream.receive()
            except ProviderError as error:
                await self._take_up(error)
                continue
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
                self._read(await self._resume(self._at.handle, self._at.cursor))
                return
            except ProviderError as again:
                if again.kind == "refused":
                    break
        raise error

    async def aclose(self) -> None:
        await self._stream.aclose()
