"""A turn loop that lets a runnable answer, and makes the generations that it asks for.

What is async in langchain-core belongs to asyncio, so the runnable streams in a thread. There it waits until each word is
taken: a slow reader slows it down, and when the answer is stopped, whatever it waits for ends.
"""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager

import trio
from msgspec.structs import replace

from trialogue import (
    FinishPiece,
    Generate,
    Message,
    Piece,
    Request,
    ResponseStream,
    TextPiece,
    TrialogueError,
    TurnContext,
    TurnLoop,
    Usage,
    UsagePiece,
)


class RunnableLoop(TurnLoop):
    name = "runnable"

    def takes(self, turn: TurnContext, request: Request) -> bool:
        # The rest of an answer whose beginning is said is better left to the model.
        return request.purpose == "answer" and not request.prefix

    @asynccontextmanager
    async def open_turn(
        self, turn: TurnContext, request: Request, generate: Generate
    ) -> AsyncGenerator[ResponseStream]:
        failure: Exception | None = None
        send, receive = trio.open_memory_channel[Piece | Exception](16)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_answer, Turn(request, generate, nursery), send)
            try:
                yield _Said(receive)
            except Exception as error:
                failure = error  # Raised again below, where the nursery does not wrap it.
            nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure


class Turn:
    """What a runnable may ask, from any thread, while the turn lasts."""

    def __init__(self, request: Request, generate: Generate, nursery: trio.Nursery) -> None:
        self.request, self._generate, self._nursery = request, generate, nursery
        self._token = trio.lowlevel.current_trio_token()

    def ask(self, messages: Sequence[Message], system: str | None) -> Iterator[str | Usage]:
        """The texts of a generation, as they come, and its usage if that is reported.

        Raises ``TrialogueError``, and Trio's errors once the turn is over.
        """
        request = replace(self.request, messages=tuple(messages), system=system, tools=())
        send, receive = trio.open_memory_channel[Piece | Exception](16)
        trio.from_thread.run_sync(self._nursery.start_soon, self._ask, request, send, trio_token=self._token)
        said, usage = _Said(receive), None
        try:
            while batch := trio.from_thread.run(said.receive, trio_token=self._token):
                yield "".join(piece.text for piece in batch if isinstance(piece, TextPiece))
                usage = next((piece.usage for piece in batch if isinstance(piece, UsagePiece)), usage)
            if usage is not None:
                yield usage
        finally:
            trio.from_thread.run_sync(receive.close, trio_token=self._token)

    async def _ask(self, request: Request, send: trio.MemorySendChannel[Piece | Exception]) -> None:
        async with send:
            try:
                async with self._generate(request) as stream:
                    while batch := await stream.receive():
                        for piece in batch:
                            await send.send(piece)
            except TrialogueError as error:
                await send.send(error)
            except trio.BrokenResourceError:
                pass  # Nobody wants the rest.


async def _answer(turn: Turn, send: trio.MemorySendChannel[Piece | Exception]) -> None:
    def stream() -> None:
        from trialogue_runnable.model import answer  # langchain-core takes a moment to import, here in a thread.

        for said in answer(turn):
            trio.from_thread.run(send.send, UsagePiece(said) if isinstance(said, Usage) else TextPiece(said))
        trio.from_thread.run(send.send, FinishPiece("stop"))

    async with send:
        try:
            await trio.to_thread.run_sync(stream)
        except Exception as error:
            await send.send(error)


class _Said(ResponseStream):
    def __init__(self, pieces: trio.MemoryReceiveChannel[Piece | Exception]) -> None:
        self._pieces = pieces

    async def receive(self) -> Sequence[Piece]:
        async for piece in self._pieces:
            if isinstance(piece, Exception):
                raise piece
            return [piece]
        return ()
