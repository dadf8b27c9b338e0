"""A look at something that costs: one at a time, however many ask, and nobody waits for more than the next one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from trialogue import TrialogueError


class SharedLook:
    """Looks by ``look``. Whoever asks during one takes the result of the one after it, together with all others."""

    def __init__(self, look: Callable[[], Awaitable[object]]) -> None:
        self._look = look
        self._turn = trio.Lock()
        # Looks that were begun, and which of them was the last to come to its end. One may be cancelled.
        self._begun = 0
        self._ended = 0
        self._error: TrialogueError | None = None

    def __repr__(self) -> str:
        return f"<SharedLook begun={self._begun} waiting={self._turn.statistics().tasks_waiting}>"

    async def __call__(self) -> None:
        """Look, or share a look that begins later than this. Raises what it raised."""
        before = self._begun
        async with self._turn:
            if self._ended <= before:
                await self._anew()
            if self._error is not None:
                raise self._error

    async def _anew(self) -> None:
        self._begun += 1
        try:
            await self._look()
            self._error = None
        except TrialogueError as error:
            self._error = error
        self._ended = self._begun
