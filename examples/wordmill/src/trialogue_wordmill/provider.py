"""A provider over TCP: a line of JSON asks, a line says whether that is taken, and then each word is a line of its own."""

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import msgspec
import trio

from trialogue import FinishPiece, Model, Piece, Provider, ProviderError, Request, ResponseStream, TextPiece, text_of

LINE = re.compile(rb"(?:yes|no (refused|throttled|unavailable)|word ([^\n]+)|(end))\n")


class Wordmill(Provider):
    def __init__(self, name: str, host: str, port: int) -> None:
        self.name, self._address = name, (host, port)

    async def models(self) -> Sequence[Model]:
        return [Model(f"{self.name}:fine", self.name, "Finely ground words", context_tokens=8_192)]

    @asynccontextmanager
    async def open_response(self, request: Request) -> AsyncGenerator[ResponseStream]:
        asked = (request.model, [(message.role, text_of(message.parts)) for message in request.messages])
        async with AsyncExitStack() as stack:  # The connection ends with the block, and then the mill stops.
            try:
                mill = await stack.enter_async_context(await trio.open_tcp_stream(*self._address))
                await mill.send_all(msgspec.json.encode(asked) + b"\n")
            except (OSError, trio.BrokenResourceError) as error:
                raise ProviderError(f"the mill is not there: {error}", kind="unavailable") from error
            words = _Words(mill)
            if no := (await words.line())[1]:
                raise ProviderError("the mill does not take this", kind=no.decode())
            yield words


class _Words(ResponseStream):
    def __init__(self, mill: trio.SocketStream) -> None:
        self._mill, self._unread, self._over = mill, b"", b""

    async def receive(self) -> Sequence[Piece]:
        pieces: list[Piece] = []
        while not self._over and (not pieces or LINE.match(self._unread)):  # All that is there, and at least one.
            _, word, self._over = (await self.line()).groups()
            pieces.append(FinishPiece("stop") if self._over else TextPiece(word.decode(errors="replace")))
        return pieces

    async def line(self) -> re.Match[bytes]:
        while not (line := LINE.match(self._unread)):
            data = b""
            if b"\n" in self._unread or len(self._unread) > 65_536:
                raise ProviderError(f"the mill said {self._unread[:40]!r}", kind="malformed")
            with suppress(trio.BrokenResourceError):
                data = await self._mill.receive_some()
            if not data:
                raise ProviderError("the mill ended in mid-answer", kind="broken")
            self._unread += data
        self._unread = self._unread[line.end() :]
        return line
