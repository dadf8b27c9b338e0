"""The provider: a plan of tokens and the moments at which each is due, and whatever trouble was asked for."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import chain, islice
from typing import NoReturn

import trio

from trialogue import (
    FinishPiece,
    FinishReason,
    Model,
    Piece,
    Prices,
    Provider,
    ProviderError,
    ReasoningPiece,
    Request,
    ResponseStream,
    Round,
    TextPiece,
    ToolCallPiece,
    Usage,
    UsagePiece,
    rounds_of,
    text_of,
)
from trialogue_echo._directives import parse
from trialogue_echo._text import answer, report, summary, thought, title, tokens_of

#: One batch holds no more, so that an endless answer at full speed still comes in batches.
_LARGEST_BATCH = 256


class EchoProvider(Provider):
    """Answers from the request alone: the same request, the same answer."""

    name = "echo"

    async def models(self) -> Sequence[Model]:
        await trio.lowlevel.checkpoint()
        description = "Repeats what you say; no key, no network."
        return [
            Model("echo:echo", "echo", "Echo", 32768, ("continues", "reasoning", "tools"), description, Prices(0, 0))
        ]

    @asynccontextmanager
    async def open_response(self, request: Request) -> AsyncGenerator[ResponseStream]:
        await trio.lowlevel.checkpoint()
        if request.model != "echo":
            raise ProviderError(f"echo has no model {request.model!r}; use 'echo:echo'", kind="refused")
        yield _EchoStream(request)

    def __repr__(self) -> str:
        return "<EchoProvider>"


def _rounds(request: Request) -> list[Round]:
    """The calls that were made for this answer, with their results."""
    last = request.messages[-1] if request.messages else None
    return [] if last is None or last.role != "assistant" else rounds_of(last.parts)


class _EchoStream(ResponseStream):
    def __init__(self, request: Request) -> None:
        prompt = next((text_of(m.parts) for m in reversed(request.messages) if m.role == "user"), "")
        self._directives, said = parse(prompt)
        self._limit = request.settings.max_tokens
        #: The answer's tokens that are still to come.
        self._tokens = self._text(request, said)
        #: Calls to be made when the text is over.
        self._calls = self._to_call(request)
        #: How many tokens of the whole answer are out, those of the prefix included.
        self._position = 0
        if request.prefix:
            self._skip(request.prefix)
        self._thoughts = thought(0 if request.prefix else self._directives.reason)
        self._resumed_at = self._position if request.prefix else -1
        self._asked = sum(len(tokens_of(text_of(message.parts))) for message in request.messages)
        self._asked += len(tokens_of(request.system or ""))
        #: Tokens sent in this response, and those of them that were thoughts.
        self._sent = self._thought = 0
        self._first_due = trio.current_time() + self._directives.delay
        self._over = False
        self._fail_where_asked()

    def _text(self, request: Request, said: str) -> Iterator[str]:
        """What is said in this generation: before tools are called next to nothing, and after that what they said."""
        if request.purpose == "title":
            return title(said)
        if request.purpose == "summary":
            return summary(said)
        if self._directives.call is None or request.tool_choice == "none":
            return answer(self._directives, said)
        results = [part.text for one in _rounds(request) for part in one.results]
        if len(_rounds(request)) < self._directives.rounds:
            return iter(tokens_of("I shall see." if not results else " And once more."))
        return report(results)

    def _to_call(self, request: Request) -> Sequence[ToolCallPiece]:
        call = self._directives.call
        if call is None or request.tool_choice == "none" or len(_rounds(request)) >= self._directives.rounds:
            return ()
        name, _, arguments = call.partition(":")
        return (ToolCallPiece(name, arguments),) * min(self._directives.calls, _LARGEST_BATCH)

    async def receive(self) -> Sequence[Piece]:
        await trio.lowlevel.checkpoint()
        if self._over:
            return ()
        self._fail_where_asked()
        if self._directives.stall is not None and self._reached(self._directives.stall):
            await trio.sleep_forever()
        return self._take(await self._due())

    async def _due(self) -> int:
        """How many more tokens may go; waits until it is at least one."""
        rate = self._directives.rate
        await trio.sleep_until(self._first_due + (self._sent / rate if rate else 0))
        if not rate:
            return _LARGEST_BATCH
        elapsed = trio.current_time() - self._first_due
        return min(_LARGEST_BATCH, max(1, int(elapsed * rate + 1e-6) + 1 - self._sent))

    def _take(self, due: int) -> Sequence[Piece]:
        """The next ``due`` pieces; fewer where a fault, the limit or the end comes first."""
        thoughts: list[Piece] = [ReasoningPiece(token) for token in islice(self._thoughts, due)]
        self._thought += len(thoughts)
        texts: list[Piece] = [TextPiece(token) for token in islice(self._tokens, self._room(due - len(thoughts)))]
        self._position += len(texts)
        self._sent += len(thoughts) + len(texts)
        pieces = thoughts + texts
        return pieces or self._end(self._directives.finish)

    def _room(self, wanted: int) -> int:
        """``wanted``, but not beyond the next fault; at the limit nothing, which ends the answer."""
        stops = [self._directives.stall, self._directives.fail, self._directives.garbage, self._directives.die]
        room = [stop - self._position for stop in stops if stop is not None and stop > self._resumed_at]
        if self._limit is not None:
            room.append(max(0, self._limit - self._sent))
        return min([wanted, *room])

    def _end(self, reason: FinishReason) -> Sequence[Piece]:
        self._over = True
        if self._limit is not None and self._sent >= self._limit and next(self._tokens, None) is not None:
            reason = "length"
        if reason == "stop" and self._calls:
            usage = Usage("reported", self._asked, self._sent, reasoning_tokens=self._thought or None)
            return (*self._calls, FinishPiece("tool_call"), UsagePiece(usage))
        usage = Usage("reported", self._asked, self._sent, reasoning_tokens=self._thought or None)
        return (FinishPiece(reason), UsagePiece(usage))

    def _reached(self, position: int) -> bool:
        """Whether a fault is due: its place is reached, and it is not one that lies behind us since the prefix."""
        return self._resumed_at < position <= self._position and not self._thinking()

    def _thinking(self) -> bool:
        return self._thought < self._directives.reason and self._resumed_at < 0

    def _fail_where_asked(self) -> None:
        directives = self._directives
        if directives.fail is not None and self._reached(directives.fail):
            self._fail(directives.kind, f"echo was asked to fail after {directives.fail} tokens")
        if directives.garbage is not None and self._reached(directives.garbage):
            self._fail("malformed", "echo was asked for garbage")
        if directives.die is not None and self._reached(directives.die):
            self._fail("broken", "echo was asked to end without having finished")

    def _fail(self, kind: str, detail: str) -> NoReturn:
        self._over = True
        raise ProviderError(detail, kind=kind, retry_after=self._directives.retry_after)

    def _skip(self, prefix: str) -> None:
        rest = prefix
        for token in self._tokens:
            if not (token.startswith(rest) or rest.startswith(token)):
                break
            if len(token) > len(rest):
                self._tokens = chain([token[len(rest) :]], self._tokens)
                return
            self._position += 1
            rest = rest[len(token) :]
            if not rest:
                return
        raise ProviderError(f"echo would not have begun with {prefix[-40:]!r}", kind="refused")
