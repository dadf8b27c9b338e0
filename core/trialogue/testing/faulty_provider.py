"""A provider that fails in every way there is, at random, and knows what it has said: for tests of whoever asks it.

    provider = FaultyProvider(random.Random(7), share=0.3)  # three requests in ten go wrong, the same for the same seed
    ...
    assert what_is_shown == "".join(asked.text for asked in provider.asked)

The answer to a question is the same everywhere, and with ``continues`` a prefix is gone on with to the letter: so a text
shows whether something of it was lost or said twice.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Literal, TypeAlias, get_args

import trio

from trialogue._asking.estimates import estimate_request
from trialogue._asking.provider import FinishPiece, Piece, Provider, Request, ResponseStream, TextPiece, UsagePiece
from trialogue._facts.errors import ProviderError
from trialogue._facts.values import Model, Usage, text_of

#: ``reset``, ``error``, ``throttled``, ``refused``: before the request is taken. ``overloaded``, ``deaf``, ``empty``: it is
#: taken, and then turned away, left without a word, or ended without one. ``slow``: late, but well. The others come in the
#: middle of an answer.
FaultKind: TypeAlias = Literal[
    "reset",
    "error",
    "throttled",
    "refused",
    "overloaded",
    "deaf",
    "empty",
    "slow",
    "stall",
    "truncated",
    "garbage",
    "cut",
]
KINDS: tuple[FaultKind, ...] = get_args(FaultKind)
#: Those that come in the middle.
_LATE = ("stall", "truncated", "garbage", "cut")


class Asked:
    """One request, and what came of it."""

    def __init__(self, request: Request, fault: FaultKind | None) -> None:
        self.request = request
        self.fault: FaultKind | None = fault
        #: What was handed out of the answer, and in how many pieces.
        self.text: str = ""
        self.pieces: int = 0
        #: What was reported.
        self.usage: Usage | None = None

    def __repr__(self) -> str:
        return f"<Asked {question_of(self.request)!r} fault={self.fault} pieces={self.pieces}>"

    @property
    def is_charged(self) -> bool:
        """Whether the request was taken, so that somebody pays for it."""
        return self.fault not in ("reset", "error", "throttled", "refused", "overloaded")

    @property
    def billed(self) -> tuple[int, int]:
        """Tokens of input and output that are paid for: as reported, else as they are estimated."""
        if self.usage is not None:
            return self.usage.input_tokens or 0, self.usage.output_tokens or 0
        return (estimate_request(self.request), self.pieces) if self.is_charged else (0, 0)


class FaultyProvider(Provider):
    """Of ``share`` requests each has one of the faults in ``kinds``. Answers have up to ``longest`` pieces."""

    def __init__(
        self,
        source: random.Random,
        share: float,
        *,
        name: str = "faulty",
        kinds: Sequence[FaultKind] = KINDS,
        continues: bool = False,
        longest: int = 30,
    ) -> None:
        self.name: str = name
        self.share: float = share
        #: Every request, in order.
        self.asked: list[Asked] = []
        #: Responses that are open now.
        self.open_streams: int = 0
        self._source = source
        self._kinds = tuple(kinds)
        self._continues = continues
        self._longest = longest

    def __repr__(self) -> str:
        return f"<FaultyProvider {self.name} asked={len(self.asked)} open={self.open_streams}>"

    async def models(self) -> Sequence[Model]:
        await trio.lowlevel.checkpoint()
        capabilities = ("continues",) if self._continues else ()
        return [Model(f"{self.name}:model", self.name, "model", 100_000, capabilities)]

    def answer(self, question: str) -> list[str]:
        """The pieces of the answer to a question."""
        length = random.Random(question).randint(1, self._longest)
        return [f"{question}-{number} " for number in range(length)]

    @asynccontextmanager
    async def open_response(self, request: Request) -> AsyncGenerator[ResponseStream]:
        fault = self._source.choice(self._kinds) if self._source.random() < self.share else None
        asked = Asked(request, fault)
        self.asked.append(asked)
        self.open_streams += 1
        try:
            await trio.sleep(self._source.uniform(0, 0.1))
            _turn_away(asked, self._source)
            yield _FaultyStream(asked, self._rest(request), self._source)
        finally:
            self.open_streams -= 1

    def _rest(self, request: Request) -> list[str]:
        pieces, done = self.answer(question_of(request)), len(request.prefix)
        whole = "".join(pieces)
        if not whole.startswith(request.prefix) or (done and not self._continues):
            raise AssertionError(f"{self.name} is to go on from {request.prefix!r}, where the answer is {whole!r}")
        while pieces and done >= len(pieces[0]):
            done -= len(pieces.pop(0))
        return [pieces[0][done:], *pieces[1:]] if pieces else []


class _FaultyStream(ResponseStream):
    def __init__(self, asked: Asked, pieces: list[str], source: random.Random) -> None:
        self._asked = asked
        self._pieces = pieces
        self._source = source
        # Where a fault in the middle comes: behind at least one piece, if there are any.
        self._breaks_at = source.randint(1, max(1, len(pieces)))
        self._over = False

    async def receive(self) -> Sequence[Piece]:
        await self._pause()
        if self._over:
            return ()
        self._fail_before_the_first()
        if self._asked.fault in _LATE and self._asked.pieces >= self._breaks_at:
            await self._break()
        batch = self._pieces[: self._source.randint(1, 4)]
        if self._asked.fault in _LATE:
            batch = batch[: self._breaks_at - self._asked.pieces]
        return self._hand_out(batch)

    async def _pause(self) -> None:
        fault = self._asked.fault
        if fault == "deaf" or (fault == "slow" and not self._asked.pieces):
            await trio.sleep(100_000 if fault == "deaf" else self._source.uniform(0, 20))
        else:
            await trio.sleep(self._source.choice((0, 0, 0.05, 0.3)))

    def _fail_before_the_first(self) -> None:
        if self._asked.fault == "overloaded":
            raise ProviderError("overloaded", kind="unavailable")
        if self._asked.fault == "empty":
            raise ProviderError("it ended without a word", kind="broken")

    async def _break(self) -> None:
        match self._asked.fault:
            case "stall":
                await trio.sleep_forever()
            case "garbage":
                raise ProviderError("what it sent cannot be read", kind="malformed")
            case "cut":
                raise ProviderError("it is overloaded, and says so in the middle", kind="unavailable")
            case _:
                raise ProviderError("the connection was cut", kind="broken")

    def _hand_out(self, batch: list[str]) -> list[Piece]:
        asked = self._asked
        asked.text += "".join(batch)
        asked.pieces += len(batch)
        del self._pieces[: len(batch)]
        pieces: list[Piece] = [TextPiece(text) for text in batch]
        if not self._pieces and asked.fault not in _LATE:
            self._over = True
            pieces.append(FinishPiece("stop"))
            if self._source.random() < 0.8:
                asked.usage = Usage("reported", self._source.randint(1, 999), asked.pieces)
                pieces.append(UsagePiece(asked.usage))
        return pieces


def question_of(request: Request) -> str:
    """What is to be answered: the last thing that a person said."""
    return next(text_of(message.parts) for message in reversed(request.messages) if message.role == "user")


def _turn_away(asked: Asked, source: random.Random) -> None:
    match asked.fault:
        case "reset":
            raise ProviderError("the connection was reset", kind="unavailable")
        case "error":
            raise ProviderError("the upstream answered 500", kind="unavailable")
        case "throttled":
            raise ProviderError("slow down", kind="throttled", retry_after=source.choice((None, 0.2, 3.0, 100.0)))
        case "refused":
            raise ProviderError("it does not want to", kind="refused")
        case _:
            pass
