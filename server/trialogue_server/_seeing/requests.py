"""Requests by route, method and status, counted as they are answered; how long answers took, by route.

A route is its pattern, never a path, so that there are no more series than routes times statuses. What has no route is a
file of the page, or nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import trio

from trialogue import Histogram
from trialogue_server._http.call import Call
from trialogue_server._seeing.exposition import Family

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Requests:
    """All requests since the start."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._seconds: dict[str, Histogram] = {}

    def __repr__(self) -> str:
        return f"<Requests {self._counts.total()}>"

    def note(self, call: Call, status: int, *, streamed: bool = False) -> None:
        """One was answered; ``status`` is 0 when its client left before that. How long a stream lasted says nothing."""
        route = call.route.path if call.route is not None else "page" if 0 < status < 400 else "none"
        self._counts[route, call.method if call.method in _METHODS else "other", str(status) if status else "left"] += 1
        if not streamed:
            seconds = self._seconds.get(route)
            if seconds is None:
                seconds = self._seconds[route] = Histogram(_BOUNDS)
            seconds.observe(trio.current_time() - call.began)

    @property
    def total(self) -> int:
        """How many there were."""
        return self._counts.total()

    def families(self) -> Iterator[Family]:
        """As metrics."""
        yield Family(
            "trialogue_http_requests_total",
            "counter",
            "Requests answered, by the route's pattern; status `left`: the client did not wait for it.",
            {labels: float(count) for labels, count in self._counts.items()},
            ("route", "method", "status"),
        )
        yield Family(
            "trialogue_http_request_seconds",
            "histogram",
            "Time from a request's head to the end of its answer, streams left out.",
            {(route,): seconds.distribution() for route, seconds in self._seconds.items()},
            ("route",),
        )
