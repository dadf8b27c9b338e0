"""How a model does, as those who ask it see: from what became of what was asked of late, and from its breakers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

#: ``ok``: it answers. ``degraded``: some of what it is asked fails. ``down``: it is not asked at present. ``unknown``:
#: nobody has asked it lately.
HealthStatus: TypeAlias = Literal["ok", "degraded", "down", "unknown"]

#: Outcomes that tell how a model does now: the last ones, and not those of long ago.
_REMEMBERED, _LASTS = 20, 600.0
#: Of those, the share of failures from which on it is not well.
_UNWELL = 0.2


class Health(msgspec.Struct, frozen=True):
    """How a model does, since when, and why in words."""

    status: HealthStatus
    since: datetime | None = None
    reason: str | None = None


class Condition:
    """What is known of one model. ``clock`` counts seconds, ``now`` tells the time."""

    def __init__(self, clock: Callable[[], float], now: Callable[[], datetime]) -> None:
        self._clock = clock
        self._now = now
        # When, and what was wrong, if something was; the oldest first.
        self._outcomes: deque[tuple[float, str | None]] = deque(maxlen=_REMEMBERED)
        self._health = Health("unknown")

    def __repr__(self) -> str:
        return f"<Condition {self._health.status} outcomes={len(self._outcomes)}>"

    def note(self, failure: str | None) -> None:
        """Something that was asked went well, or failed for this reason."""
        self._outcomes.append((self._clock(), failure))

    @property
    def last_failure(self) -> str | None:
        """What was wrong the last time."""
        return next((failure for _, failure in reversed(self._outcomes) if failure is not None), None)

    def health(self, resting: float = 0.0) -> Health:
        """How it does, when it is not asked for another ``resting`` seconds."""
        status, reason = self._judge(resting)
        if status != self._health.status:
            since = None if status == "unknown" else self._now()
            self._health = Health(status, since, reason)
        elif reason != self._health.reason:
            self._health = Health(status, self._health.since, reason)
        return self._health

    def _judge(self, resting: float) -> tuple[HealthStatus, str | None]:
        horizon = self._clock() - _LASTS
        while self._outcomes and self._outcomes[0][0] <= horizon:
            self._outcomes.popleft()
        if resting > 0:
            return "down", f"not asked at present, for {self.last_failure or 'its provider fails'}"
        if not self._outcomes:
            return "unknown", None
        failed = sum(failure is not None for _, failure in self._outcomes)
        if failed < _UNWELL * len(self._outcomes):
            return "ok", None
        return "degraded", f"{failed} of the last {len(self._outcomes)} answers failed: {self.last_failure}"
