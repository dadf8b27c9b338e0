"""Responses in progress, spread over several clients.

The HTTP client's pool looks at every connection it has whenever a request begins or ends, so that a thousand open
responses would make each further request cost several times as much as the first. A lane is a client that takes a bounded
number of responses; there are as many lanes as are needed, and those that nobody uses go.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    import openai

#: Up to here the pool's looking around costs less than a tenth of a request.
_MOST_PER_LANE = 64


class Lane:
    """One client and how many responses it has in progress."""

    def __init__(self, sdk: openai.AsyncOpenAI) -> None:
        self.sdk = sdk
        self.busy = 0


class Lanes:
    """The first lane stays open while the provider is, so that its connections can be used again."""

    def __init__(self, open_sdk: Callable[[], openai.AsyncOpenAI]) -> None:
        self._open_sdk = open_sdk
        self._lanes: list[Lane] = []
        self._opening = trio.Lock()

    async def first(self) -> openai.AsyncOpenAI:
        """Some client; the first one is opened in a thread, where the import does not hold up the loop."""
        if not self._lanes:
            async with self._opening:
                if not self._lanes:
                    self._lanes.append(Lane(await trio.to_thread.run_sync(self._open_sdk)))
        return self._lanes[0].sdk

    @asynccontextmanager
    async def use(self) -> AsyncGenerator[openai.AsyncOpenAI]:
        """A client with room for one more response, until the block is left."""
        await self.first()
        lane = self._with_room()
        lane.busy += 1
        try:
            yield lane.sdk
        finally:
            lane.busy -= 1
            if not lane.busy and lane is not self._lanes[0]:
                self._lanes.remove(lane)
                with trio.CancelScope(shield=True, deadline=trio.current_time() + 0.2):
                    await lane.sdk.close()

    async def aclose(self) -> None:
        for lane in self._lanes:
            await lane.sdk.close()

    def _with_room(self) -> Lane:
        for lane in self._lanes:
            if lane.busy < _MOST_PER_LANE:
                return lane
        self._lanes.append(Lane(self._open_sdk()))
        return self._lanes[-1]

    def __repr__(self) -> str:
        return f"<Lanes {[lane.busy for lane in self._lanes]}>"
