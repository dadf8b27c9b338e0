"""Remembers for some seconds what was found out at some cost, so many things at most; time is Trio's clock."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

import trio


class Lately:
    """Keys that were added within the last ``seconds``; the one that was added longest ago goes first."""

    def __init__(self, seconds: float, keys: int = 10_000) -> None:
        self._seconds = seconds
        self._keys = keys
        # key -> when it was added
        self._added: OrderedDict[Hashable, float] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Lately keys={len(self._added)}>"

    def __contains__(self, key: Hashable) -> bool:
        return trio.current_time() - self._added.get(key, float("-inf")) < self._seconds

    def add(self, key: Hashable) -> None:
        """It was found out now."""
        self._added[key] = trio.current_time()
        self._added.move_to_end(key)
        if len(self._added) > self._keys:
            self._added.popitem(last=False)
