"""Counts what each user holds open, so that one user cannot hold it all."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from trialogue import ThrottledError


class Slots:
    """At most ``limit`` of ``what`` at a time for each holder; ``setting`` is what the operator calls the limit."""

    def __init__(self, limit: int, setting: str, what: str = "streams") -> None:
        self._limit = limit
        self._setting = setting
        self._what = what
        self._held: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<Slots {self._setting} holders={len(self._held)} held={sum(self._held.values())}>"

    @contextmanager
    def hold(self, holder: str) -> Generator[None]:
        """One slot for as long as the block lasts. Raises ``ThrottledError``."""
        held = self._held.get(holder, 0)
        if held >= self._limit:
            detail = f"{held} {self._what} are open already ({self._setting}): close one first"
            raise ThrottledError(detail, retry_after=5.0)
        self._held[holder] = held + 1
        try:
            yield
        finally:
            self._release(holder)

    def _release(self, holder: str) -> None:
        left = self._held[holder] - 1
        if left:
            self._held[holder] = left
        else:
            # Only holders are remembered, so the table is no larger than what is open.
            del self._held[holder]

    def statistics(self) -> dict[str, int]:
        """Holders, and slots held by all of them."""
        return {"holders": len(self._held), "held": sum(self._held.values())}
