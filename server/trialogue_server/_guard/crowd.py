"""How many connections one address may have open: the one that holds all of a process's descriptors shuts everybody out.

Counted when a connection is accepted, before a byte of it is read. A proxy that is trusted stands for everybody behind it,
and a Unix socket for whoever may open it: neither is counted.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Generator

from trialogue_server._callers.peer import network, plain
from trialogue_server._guard.limits import Limits


class Crowd:
    """The connections of one server, by address; an IPv6 network counts as one."""

    def __init__(self, limits: Limits) -> None:
        self.adopt(limits)
        # Only addresses that hold something, so that it is no larger than what is open.
        self._open: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<Crowd addresses={len(self._open)} connections={self._open.total()}>"

    def adopt(self, limits: Limits) -> None:
        """Count by these bounds; what is open already keeps its place."""
        self._limit = limits.per_address
        self._proxies = limits.proxies

    @contextlib.contextmanager
    def place(self, address: str | None) -> Generator[bool]:
        """A place for a connection from ``address``, for the block; false when it has too many already."""
        if not self._limit or address is None or (address := plain(address)) in self._proxies:
            yield True
            return
        key = network(address)
        if self._open[key] >= self._limit:
            yield False
            return
        self._open[key] += 1
        try:
            yield True
        finally:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]
