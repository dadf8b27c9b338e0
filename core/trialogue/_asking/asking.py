"""Asking providers, as one node does: with patience where that helps, and not at all where it does not.

    line        so much at a time, and in a minute, as the operator allows each provider (``lane``)
    breakers    a model, or all of a provider's, that failed too often of late is left alone for a while (``circuits``)
    retries     what was turned away and may pass is asked again, while nothing of an answer was heard (``backoff``)
    watch       silence before the first piece and between two has its bounds

An answer of which a piece was handed out is never asked for again here; whether and how it is gone on with is decided by
whoever writes it (``_runs.failover``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from itertools import count
from random import Random
from typing import Literal, NamedTuple, TypeAlias, TypeVar, cast

import msgspec
import trio

from trialogue._asking.backoff import Backoff
from trialogue._asking.breaker import BreakerLimits, BreakerState
from trialogue._asking.circuits import Circuits, ModelStatistics
from trialogue._asking.estimates import CODE_POINTS_PER_TOKEN, estimate_request
from trialogue._asking.health import Health
from trialogue._asking.lane import Lane, LaneLimits, LaneStatistics, Turn
from trialogue._asking.provider import Piece, Provider, Request, ResponseStream, UsagePiece
from trialogue._facts.errors import ProviderError

T = TypeVar("T")

#: What an answer waits for: its turn at the provider, or the time to ask again.
Awaited: TypeAlias = Literal["turn", "retry"]

#: Failures before an answer has begun for which nobody charges.
TURNED_AWAY = ("throttled", "unavailable", "refused")
#: A wait shorter than this is nobody's concern.
NOTEWORTHY = 0.5


class AskingLimits(msgspec.Struct, frozen=True):
    """How providers are asked. Times in seconds."""

    #: Silence before the first piece of an answer after which it has failed; models may think for this long.
    first_token: float = 60.0
    backoff: Backoff = Backoff()
    breaker: BreakerLimits = BreakerLimits()
    #: By provider; without an entry nothing is bounded.
    lanes: Mapping[str, LaneLimits] = {}
    #: How many answers may wait for one provider, and how long each.
    most_waiting: int = 1000
    wait: float = 300.0


class ProviderStatistics(msgspec.Struct, frozen=True):
    """One provider's line and breaker, and its models as far as they are remembered."""

    lane: LaneStatistics
    breaker: BreakerState
    models: dict[str, ModelStatistics]


class Question:
    """One request to one model, and what is known of its answer."""

    def __init__(self, owner: str, model: str, provider: Provider, request: Request, last: float) -> None:
        self.owner = owner
        #: The full id.
        self.model = model
        self.provider = provider
        self.request = request
        #: Trio's time at which nobody waits for it any more.
        self.last = last
        #: Its tokens: at first the most it may come to, in the end what it came to, if whoever listens says so.
        self.tokens: int = estimate_request(request) + (request.settings.max_tokens or 0)
        #: The upstream took the request, and may charge for it.
        self.taken = False
        #: The answer has begun.
        self.begun = False
        #: What was heard of it before that: usage.
        self.heard: list[Piece] = []

    def settle(self, characters: int) -> None:
        """The answer came to so many code points."""
        self.tokens = estimate_request(self.request) + characters // CODE_POINTS_PER_TOKEN

    def __repr__(self) -> str:
        return f"<Question {self.model} tokens={self.tokens} taken={self.taken} begun={self.begun}>"


class Answering(NamedTuple):
    """An answer that has begun. Whoever hears more of it moves the deadline of ``watch``."""

    first: Sequence[Piece]
    stream: ResponseStream
    watch: trio.CancelScope


class Asking:
    """All that a node asks. ``now`` tells the time, ``random`` is for waits."""

    def __init__(self, limits: AskingLimits, stall: float, now: Callable[[], datetime], random: Random) -> None:
        self.circuits: Circuits = Circuits(limits.breaker, now)
        self._limits = limits
        self._stall = stall
        self._random = random
        self._lanes: dict[str, Lane] = {}

    def __repr__(self) -> str:
        return f"<Asking {list(self._lanes.values())}>"

    async def ask(
        self,
        question: Question,
        listen: Callable[[Answering], Awaitable[T]],
        tell: Callable[[Awaited, float | None], None],
    ) -> T | None:
        """What ``listen`` makes of the answer; ``None`` when the time for it is over.

        ``tell`` hears what is waited for, if that takes long, and how many seconds, if that is known. Raises
        ``ProviderError``, and what ``listen`` raises.
        """
        for attempt in count(1):
            turn = await self._turn(question, tell)
            if turn is None:
                return None
            try:
                return await self._hear(question, listen)
            except ProviderError as error:
                if not question.begun and error.kind in TURNED_AWAY:
                    question.taken = False
                pause = None if question.begun else self._limits.backoff.pause(attempt, error, self._random)
                if pause is None or trio.current_time() + pause >= question.last:
                    raise
            finally:
                turn.leave(question.tokens if question.taken else 0)
            self.circuits.of(question.model).retried += 1
            if pause > NOTEWORTHY:
                tell("retry", pause)
            await trio.sleep(pause)
        raise AssertionError("counting ends never")

    def health(self, model: str) -> Health:
        """How a model does."""
        return self.circuits.health(model)

    def statistics(self) -> dict[str, ProviderStatistics]:
        """Counts for the operator, by provider."""
        return {
            name: ProviderStatistics(
                lane.statistics(), self.circuits.shared(name).state, self.circuits.statistics(name)
            )
            for name, lane in self._lanes.items()
        }

    async def _turn(self, question: Question, tell: Callable[[Awaited, float | None], None]) -> Turn | None:
        """A place in the provider's lane; ``None`` when the time is over before there is one."""
        self.circuits.must_not_rest(question.model)
        turn = self._lane(question.provider.name).ask(question.owner, question.tokens)
        try:
            until = min(turn.since + self._limits.wait, question.last)
            with trio.move_on_at(min(turn.since + NOTEWORTHY, until)):
                await turn.wait()
            if not turn.served:
                tell("turn", None)
                with trio.move_on_at(until):
                    await turn.wait()
            if turn.served:
                # Much may have failed while it waited.
                self.circuits.must_not_rest(question.model)
                return turn
            if until < question.last:
                raise self._too_long(question)
        except BaseException:
            turn.leave(0)
            raise
        turn.leave(0)
        return None

    async def _hear(self, question: Question, listen: Callable[[Answering], Awaitable[T]]) -> T | None:
        question.taken, question.heard = False, []
        with self.circuits.outcome(question.model) as outcome:
            deadline = min(trio.current_time() + self._limits.first_token, question.last)
            with trio.CancelScope(deadline=deadline) as watch:
                try:
                    async with question.provider.open_response(question.request) as stream:
                        question.taken = True
                        first = await _first(stream, question.heard)
                        question.begun = True
                        outcome.began()
                        watch.deadline = min(trio.current_time() + self._stall, question.last)
                        return await listen(Answering(first, stream, watch))
                except BaseExceptionGroup as group:
                    sole = _sole(group)
                    if sole is group:
                        raise
                    raise sole from group
            if trio.current_time() < question.last:
                raise self._silence(question)
        return None

    def _silence(self, question: Question) -> ProviderError:
        seconds = self._stall if question.begun else self._limits.first_token
        name = question.provider.name
        return ProviderError(f"{name} sent nothing for {seconds:g} s. Try again, or another model.", kind="stalled")

    def _too_long(self, question: Question) -> ProviderError:
        return ProviderError(
            f"{question.provider.name} had no room for this within {self._limits.wait:g} s (provider_wait_seconds): "
            "try again later",
            kind="throttled",
        )

    def _lane(self, provider: str) -> Lane:
        if provider not in self._lanes:
            bounds = self._limits.lanes.get(provider, LaneLimits())
            self._lanes[provider] = Lane(provider, bounds, self._limits.most_waiting)
        return self._lanes[provider]


async def _first(stream: ResponseStream, heard: list[Piece]) -> Sequence[Piece]:
    """All up to the batch with which the answer begins; usage alone is none of it. Empty when it ends before that."""
    while batch := await stream.receive():
        if not all(isinstance(piece, UsagePiece) for piece in batch):
            return [*heard, *batch] if heard else batch
        heard.extend(batch)
    return heard


def _sole(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one error that a provider's nursery has wrapped; the group itself when there is more in it than errors."""
    if group.split(Exception)[1] is not None:
        return group
    first = group.exceptions[0]
    return _sole(cast("BaseExceptionGroup[BaseException]", first)) if isinstance(first, BaseExceptionGroup) else first
