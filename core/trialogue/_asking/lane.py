"""A lane: how much may be asked of one provider at a time and in a minute, and the line of those who wait for it.

The line is fair among owners: each who waits has one turn before anybody has the next, and among an owner's own the first
who came is the first who goes. Nobody is turned away for waiting but where the line is too long. There is no task behind
it: whoever is first in the line wakes when there is room, or when enough of a minute has passed.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

import msgspec
import trio
from trio.lowlevel import ParkingLot

from trialogue._facts.errors import ProviderError


class LaneLimits(msgspec.Struct, frozen=True):
    """What one process may ask of one provider; 0 is no bound. A minute's worth may go at once, and comes back evenly."""

    concurrency: int = 0
    requests_per_minute: int = 0
    #: Of input and output together: as estimated when it is asked, and set right when it is known.
    tokens_per_minute: int = 0


class LaneStatistics(msgspec.Struct, frozen=True):
    """Turns that are being used, and those that wait; how many had to wait ever, and how long together, in seconds."""

    running: int
    waiting: int
    waited: int
    waited_seconds: float


class Lane:
    """One provider's. ``most_waiting`` bounds the line."""

    def __init__(
        self,
        provider: str,
        limits: LaneLimits = LaneLimits(),  # noqa: B008 - frozen
        most_waiting: int = 1000,
        clock: Callable[[], float] = trio.current_time,
    ) -> None:
        self.provider = provider
        self.limits = limits
        self._most_waiting = most_waiting
        self._clock = clock
        self._requests = _Bucket(limits.requests_per_minute, clock)
        self._tokens = _Bucket(limits.tokens_per_minute, clock)
        # Those who wait, by owner: the first owner's first one is next.
        self._line: dict[str, deque[Turn]] = {}
        self._running = self._waiting = self._waited = 0
        self._waited_seconds = 0.0

    def __repr__(self) -> str:
        return f"<Lane {self.provider} running={self._running} waiting={self._waiting}>"

    def ask(self, owner: str, tokens: int) -> Turn:
        """A place in the line, which may be served at once; ``leave`` it in the end, whatever came of it.

        Raises ``ProviderError`` (throttled) when the line is too long.
        """
        if self._waiting >= self._most_waiting:
            raise ProviderError(
                f"{self._waiting} answers wait for {self.provider!r} already (provider_waiting): try again later",
                kind="throttled",
                retry_after=10,
            )
        turn = Turn(self, owner, tokens, self._clock())
        self._line.setdefault(owner, deque()).append(turn)
        self._waiting += 1
        self.serve()
        return turn

    def first(self) -> Turn | None:
        """Whose turn is next."""
        return next((turns[0] for turns in self._line.values()), None)

    def delay(self, tokens: int) -> float:
        """Seconds until so much may be asked; infinite while all places are taken."""
        limits = self.limits
        if limits.concurrency and self._running >= limits.concurrency:
            return math.inf
        return max(self._requests.delay(1), self._tokens.delay(tokens))

    def serve(self) -> None:
        """Let go whoever may go, and wake the next one, to wait for the time that is left."""
        while (turn := self.first()) is not None and not self.delay(turn.tokens):
            self._step_out(turn)
            # Its owner's next one stands behind those of the others.
            if turn.owner in self._line:
                self._line[turn.owner] = self._line.pop(turn.owner)
            self._requests.take(1)
            self._tokens.take(turn.tokens)
            self._running += 1
            turn.served = True
            waited = self._clock() - turn.since
            self._waited += waited > 0
            self._waited_seconds += waited
            turn.wake.unpark()
        if turn is not None:
            turn.wake.unpark()

    def leave(self, turn: Turn, tokens: int | None) -> None:
        """A turn is over, or was given up; it came to so many ``tokens``, where that is known."""
        if turn.served:
            self._running -= 1
            if tokens is not None:
                self._tokens.take(tokens - turn.tokens)
        else:
            self._step_out(turn)
        self.serve()

    def _step_out(self, turn: Turn) -> None:
        turns = self._line[turn.owner]
        turns.remove(turn)
        self._waiting -= 1
        if not turns:
            del self._line[turn.owner]

    def statistics(self) -> LaneStatistics:
        """Counts for the operator."""
        return LaneStatistics(self._running, self._waiting, self._waited, self._waited_seconds)


class Turn:
    """A place in a lane's line, and then in the lane."""

    __slots__ = ("_lane", "owner", "served", "since", "tokens", "wake")

    def __init__(self, lane: Lane, owner: str, tokens: int, since: float) -> None:
        self.owner = owner
        self.tokens = tokens
        #: Since when it waits.
        self.since = since
        #: Whether it may go.
        self.served = False
        self.wake = ParkingLot()
        self._lane = lane

    def __repr__(self) -> str:
        return f"<Turn {self.owner} tokens={self.tokens} served={self.served}>"

    async def wait(self) -> None:
        """Wait until it is served. Its place stays when the wait is cancelled, and it may wait again."""
        while not self.served:
            is_first = self._lane.first() is self
            with trio.move_on_after(self._lane.delay(self.tokens) if is_first else math.inf):
                await self.wake.park()
            self._lane.serve()

    def leave(self, tokens: int | None = None) -> None:
        """Give it back. ``tokens`` is what it came to, ``None`` if nobody knows."""
        self._lane.leave(self, tokens)


class _Bucket:
    """So much a minute; without a number, without end."""

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self._rate = per_minute / 60
        self._most = float(per_minute)
        self._level = self._most
        self._clock = clock
        self._as_of = clock() if per_minute else 0.0

    def delay(self, amount: int) -> float:
        """Seconds until ``amount`` is in it; what is more than ever fits goes when it is full."""
        if not self._rate:
            return 0.0
        self._fill()
        missing = min(amount, self._most) - self._level
        # What a float loses on the way must not make somebody wait for nothing, again and again.
        return missing / self._rate if missing > 1e-6 else 0.0

    def take(self, amount: int) -> None:
        """Take it out, even where that leaves less than nothing; what was taken in vain is put back as a negative one."""
        if self._rate:
            self._fill()
            self._level = min(self._level - amount, self._most)

    def _fill(self) -> None:
        now = self._clock()
        self._level = min(self._level + (now - self._as_of) * self._rate, self._most)
        self._as_of = now
