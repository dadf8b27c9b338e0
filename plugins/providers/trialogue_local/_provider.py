"""The provider: each response is a connection to the child, on which it speaks Chat Completions."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec
import trio

from trialogue import Model, Piece, Prices, Provider, ProviderError, Request, ResponseStream
from trialogue.openai_dialect import ChatDecoder, chat_body
from trialogue_local._child import Child

MODEL: Final = "smollm2-135m"
#: As the worker allots it to each request.
_CONTEXT: Final = 4096
_DESCRIPTION: Final = "Runs on this machine. Quick, and small: it chats, but do not believe what it says."


class LocalProvider(Provider):
    """The model in ``weights``; nothing runs until it is asked something."""

    name = "local"

    def __init__(self, weights: Path, threads: int = 1) -> None:
        self._child = Child(weights, threads)

    async def models(self) -> Sequence[Model]:
        await trio.lowlevel.checkpoint()
        return [Model(f"local:{MODEL}", "local", "SmolLM2 135M", _CONTEXT, ("continues",), _DESCRIPTION, Prices(0, 0))]

    @asynccontextmanager
    async def open_response(self, request: Request) -> AsyncGenerator[ResponseStream]:
        if request.model != MODEL:
            raise ProviderError(f"there is no local model {request.model!r}; use 'local:{MODEL}'", kind="refused")
        connection = await self._child.connect()
        async with connection:
            try:
                # Progress lets the child notice between two steps of a long prompt that we have left.
                await connection.send_all(chat_body(request, return_progress=True) + b"\n")
            except trio.BrokenResourceError as error:
                raise ProviderError(
                    await self._child.end_in_words() or "the local model is gone", kind="unavailable"
                ) from error
            yield _LocalStream(connection, self._child)

    async def busy(self) -> int:
        """How many requests the child is thinking about; 0 where there is no child."""
        if self._child.pid is None:
            return 0
        async with await self._child.connect() as connection:
            await connection.send_all(b'{"ask": "busy"}\n')
            answer = await connection.receive_some()
        return msgspec.json.decode(answer.removeprefix(b"data: "), type=dict[str, int])["busy"] if answer else 0

    async def aclose(self) -> None:
        await self._child.aclose()

    def __repr__(self) -> str:
        return f"<LocalProvider {self._child!r}>"


class _LocalStream(ResponseStream):
    def __init__(self, connection: trio.SocketStream, child: Child) -> None:
        self._connection = connection
        self._child = child
        self._decoder = ChatDecoder()

    async def receive(self) -> Sequence[Piece]:
        decoder = self._decoder
        while decoder.failure is None and not decoder.over:
            data = await self._read()
            if not data:
                decoder.end()
                await self._judge_end()
            elif pieces := decoder.feed(data):
                return pieces
        if decoder.failure is not None:
            raise decoder.failure
        await trio.lowlevel.checkpoint()
        return ()

    async def _read(self) -> bytes:
        try:
            return await self._connection.receive_some(65536)
        except trio.BrokenResourceError:
            return b""

    async def _judge_end(self) -> None:
        """A complete answer is a good sign; when one broke off because the child died, say so."""
        if self._decoder.over:
            self._child.well()
        elif words := await self._child.end_in_words():
            raise ProviderError(words, kind="broken")
