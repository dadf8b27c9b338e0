"""The port to what several processes share and may lose at any moment: counts, and nothing that matters.

Losing it, or never having it, changes how exact a count is and how quickly a node hears of something; what is stored, shown
and promised stays the same. So nothing of it fails: where it cannot be reached, its users do without.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import msgspec

from trialogue._cluster.bus import Bus
from trialogue._storage.limiter import Limiter


class SoftStatistics(msgspec.Struct, frozen=True):
    """What became of what was asked of it since it was opened, and whether it is there now."""

    connected: bool
    commands: int
    failures: int
    #: How often it was connected to: more than once when it went away.
    connections: int


class SoftState(ABC):
    """One place that is shared, open."""

    @abstractmethod
    def limiter(self, fallback: Limiter) -> Limiter:
        """Counts that all who share the place count together; while it is out of reach, ``fallback`` counts."""

    @abstractmethod
    def bus(self, cluster: str) -> Bus:
        """What the nodes of one cluster can say to each other there; others who share the place do not hear it."""

    @abstractmethod
    def statistics(self) -> SoftStatistics:
        """Figures for whoever looks."""
