"""The port to those who take part in turns: what a model is asked passes through their hands, and what came of it as well.

    before    sees each request to a model before it is made, and may change it or refuse it
    loop      answers in the place of the model, as it likes, and may ask the model while it does
    after     is told how a run has ended

A plugin declares them (see ``hookspecs``). Each is called in a scope of its own and degrades alone: how, is ``turning``'s.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Literal, TypeAlias

import msgspec

from trialogue._asking.provider import Request, ResponseStream
from trialogue._facts.values import Message

#: Asks the model that was to answer, with a request that may be another one.
Generate: TypeAlias = Callable[[Request], AbstractAsyncContextManager[ResponseStream]]


class TurnContext(msgspec.Struct, frozen=True):
    """Which run it is. ``message`` is the answer's id, ``model`` the full id of the model, ``generation`` counts from 1."""

    owner: str
    conversation: str
    run: str
    message: str
    model: str
    generation: int = 1


class TurnEnd(msgspec.Struct, frozen=True):
    """What came of a run: the answer as far as it was said, and why it failed, as a stable code."""

    outcome: Literal["completed", "incomplete", "failed"]
    answer: Message
    error: str | None = None


class TurnHook:
    """Takes part in turns. Does nothing here; it must not block, and has ``timeout`` seconds for each call."""

    #: For the operator: lower case letters, digits and hyphens.
    name: str
    timeout: float = 5.0

    async def before(self, turn: TurnContext, request: Request) -> Request:
        """The request to make. It is for the model that was asked for, whatever it says.

        Raises ``ForbiddenError`` to refuse it: the run then fails with that. Anything else that comes out, and a call that
        takes too long, leaves the request as it was.
        """
        return request

    async def after(self, turn: TurnContext, end: TurnEnd) -> None:
        """A run has ended by itself; one that somebody stopped is not told of. What comes out is logged."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


class TurnLoop(TurnHook):
    """Answers in the place of the model."""

    @abstractmethod
    def takes(self, turn: TurnContext, request: Request) -> bool:
        """Whether it does, this time. The first one of all that takes it has it; one that raises takes nothing."""

    @abstractmethod
    def open_turn(
        self, turn: TurnContext, request: Request, generate: Generate
    ) -> AbstractAsyncContextManager[ResponseStream]:
        """The answer, or the next part of it, as a provider's ``open_response`` would give it, to the same promises.

        Calls of tools are made as those of a model are, with approvals, and it is then opened again with their results in
        the request. ``generate`` asks the model; its pieces may be handed on. Usage is what it says, of all it asked.
        Whatever comes out that is no ``TrialogueError`` fails the run as a broken provider's does.
        """
