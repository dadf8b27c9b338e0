"""Watches how a node asks its providers, as they see it: who has failed too often is left alone, and turns are kept.

It knows nothing of breakers and lanes but what they promise, and it is lenient where the promise depends on what it cannot
see. What it finds ends the seed, as everything does.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import trio
from simulation.fold import require
from simulation.summaries import fault_of

from trialogue import Limits, Model, Piece, Provider, ProviderError, Request, ResponseStream, UsagePiece
from trialogue.testing import ScriptedProvider
from trialogue.testing._memory_rows import Row


class Watched(Provider):
    """``provider``, as one node asks it."""

    def __init__(
        self, provider: ScriptedProvider, limits: Limits, find: Callable[[str], None], rows: Mapping[str, Row]
    ) -> None:
        self.name = provider.name
        self._provider = provider
        self._limits = limits.asking
        self._find = find
        self._rows = rows
        # When requests failed that had not begun to be answered, and when others began or ended well.
        self._failures: deque[float] = deque()
        self._others: deque[float] = deque()
        self._alone_until = float("-inf")
        self._open = 0

    async def models(self) -> Sequence[Model]:
        return await self._provider.models()

    @asynccontextmanager
    async def open_response(self, request: Request) -> AsyncGenerator[ResponseStream]:
        fault = fault_of(request, self._rows)
        if fault is not None:
            self._find(fault)
        now = trio.current_time()
        if now < self._alone_until:
            self._find(f"{self.name} is asked at {now:g}, and was to be left alone until {self._alone_until:g}")
        most = self._limits.lanes[self.name].concurrency if self.name in self._limits.lanes else 0
        if most and self._open >= most:
            self._find(f"{self.name} is asked {self._open + 1} things at a time")
        self._open += 1
        try:
            async with self._provider.open_response(request) as stream:
                yield _WatchedStream(self, stream)
        except ProviderError as error:
            self._failed(error)
            raise
        finally:
            self._open -= 1

    def began(self) -> None:
        """It answers: whatever was before, nobody has to leave it alone now."""
        self._failures.clear()
        self._others.append(trio.current_time())

    def _failed(self, error: ProviderError) -> None:
        now, limits = trio.current_time(), self._limits.breaker
        if error.kind == "refused":
            self._others.append(now)
            return
        if now < self._alone_until:
            return  # It was asked before that was so, and what it says of that time is known.
        self._failures.append(now)
        for times in (self._failures, self._others):
            while times and times[0] <= now - limits.window:
                times.popleft()
        if len(self._failures) >= max(limits.failures, len(self._others)):
            self._alone_until = now + limits.rest
            self._failures.clear()


class _WatchedStream(ResponseStream):
    def __init__(self, watched: Watched, stream: ResponseStream) -> None:
        self._watched = watched
        self._stream = stream
        self._begun = False

    async def receive(self) -> Sequence[Piece]:
        batch = await self._stream.receive()
        if not self._begun and any(not isinstance(piece, UsagePiece) for piece in batch):
            self._begun = True
            self._watched.began()
        return batch


def judge_failovers(row: Row, limits: Limits) -> None:
    """Nobody goes on with an answer more often than is allowed. Raises ``Impossible``."""
    for seq in range(row.next_seq):
        event = json.loads(row.entries[seq].data)
        if event["type"] == "run.started" and event.get("cause") == "failover":
            require(len(event["before"]) <= limits.failovers, "gone on with once too often:", event)
