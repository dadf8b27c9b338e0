"""One run: the task in which an answer is written, and its end in exactly one terminal event.

A run is a task of its own in a shard, with a scope of its own, so that it alone can be stopped. What it does is the loop's
business (``loop``), one call of the model is that of ``generation``; here is how it begins, and how it ends however that
may be.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import cast

import trio

from trialogue._actors.activation import Activation
from trialogue._actors.node import Node
from trialogue._deciding.live_run import LiveRun
from trialogue._deciding.running import close, fail, finish
from trialogue._deciding.saying import advance
from trialogue._facts.errors import ProviderError, TrialogueError
from trialogue._facts.events import Event
from trialogue._facts.run_events import RunIncomplete
from trialogue._facts.values import Failure
from trialogue._runs.failover import find_successor
from trialogue._runs.kept import LostError
from trialogue._runs.loop import Loop
from trialogue._runs.repairing import DOES_NOT_FIT, find_repair
from trialogue._runs.turns import TurnContext, TurnEnd
from trialogue._runs.writer import Outcome, Writer

#: Seconds for a provider to be told that a response is not wanted any more. Nobody waits for it.
DISCARDING = 10.0

_RETRYABLE = ("throttled", "unavailable", "stalled", "broken")
_log = logging.getLogger("trialogue.run")


class Run:
    """The task behind a ``LiveRun``. ``ended`` is set when nothing of it is left, the provider's socket included."""

    def __init__(self, node: Node, activation: Activation, live: LiveRun) -> None:
        self.id: str = live.run
        self.scope: trio.CancelScope = trio.CancelScope()
        self.ended: trio.Event = trio.Event()
        #: It was taken over, and what the provider kept of it is gone: whoever took it over begins anew.
        self.lost: bool = False
        self._node = node
        self._activation = activation
        self._writer = Writer(node, activation, live)
        self._loop = Loop(self._writer)

    def __repr__(self) -> str:
        writer = self._writer
        return f"<Run {self.id} {writer.model} characters={writer.characters} ended={self.ended.is_set()}>"

    @property
    def live(self) -> LiveRun | None:
        """The run as the log has it; ``None`` once it is over there."""
        return self._writer.live

    def writes(self, activation: Activation | None, live: LiveRun | None) -> bool:
        """Whether it is the task behind ``live``. One of an earlier activation is not, though it may have the same id: what
        waits has its run's id already, and may have been taken in a flush that was then fenced off.
        """
        return live is not None and live.run == self.id and activation is self._activation

    async def execute(self) -> None:
        """Write the answer. Never raises but ``Cancelled``."""
        told: tuple[TurnContext, TurnEnd] | None = None
        try:
            with self.scope:
                outcome = await self._attempt()
                told = self._told(outcome)
                self._end(outcome, await self._succession(outcome))
        finally:
            self.ended.set()
        await self._discard()
        if told is not None:
            await self._node.turns.after(*told)

    def _told(self, outcome: Outcome | None) -> tuple[TurnContext, TurnEnd] | None:
        """What those who take part in its turn are told of its end; nothing where nobody does, or it did not end itself."""
        live, answer = self.live, self._activation.answer
        if not self._node.turns or live is None or answer is None or outcome is None:
            return None
        turn, said = self._writer.turn(live), answer.message()
        match outcome:
            case Failure():
                return turn, TurnEnd("failed", said, outcome.code)
            case RunIncomplete() | "length" | "content_filter":
                return turn, TurnEnd("incomplete", said)
            case _:
                return turn, TurnEnd("completed", said)

    async def _discard(self) -> None:
        """Let a response that its provider keeps be given up, when it was not read to its end and nobody will."""
        generation, activation = self._loop.generation, self._activation
        handle = self._writer.kept if generation is None else generation.handle
        if handle is None or activation.gone is not None:
            return  # Whoever owns the conversation now may be reading it.
        provider, name = self._node.catalog.provider(self._writer.model)
        with trio.move_on_after(DISCARDING):
            try:
                await provider.discard(name, handle)
            except Exception as error:
                _log.warning("%s goes on with a response that nobody wants: %s", provider.name, error)

    async def _attempt(self) -> Outcome | None:
        try:
            return await self._loop.go()
        except trio.Cancelled:
            raise
        except LostError:
            self.lost = True
            return None
        except BaseExceptionGroup as group:
            # A provider's nursery wraps what it raises; the one error in it is what we want to name.
            rest = group.split(Exception)[1]
            if rest is not None:
                raise
            return self._failed(_first(group))
        except Exception as error:
            return self._failed(error)

    def _failed(self, error: BaseException) -> Failure:
        generation = self._loop.generation
        if not (generation is not None and generation.opened) and self.live is not None:
            self._activation.request = None  # Refused: nobody will charge for it.
        if not isinstance(error, TrialogueError):
            ids = {"conversation": self._activation.id, "run": self.id}
            _log.error("a run failed for a reason that is ours or a plugin's", exc_info=error, extra=ids)
        return _failure(error)

    async def _succession(self, outcome: Outcome | None) -> Sequence[Event] | None:
        """If it failed and another run may do better: what ends this one and starts that."""
        generation = self._loop.generation
        if not isinstance(outcome, Failure) or generation is None:
            return None
        if outcome.code == DOES_NOT_FIT:
            return find_repair(self._writer, outcome)
        return await find_successor(self._writer, outcome, generation.request, begun=generation.begun)

    def _end(self, outcome: Outcome | None, succession: Sequence[Event] | None) -> None:
        live = self.live
        if live is None or outcome is None:
            return
        if succession is not None:
            self._activation.append(succession)
            return
        self._activation.append(_closing(live, outcome, self._node, self._activation.asked))
        if not self._node.held:
            self._activation.append(advance(self._activation.state, self._node.now()))


def _closing(live: LiveRun, outcome: Outcome, node: Node, asked: int) -> list[Event]:
    match outcome:
        case Failure():
            return fail(live, outcome, node.now(), asked)
        case RunIncomplete():
            return close(live, outcome, asked)
        case _:
            return finish(live, outcome, node.now(), asked)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error = group.exceptions[0]
    return _first(cast("BaseExceptionGroup[BaseException]", error)) if isinstance(error, BaseExceptionGroup) else error


def _failure(error: BaseException) -> Failure:
    match error:
        case ProviderError():
            return Failure(f"provider_{error.kind}", error.detail, error.kind in _RETRYABLE, error.retry_after)
        case TrialogueError():
            return Failure(error.code, error.detail, error.retry_after is not None, error.retry_after)
        case _:
            return Failure("internal", "Something went wrong here, not with your request. Try again.", True)
