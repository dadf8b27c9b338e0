"""Counts requests in the memory of this process: one number for each key, in a table of bounded size.

The number is the time at which the key's bucket is full again. It is counted in whole nanoseconds, so that nothing is lost
or won by rounding. Time is Trio's clock.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import trio

from trialogue import Limiter, Quota, Taken

_NS = 1_000_000_000


class LocalLimiter(Limiter):
    """The counts of one process."""

    def __init__(self, keys: int = 100_000) -> None:
        #: The key that was used longest ago goes first: by then its bucket is most likely full again, which is the state
        #: of a key that is not in the table.
        self._keys = keys
        # (name of the quota, key) -> when it is full again
        self._full_at: OrderedDict[tuple[str, str], int] = OrderedDict()

    def __repr__(self) -> str:
        return f"<LocalLimiter keys={len(self._full_at)}>"

    async def take(self, asked: Sequence[tuple[Quota, str]]) -> Sequence[Taken]:
        """As the port says; nothing is awaited between the look and the count."""
        now = int(trio.current_time() * _NS)
        taken = [self._look(quota, key, now) for quota, key in asked]
        if any(one.wait for one in taken):
            return [one if one.wait else _given_back(one) for one in taken]
        for quota, key in asked:
            self._count(quota, key, now)
        return taken

    def statistics(self) -> Mapping[str, int]:
        """How many keys are remembered."""
        return {"keys": len(self._full_at)}

    def _look(self, quota: Quota, key: str, now: int) -> Taken:
        each = _each(quota)
        used = max(self._full_at.get((quota.name, key), 0) - now, 0)
        left = quota.requests - (used + each - 1) // each
        if left < 1:
            return Taken(quota, 0, used / _NS, (used + each - quota.requests * each) / _NS)
        return Taken(quota, left - 1, (used + each) / _NS)

    def _count(self, quota: Quota, key: str, now: int) -> None:
        name = (quota.name, key)
        self._full_at[name] = max(self._full_at.get(name, 0), now) + _each(quota)
        self._full_at.move_to_end(name)
        if len(self._full_at) > self._keys:
            self._full_at.popitem(last=False)


def _given_back(taken: Taken) -> Taken:
    return Taken(taken.quota, taken.left + 1, max(taken.full_in - _each(taken.quota) / _NS, 0.0))


def _each(quota: Quota) -> int:
    """The time in which one request comes back."""
    return round(quota.seconds * _NS / quota.requests)
