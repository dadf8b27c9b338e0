"""Figures that are cheap to take: a histogram with fixed bounds, and what it looks like to whoever asks.

Taking one costs a search among a dozen bounds and two additions, so that it can be done for each flush. It is never done for
a token. How figures are shown is for others to say.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import msgspec

#: Bounds for what is quick, in seconds: commits, gates, requests, steps of the loop.
QUICK = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: Bounds for what a model takes, in seconds; those of the GenAI conventions.
SLOW = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
#: Bounds for the time between two tokens, in seconds; those of the GenAI conventions.
BETWEEN = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
#: Bounds for how many there are.
MANY = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)


class Distribution(msgspec.Struct, frozen=True):
    """How often there was a value up to each bound and above the one before; the last count is for those above all."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self.counts)

    def quantile(self, share: float) -> float | None:
        """The bound below which ``share`` of the values are; infinite above the last; ``None`` without any value."""
        wanted, seen = share * self.count, 0
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            seen += count
            if count and seen >= wanted:
                return bound
        return None


class Histogram:
    """Counts values between fixed ``bounds``, which ascend."""

    __slots__ = ("_bounds", "_counts", "_total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._total = 0.0

    def __repr__(self) -> str:
        return f"<Histogram count={sum(self._counts)} total={self._total:g}>"

    def observe(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value

    def distribution(self) -> Distribution:
        """What was counted so far."""
        return Distribution(self._bounds, tuple(self._counts), self._total)
