"""Calling those who take part in turns, so that one that raises or hangs harms nobody but itself.

Each call has a deadline. One that failed three times on end is left alone for a minute, so that one that hangs does not cost
every answer its deadline. A loop stands in the place of the provider, and has a circuit breaker of its own as one.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

import trio
from msgspec.structs import replace

from trialogue._asking.provider import HandlePiece, Piece, Provider, Request, ResponseStream
from trialogue._facts.errors import ForbiddenError, ProviderError, TrialogueError
from trialogue._facts.values import Model
from trialogue._runs.turns import TurnContext, TurnEnd, TurnHook, TurnLoop
from trialogue._supervision.child import unwrap

T = TypeVar("T")

#: Failures on end after which a hook is left alone, and for how many seconds.
MOST, REST = 3, 60.0

_log = logging.getLogger("trialogue.turns")


class Turns:
    """All who take part in the turns of one node, in the order in which they are asked."""

    def __init__(self, hooks: Sequence[TurnHook] = ()) -> None:
        self._hooks = tuple(hooks)
        # Failures on end, and until when it is left alone.
        self._failures: dict[TurnHook, int] = {}
        self._resting: dict[TurnHook, float] = {}

    def __repr__(self) -> str:
        return f"<Turns {list(self._hooks)}>"

    def __bool__(self) -> bool:
        return bool(self._hooks)

    async def before(self, turn: TurnContext, request: Request) -> Request:
        """The request that is to be made. Raises ``ForbiddenError``."""
        for hook in self._hooks:
            changed = await self._call(hook, lambda hook=hook, asked=request: hook.before(turn, asked))  # type: ignore[misc]  # each its own
            if changed is not None and not isinstance(changed, Request):  # pyright: ignore[reportUnnecessaryIsInstance] - a plugin's
                self._failed(hook, f"before() gave a {type(changed).__name__} and no Request")
            elif changed is not None:
                request = replace(changed, model=request.model)
        return request

    async def after(self, turn: TurnContext, end: TurnEnd) -> None:
        """Tell all of them."""
        for hook in self._hooks:
            try:
                await self._call(hook, lambda hook=hook: hook.after(turn, end))  # type: ignore[misc]  # each its own
            except ForbiddenError as error:
                self._failed(hook, error)

    def provider(self, turn: TurnContext, request: Request, provider: Provider) -> Provider:
        """Who answers: a loop that takes it, or ``provider``."""
        for hook in self._hooks:
            if isinstance(hook, TurnLoop) and self._takes(hook, turn, request):
                return Looping(hook, turn, provider)
        return provider

    def _takes(self, loop: TurnLoop, turn: TurnContext, request: Request) -> bool:
        try:
            return loop.takes(turn, request)
        except Exception as error:
            self._failed(loop, error)
            return False

    async def _call(self, hook: TurnHook, call: Callable[[], Awaitable[T]]) -> T | None:
        if trio.current_time() < self._resting.get(hook, 0):
            return None
        try:
            with trio.fail_after(hook.timeout):
                result = await call()
        except ForbiddenError:
            raise
        except Exception as error:
            self._failed(hook, error)
            return None
        self._failures.pop(hook, None)
        return result

    def _failed(self, hook: TurnHook, error: Exception | str) -> None:
        _log.error("%r failed, and is gone on without: %r", hook, error, exc_info=isinstance(error, Exception))
        self._failures[hook] = self._failures.get(hook, 0) + 1
        if self._failures[hook] >= MOST:
            self._resting[hook] = trio.current_time() + REST
            _log.error("%r failed %d times on end, and is left alone for %g s", hook, self._failures[hook], REST)


class Looping(Provider):
    """A loop in the place of ``provider``."""

    def __init__(self, loop: TurnLoop, turn: TurnContext, provider: Provider) -> None:
        self.name = f"turn-{loop.name}"
        #: For its breaker: not the model's, which is not to suffer for it.
        self.model: str = f"{self.name}:{turn.model}"
        self._loop = loop
        self._turn = turn
        self._provider = provider

    def __repr__(self) -> str:
        return f"<Looping {self._loop!r} before {self._provider!r}>"

    async def models(self) -> Sequence[Model]:
        return await self._provider.models()

    @asynccontextmanager
    async def open_response(self, request: Request) -> AsyncGenerator[ResponseStream]:
        try:
            async with AsyncExitStack() as stack:
                yield _Heard(self._loop, await self._opened(stack, request))
        except BaseExceptionGroup as group:
            # A nursery of the loop's wraps what is raised within it, the provider's and ours as well.
            single = unwrap(group)
            if not isinstance(single, Exception):
                raise
            raise single from single.__cause__

    async def _opened(self, stack: AsyncExitStack, request: Request) -> ResponseStream:
        try:
            opened = self._loop.open_turn(self._turn, request, self._provider.open_response)
            return await stack.enter_async_context(opened)
        except Exception as error:
            raise _told(self._loop, error) from error


class _Heard(ResponseStream):
    """What a loop says. What an upstream keeps of it is not passed on: whoever took that up would pass the loop by."""

    def __init__(self, loop: TurnLoop, stream: ResponseStream) -> None:
        self._loop = loop
        self._stream = stream

    async def receive(self) -> Sequence[Piece]:
        try:
            while batch := await self._stream.receive():
                if passed := [piece for piece in batch if not isinstance(piece, HandlePiece)]:
                    return passed
        except Exception as error:
            raise _told(self._loop, error) from error
        return ()


def _told(loop: TurnLoop, error: Exception) -> TrialogueError:
    """What became of a loop; alone, if a nursery of its own wrapped it."""
    single = unwrap(error)
    if isinstance(single, TrialogueError):
        return single
    _log.error("%r failed", loop, exc_info=error)
    return ProviderError(f"the turn loop {loop.name!r} failed: see the log", kind="broken")
