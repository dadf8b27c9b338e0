"""Quotas: how often somebody may ask, and the port to whatever counts it.

The counts are soft state: losing them costs a caller nothing and lets a few requests too many through. One process keeps
them in its memory; several that share them count together.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import msgspec


class Quota(msgspec.Struct, frozen=True):
    """A bucket of ``requests``, which fills from empty to full in ``seconds``, evenly. ``name`` may be shown."""

    name: str
    requests: int
    seconds: float


class Taken(msgspec.Struct, frozen=True):
    """A quota after a request: what is left of it, and the times until it is full again and until it has one more.

    ``wait`` is 0 unless the request was refused for this quota's sake.
    """

    quota: Quota
    left: int
    full_in: float
    wait: float = 0.0


class Limiter(ABC):
    """Counts requests against quotas."""

    @abstractmethod
    async def take(self, asked: Sequence[tuple[Quota, str]]) -> Sequence[Taken]:
        """Take one request from every quota, each for the key beside it; if one of them has none left, from none.

        The answers stand in the order of what was asked. Exact among all who share the counts: of requests at the same
        time no more come through than there were left. Raises nothing: where the counts cannot be reached, it lets through.
        """

    def statistics(self) -> Mapping[str, int]:
        """Figures about what it keeps."""
        return {}
