"""The models of a simulated world: scripted, but with scripts drawn from the seed.

Token ``i`` of every answer is the same everywhere, so that the text of an answer shows what was lost or said twice,
however often it was interrupted and gone on with. Only ``endless`` begins again and again.
"""

from __future__ import annotations

import random
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import trio
from simulation.tools import TOOLS

from trialogue import (
    FinishPiece,
    Piece,
    Prices,
    ReasoningPiece,
    Request,
    ResponseStream,
    TextPiece,
    ToolCallPiece,
    Usage,
    UsagePiece,
    text_of,
)
from trialogue.testing import OPENED, Fail, Pause, ScriptedProvider, Step

#: Models that clients ask for; only ``steady`` can go on from a prefix.
MODELS = ("steady:script", "plain:script", "abrupt:script", "endless:script")
#: Those whose price is known, in picodollars a token.
PRICES = {"steady": Prices(1_500, 2_000), "abrupt": Prices(1_500, 2_000), "endless": Prices(1_500, 2_000)}
#: Most tokens of one batch.
BATCH = 4
_ENDINGS = ("stop", "stop", "stop", "length", "usage", "fail", "stall", "late")


def token(number: int) -> str:
    """Piece ``number`` of every answer; some lie outside the basic plane, some are two code points."""
    return f"{number}{('', '😀', 'é')[number % 3]} "


def is_gapless(text: str) -> bool:
    """Whether a text is what the tokens from 0 on join to, up to the end of some token."""
    number, rest = 0, text
    while rest:
        if not rest.startswith(token(number)):
            return False
        rest = rest[len(token(number)) :]
        number += 1
    return True


def open_providers(source: random.Random, context: int = 8_192, *, calm: bool) -> list[ScriptedProvider]:
    """One node's providers. ``calm`` ones answer shortly and do not fail."""
    scripts = _Scripts(source, calm)
    lap: list[Step] = [token(0), Pause(0.2), (token(1), token(2)), Pause(0.1)]
    return [
        SlowToClose(scripts.play, name="steady", continues=True, tools=True, context_tokens=context),
        ScriptedProvider(scripts.play, name="plain", tools=True, context_tokens=context),
        AbruptProvider(source, scripts, context),
        SlowToClose(
            [token(0)] if calm else lap, name="endless", forever=not calm, continues=True, context_tokens=context
        ),
    ]


class _Scripts:
    """Draws a script for each request."""

    def __init__(self, source: random.Random, calm: bool) -> None:
        self._source = source
        self._calm = calm
        self._down_until = 0.0

    def play(self, request: Request) -> Sequence[Step]:
        source = self._source
        if request.purpose != "answer":
            return self._beside(request)
        if self._is_down():
            fail = Fail(
                source.choice(("unavailable", "throttled", "malformed")), retry_after=source.choice((None, 0.5))
            )
            return [fail, OPENED] if source.random() < 0.7 else [fail]
        begun = request.prefix.count(" ")
        steps: list[Step] = [Pause(source.choice((0, 0, 0.5))), OPENED]
        if source.random() < 0.2:
            steps += [(ReasoningPiece("hm "), ReasoningPiece("hm")), Pause(0.1)]
        number = _said_before(request)
        calls = request.tools and request.tool_choice != "none" and not self._calm and source.random() < 0.4
        end = number + begun + source.randint(1, 3 if self._calm or calls else 30)
        while number < end:
            size = source.randint(1, BATCH)
            steps += [tuple(token(number + i) for i in range(size)), Pause(source.choice((0, 0.02, 0.1, 0.6)))]
            number += size
        return steps + (self._calls() if calls else self._ending())

    def _beside(self, request: Request) -> list[Step]:
        """A title; or a summary that says what was asked last in what is summed up."""
        source, shown = self._source, text_of(request.messages[0].parts)
        last = re.findall(r"^user: (\S+)$", shown, re.MULTILINE)[-1:]
        text = " ".join(["sum", *last]) if request.purpose == "summary" else f"about {shown[:20]}"
        ending = Fail("broken") if source.random() < 0.1 else FinishPiece("stop")
        return [Pause(source.choice((0, 0.1, 0.5, 2))), OPENED, text, ending]

    def _calls(self) -> list[Step]:
        source = self._source
        names = source.choices([*TOOLS, "nobody"], [3, 3, 3, 1], k=source.randint(1, 3))
        steps: list[Step] = [ToolCallPiece(name, source.choice(("", "{}", "{}", '{"a": 1}', "{"))) for name in names]
        usage = [UsagePiece(Usage("reported", 3, 7))] if source.random() < 0.5 else []
        return [*steps, Pause(source.choice((0, 0.3))), (FinishPiece(source.choice(("tool_call", "stop"))), *usage)]

    def _is_down(self) -> bool:
        """Now and then nobody is answered for some seconds."""
        now, source = trio.current_time(), self._source
        if not self._calm and now > self._down_until and source.random() < 0.08:
            self._down_until = now + source.uniform(0.5, 6.0)
        return not self._calm and now < self._down_until

    def _ending(self) -> list[Step]:
        match "stop" if self._calm else self._source.choice(_ENDINGS):
            case "length":
                return [FinishPiece("length")]
            case "usage":
                return [(FinishPiece("stop"), UsagePiece(Usage("reported", 3, 7)))]
            case "fail":
                return [Fail(self._source.choice(("broken", "throttled", "malformed")))]
            case "stall":
                return [Pause(1000)]
            case "late":
                return [Pause(self._source.uniform(0, 4)), FinishPiece("stop")]
            case _:
                return [FinishPiece("stop")]


def _said_before(request: Request) -> int:
    """How many tokens earlier generations have said of this answer."""
    last = request.messages[-1] if request.messages else None
    return text_of(last.parts).count(" ") if last is not None and last.role == "assistant" else 0


class SlowToClose(ScriptedProvider):
    """Takes its time to let go of the upstream, as long as a provider may."""

    @asynccontextmanager
    async def open_response(self, request: Request) -> AsyncGenerator[ResponseStream]:
        async with super().open_response(request) as stream:
            try:
                yield stream
            finally:
                with trio.move_on_after(1, shield=True):
                    await trio.sleep(0.2)


class AbruptProvider(ScriptedProvider):
    """Leaves out why it finished, or fails as a plugin with a bug does."""

    def __init__(self, source: random.Random, scripts: _Scripts, context: int) -> None:
        super().__init__(scripts.play, name="abrupt", tools=True, context_tokens=context)
        self._source = source

    @asynccontextmanager
    async def open_response(self, request: Request) -> AsyncGenerator[ResponseStream]:
        async with super().open_response(request) as stream:
            yield _AbruptStream(stream, self._source.random() < 0.5)


class _AbruptStream(ResponseStream):
    def __init__(self, stream: ResponseStream, buggy: bool) -> None:
        self._stream = stream
        self._buggy = buggy

    async def receive(self) -> Sequence[Piece]:
        batch = await self._stream.receive()
        if self._buggy and any(not isinstance(piece, TextPiece) for piece in batch):
            async with trio.open_nursery():
                raise KeyError("a bug in a plugin")
        return [piece for piece in batch if not isinstance(piece, FinishPiece)]
