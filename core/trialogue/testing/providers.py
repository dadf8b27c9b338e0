"""A provider that plays a script: for tests of whatever asks providers, in virtual time and without any I/O.

A script is a sequence of steps. Text, a piece, or a tuple of both is one batch; ``Pause`` waits, a ``trio.Event`` waits
until the test sets it, ``Fail`` raises. Steps before ``OPENED`` happen while the response is being opened.

    provider = ScriptedProvider(["Hel", Pause(1), ("lo ", "world"), Fail("broken")])
    provider = ScriptedProvider([Pause(2), OPENED, "slow to open"], ["the answer to the second request"])
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

import msgspec
import trio

from trialogue import model_calls
from trialogue._asking.provider import (
    FinishPiece,
    HandlePiece,
    Piece,
    Provider,
    ReasoningPiece,
    Request,
    ResponseStream,
    TextPiece,
    ToolCallPiece,
)
from trialogue._facts.errors import ProviderError
from trialogue._facts.values import Model, Part


class Pause(msgspec.Struct, frozen=True):
    """Wait that many seconds of Trio's clock; ``trio.sleep`` with a value that can stand in a script."""

    seconds: float


class Fail(msgspec.Struct, frozen=True):
    """Raise a ``ProviderError`` of this ``kind``."""

    kind: str
    detail: str = "the script says so"
    retry_after: float | None = None


class Opened(msgspec.Struct, frozen=True):
    """Parts what happens while opening from what is received; see ``OPENED``."""


OPENED: Final = Opened()

Batch: TypeAlias = str | Piece | tuple[str | Piece, ...]
Step: TypeAlias = Batch | Pause | Fail | Opened | trio.Event
#: The steps, or what makes them from the request.
Script: TypeAlias = Sequence[Step] | Callable[[Request], Sequence[Step]]


class ScriptedProvider(Provider):
    """Plays the n-th script to the n-th request, and the last one to all that follow.

    A script that says neither how it finishes nor that it fails ends with ``FinishPiece("stop")``, or with ``"tool_call"``
    when it has such a piece; with ``forever`` it
    begins again instead, and never ends. With ``continues`` a request with a prefix is played from where the prefix
    ends: waits and failures on the way there, and right behind it, are passed over. Without it a prefix is refused.

    With ``keeps`` each batch is followed by a handle, under which ``reopen`` plays what comes behind it; ``forget`` makes
    it forget all of them.
    """

    def __init__(
        self,
        *scripts: Script,
        name: str = "scripted",
        models: Sequence[str] = ("script",),
        context_tokens: int = 8192,
        forever: bool = False,
        continues: bool = False,
        keeps: bool = False,
        tools: bool = False,
        sees: bool = False,
    ) -> None:
        self.name: str = name
        self.forever: bool = forever
        self.continues: bool = continues
        self.keeps: bool = keeps
        #: Whether its models call tools, and so are told of them.
        self.tools: bool = tools
        #: Whether its models see, and so are shown pictures.
        self.sees: bool = sees
        #: Every response that was taken up again: its handle, and from where.
        self.reopened: list[tuple[str, int]] = []
        #: The handles of responses that nobody wanted any more.
        self.discarded: list[str] = []
        # The requests by the handles of their responses.
        self._kept: dict[str, int] = {}
        #: Every request that was made, refused ones included, in order.
        self.requests: list[Request] = []
        #: Responses that are being opened or are open now; 0 means that nothing leaks.
        self.open_streams: int = 0
        #: The most that were open at one time.
        self.most_open_streams: int = 0
        #: Responses whose block was left, by cancellation or otherwise, before they had ended or failed.
        self.abandoned: int = 0
        #: Batches that were handed out, over all responses.
        self.batches: int = 0
        self.closed: bool = False
        self._scripts = list(scripts) or [["Hello."]]
        self._context_tokens = context_tokens
        self._models = tuple(models)

    def then(self, script: Script) -> ScriptedProvider:
        """Add a script for the request after those that have one; returns ``self``."""
        self._scripts.append(script)
        return self

    async def models(self) -> Sequence[Model]:
        await trio.lowlevel.checkpoint()
        can = {"continues": self.continues, "tools": self.tools, "vision": self.sees}
        capabilities = tuple(name for name, able in can.items() if able)
        return [
            Model(f"{self.name}:{name}", self.name, name, self._context_tokens, capabilities) for name in self._models
        ]

    @asynccontextmanager
    async def open_response(self, request: Request) -> AsyncGenerator[ResponseStream]:
        steps = self._steps(request)
        self.requests.append(request)
        handle = f"{self.name}-{len(self.requests)}" if self.keeps else None
        if handle is not None:
            self._kept[handle] = len(self.requests) - 1
        async with self._stream(_ScriptedStream(self, steps, handle)) as stream:
            yield stream

    @asynccontextmanager
    async def reopen(
        self, model: str, handle: str, cursor: int, said: Sequence[Part] = ()
    ) -> AsyncGenerator[ResponseStream]:
        await trio.lowlevel.checkpoint()
        self.reopened.append((handle, cursor))
        if handle not in self._kept:
            raise ProviderError(f"there is no response {handle!r}", kind="refused")
        number = self._kept[handle]
        stream = _ScriptedStream(self, _behind(cursor, self._played(number, self.requests[number])), handle, cursor)
        async with self._stream(stream):
            yield stream

    async def discard(self, model: str, handle: str) -> None:
        await trio.lowlevel.checkpoint()
        self.discarded.append(handle)

    def forget(self) -> None:
        """Keep none of the responses so far any longer."""
        self._kept.clear()

    @asynccontextmanager
    async def _stream(self, stream: _ScriptedStream) -> AsyncGenerator[_ScriptedStream]:
        self.open_streams += 1
        self.most_open_streams = max(self.most_open_streams, self.open_streams)
        try:
            await stream.open()
            yield stream
        finally:
            self.open_streams -= 1
            self.abandoned += not stream.over

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()
        self.closed = True

    def _steps(self, request: Request) -> Iterator[Step]:
        played = self._played(len(self.requests), request)
        if not request.prefix:
            return played
        return _after(request.prefix, played) if self.continues else iter([Fail("refused", "no prefixes here")])

    def _played(self, number: int, request: Request) -> Iterator[Step]:
        script = self._scripts[min(number, len(self._scripts) - 1)]
        steps = list(script(request) if callable(script) else script)
        if OPENED not in steps:
            steps.insert(0, OPENED)
        if not self.forever and not any(_finishes(step) for step in steps):
            steps.append(FinishPiece("tool_call" if any(map(_calls, steps)) else "stop"))
        return _endless(steps) if self.forever else iter(steps)

    def __repr__(self) -> str:
        return f"<ScriptedProvider {self.name!r} requests={len(self.requests)} open={self.open_streams}>"


class _ScriptedStream(ResponseStream):
    def __init__(
        self, provider: ScriptedProvider, steps: Iterator[Step], handle: str | None = None, cursor: int = 0
    ) -> None:
        self._provider = provider
        self._steps = steps
        self._handle = handle
        #: Batches up to here.
        self._cursor = cursor
        self._receiving = False
        #: It ended or failed, and there is nothing left to abandon.
        self.over = False

    async def open(self) -> None:
        """Play up to ``OPENED``."""
        await trio.lowlevel.checkpoint()
        for step in self._steps:
            if isinstance(step, Opened):
                return
            if await self._play(step) is not None:
                raise AssertionError(f"script error: {step!r} stands before OPENED")

    async def receive(self) -> Sequence[Piece]:
        if self._receiving:
            raise trio.BusyResourceError("another task is receiving from this response")
        self._receiving = True
        try:
            return await self._next_batch()
        finally:
            self._receiving = False

    async def _next_batch(self) -> Sequence[Piece]:
        await trio.lowlevel.checkpoint()
        for step in self._steps:
            batch = await self._play(step)
            if batch:
                self._provider.batches += 1
                return self._told(batch)
        self.over = True
        return ()

    def _told(self, batch: Sequence[Piece]) -> Sequence[Piece]:
        if self._handle is None or any(isinstance(piece, FinishPiece) for piece in batch):
            return batch
        self._cursor += 1
        return (*batch, HandlePiece(self._handle, self._cursor))

    async def _play(self, step: Step) -> Sequence[Piece] | None:
        match step:
            case Pause(seconds):
                await trio.sleep(seconds)
            case trio.Event():
                await step.wait()
            case Fail(kind, detail, retry_after):
                self.over, self._steps = True, iter(())
                raise ProviderError(detail, kind=kind, retry_after=retry_after)
            case Opened():
                pass
            case _:
                return tuple(_pieces(step))
        return None


def _pieces(batch: Batch) -> Iterator[Piece]:
    for piece in batch if isinstance(batch, tuple) else (batch,):
        yield TextPiece(piece) if isinstance(piece, str) else piece


def _finishes(step: Step) -> bool:
    if isinstance(step, tuple):
        return any(isinstance(piece, FinishPiece) for piece in step)
    return isinstance(step, (Fail, FinishPiece))


def _calls(step: Step) -> bool:
    pieces = step if isinstance(step, tuple) else (step,)
    return any(isinstance(piece, ToolCallPiece) for piece in pieces)


def _endless(steps: Iterable[Step]) -> Iterator[Step]:
    """``OPENED`` and what stands before it once, the rest again and again."""
    steps = list(steps)
    yield from steps
    while True:
        yield from steps[steps.index(OPENED) + 1 :]


def _behind(cursor: int, steps: Iterator[Step]) -> Iterator[Step]:
    """``steps`` from behind a number of batches, without the waits before."""
    yield OPENED
    while cursor:
        step = next(steps)
        cursor -= not isinstance(step, (Pause, Fail, Opened, trio.Event))
    yield from (step for step in steps if not isinstance(step, Opened))


def _after(prefix: str, steps: Iterator[Step]) -> Iterator[Step]:
    """``steps`` from where their text goes beyond ``prefix``."""
    yield OPENED
    rest = prefix
    for step in steps:
        if isinstance(step, (Pause, Fail, Opened, trio.Event)):
            continue
        kept: list[str | Piece] = []
        for piece in _pieces(step):
            text = piece.text if isinstance(piece, TextPiece) else ""
            if not (text.startswith(rest) or rest.startswith(text)):
                yield Fail("refused", f"the script does not begin with the prefix {prefix!r}")
                return
            if not rest and not isinstance(piece, ReasoningPiece):
                kept.append(piece)
            elif len(text) > len(rest):
                kept.append(TextPiece(text[len(rest) :]))
            rest = rest[len(text) :]
        if kept:
            yield tuple(kept)
            yield from steps
            return


def forbid_model_calls() -> None:
    """From now on no provider of this process, or of its children, may ask a real model; loopback stays allowed."""
    os.environ[model_calls.VARIABLE] = "1"
