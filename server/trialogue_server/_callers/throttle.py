"""Slows down whoever fails too often: a token bucket per key, in a table of bounded size.

A token is taken before the attempt and given back when it succeeds, so that many attempts at once cannot slip through
between a look and a count. Time is Trio's clock.
"""

from __future__ import annotations

import math
from collections import OrderedDict

import trio

from trialogue import ThrottledError


class Throttle:
    """``burst`` failures at once for each key, then one more every ``seconds``."""

    def __init__(self, what: str, *, burst: int, seconds: float, keys: int = 10_000) -> None:
        self._what = what
        self._burst = burst
        self._seconds = seconds
        #: The key that was used longest ago goes first: by then its bucket is most likely full again, which is the
        #: state of a key that is not in the table.
        self._keys = keys
        # key -> (tokens, when they were counted)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Throttle {self._what} keys={len(self._buckets)}>"

    def take(self, key: str) -> None:
        """One attempt. Raises ``ThrottledError`` with the time after which there is a token again."""
        now = trio.current_time()
        tokens = self._tokens(key, now)
        if tokens < 1:
            wait = math.ceil((1 - tokens) * self._seconds)
            raise ThrottledError(f"too many {self._what}: try again in {wait} seconds", retry_after=float(wait))
        self._put(key, tokens - 1, now)

    def give_back(self, key: str) -> None:
        """The attempt was none."""
        now = trio.current_time()
        self._put(key, min(self._tokens(key, now) + 1, self._burst), now)

    def statistics(self) -> dict[str, int]:
        """How many keys are remembered."""
        return {"keys": len(self._buckets)}

    def _tokens(self, key: str, now: float) -> float:
        tokens, counted = self._buckets.get(key, (float(self._burst), now))
        return min(self._burst, tokens + (now - counted) / self._seconds)

    def _put(self, key: str, tokens: float, now: float) -> None:
        self._buckets[key] = (tokens, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._keys:
            self._buckets.popitem(last=False)
