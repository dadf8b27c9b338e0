"""What is seen of one process, for as long as it serves."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import trio

from trialogue import Observer
from trialogue_server._http.call import Call
from trialogue_server._seeing.lag import Lag
from trialogue_server._seeing.requests import Requests
from trialogue_server._seeing.telemetry import Telemetry, open_telemetry


class Answered(Protocol):
    """To be called once a request is answered; with 0 when its client left before that."""

    def __call__(self, status: int, *, streamed: bool = False) -> None: ...


class Seeing:
    """The figures that are nobody else's, and what is sent elsewhere. Without ``open_seeing`` nothing watches the loop."""

    def __init__(self, telemetry: Telemetry = Telemetry()) -> None:  # noqa: B008 - immutable
        self.lag = Lag()
        self.requests = Requests()
        self._telemetry = telemetry

    def __repr__(self) -> str:
        return f"<Seeing {self.lag!r} {self.requests!r}>"

    @property
    def observers(self) -> Sequence[Observer]:
        """Those who look on at the engine."""
        return self._telemetry.observers

    def begin(self, call: Call, *, joins: bool = False) -> Answered:
        """A request begins; ``joins``: the trace that it names is to be believed."""
        tracing, instruments = self._telemetry
        # What machines ask every few seconds is in no trace.
        span = tracing.begin(call, joins=joins) if tracing is not None and not call.path.endswith(_OFTEN) else None

        def answered(status: int, *, streamed: bool = False) -> None:
            self.requests.note(call, status, streamed=streamed)
            if instruments is not None and not streamed:
                instruments.answered(call, status)
            if tracing is not None and span is not None:
                tracing.end(span, call, status)

        return answered


_OFTEN = ("/healthz", "/readyz", "/metrics")


@asynccontextmanager
async def open_seeing(environment: Mapping[str, str]) -> AsyncGenerator[Seeing]:
    """Watch the loop while the block lasts, and tell a collector what ``environment`` asks for."""
    async with open_telemetry(environment) as telemetry, trio.open_nursery() as nursery:
        seeing = Seeing(telemetry)
        await nursery.start(seeing.lag.run)
        try:
            yield seeing
        finally:
            nursery.cancel_scope.cancel()
