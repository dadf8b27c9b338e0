"""Turns at something that costs: for each holder one at a time, and so many for all of them together."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio


class Turns:
    """Whoever holds one waits for no more than one turn of each other holder, however many others want theirs."""

    def __init__(self, at_once: int) -> None:
        self._limiter = trio.CapacityLimiter(at_once)
        # holder -> whose turn it is, and who waits; only those are here.
        self._lines: dict[str, trio.Lock] = {}

    def __repr__(self) -> str:
        return f"<Turns holders={len(self._lines)} taken={self._limiter.borrowed_tokens}>"

    @asynccontextmanager
    async def of(self, holder: str) -> AsyncGenerator[None]:
        """One turn of ``holder``, for as long as the block lasts."""
        line = self._lines.setdefault(holder, trio.Lock())
        try:
            # In its own line first: in the common one each holder stands once.
            async with line, self._limiter:
                yield
        finally:
            state = line.statistics()
            if not state.locked and not state.tasks_waiting and self._lines.get(holder) is line:
                del self._lines[holder]
