"""The stream of a response that the upstream keeps: when its connection breaks, it is taken up again where it was."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from trialogue import HandlePiece, Piece, ProviderError
from trialogue.openai_dialect import ResponsesDecoder
from trialogue.sdk_provider import ClosableStream
from trialogue.upstreams import Body, DecodedStream

#: How often a response is taken up again.
REOPENINGS = 3


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
            self._at = next((piece for piece in reversed(batch) if isinstance(piece, HandlePiece)), self._at)
            return batch

    async def _take_up(self, error: ProviderError) -> None:
        """Open another connection, if it was the connection that failed and not the response."""
        if self._at is None or not self._left or not (self._decoder.cut or error.kind == "stalled"):
            raise error
        self._left -= 1
        await self._stream.aclose()
        try:
            self._read(await self._resume(self._at.handle, self._at.cursor))
        except ProviderError:
            raise error from None

    async def aclose(self) -> None:
        await self._stream.aclose()
