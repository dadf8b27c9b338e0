"""What is seen of one process, for as long as it serves."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio

from trialogue_server._seeing._lag import Lag
from trialogue_server._seeing._requests import Requests


class Seeing:
    """The figures that are nobody else's. Without ``open_seeing`` nothing watches the loop."""

    def __init__(self) -> None:
        self.lag = Lag()
        self.requests = Requests()

    def __repr__(self) -> str:
        return f"<Seeing {self.lag!r} {self.requests!r}>"


@asynccontextmanager
async def open_seeing() -> AsyncGenerator[Seeing]:
    """Watch the loop while the block lasts."""
    seeing = Seeing()
    async with trio.open_nursery() as nursery:
        await nursery.start(seeing.lag.run)
        try:
            yield seeing
        finally:
            nursery.cancel_scope.cancel()
