"""Every metric there is, by the part of the server that has it; ``docs/seeing.md`` lists them, and a test compares.

Labels are models, providers, routes, outcomes and the like, of which there are only so many; never the id of a user, a
conversation or a key. Figures that a part does not have (no Redis, no files) are left out.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, cast

from trialogue_server._seeing import of_engine, of_providers, process
from trialogue_server._seeing.exposition import Family, counter, gauge, histogram

if TYPE_CHECKING:
    from trialogue_server._serving.services import Services


def families(services: Services) -> Iterator[Family]:
    """All of them, as they are now."""
    # Any: nested figures, as each part has them.
    figures = cast("Mapping[str, Any]", services.engine.statistics())
    yield from _itself(services)
    yield from of_engine.families(figures)
    yield from of_providers.families(figures["providers"])
    yield from _loop(services, figures)
    yield from services.seeing.requests.families()
    yield from _connections(services)
    yield from _shared(services)
    yield from _files(services)
    yield from process.families()


def _itself(services: Services) -> Iterator[Family]:
    labels = (_version(), platform.python_version(), services.config.storage_url.partition(":")[0])
    yield Family(
        "trialogue_build_info",
        "gauge",
        "Always 1; what runs stands in its labels.",
        {labels: 1.0},
        ("version", "python", "storage"),
    )
    yield gauge(
        "trialogue_draining", "1 while the process takes no new work, being about to stop.", services.engine.draining
    )


@cache
def _version() -> str:
    return version("trialogue")  # It reads a file.


def _loop(services: Services, figures: Mapping[str, Any]) -> Iterator[Family]:
    lag = services.seeing.lag
    yield histogram(
        "trialogue_loop_lag_seconds", "How late the loop was, looked at four times a second.", lag.distribution()
    )
    yield gauge("trialogue_loop_lag_worst_seconds", "The latest of the last ten seconds.", lag.worst)
    yield gauge(
        "trialogue_pacer_waiting", "Streams of providers that wait for the next tick.", figures["pacer"]["waiting"]
    )


# --- the server --------------------------------------------------------------------------------------------------


def _connections(services: Services) -> Iterator[Family]:
    hub = services.hub.statistics()
    yield gauge("trialogue_streams", "Event streams that are open, those over WebSockets included.", hub.streams)
    yield counter("trialogue_streams_opened_total", "Event streams that were opened.", hub.opened)
    yield counter(
        "trialogue_streams_broken_total", "Streams broken because we failed or the client read nothing.", hub.broken
    )
    yield counter("trialogue_stream_bytes_total", "Bytes written to event streams.", hub.bytes)
    yield counter("trialogue_streams_carried_total", "Writes that a slow client made wait.", hub.carried)
    for name, slots, doc in (
        ("trialogue_sockets", services.held.sockets, "WebSockets that are open."),
        ("trialogue_uploads", services.held.uploads, "Uploads under way."),
        ("trialogue_exports", services.held.exports, "Exports under way."),
    ):
        yield gauge(name, doc, slots.statistics()["held"])


def _shared(services: Services) -> Iterator[Family]:
    if services.soft is None:
        return
    found = services.soft.statistics()
    yield gauge("trialogue_redis_connected", "1 while Redis is there.", found.connected)
    yield counter("trialogue_redis_commands_total", "Commands asked of Redis.", found.commands)
    yield counter("trialogue_redis_failures_total", "Commands that Redis did not answer.", found.failures)
    yield counter("trialogue_redis_connections_total", "Connections made to Redis.", found.connections)


def _files(services: Services) -> Iterator[Family]:
    if services.engine.library is None:
        return
    found = services.engine.library.blobs.statistics()
    yield gauge("trialogue_file_calls", "Calls on the folder for files under way.", found["busy"])
    yield gauge("trialogue_file_calls_waiting", "Calls that wait for a thread.", found["waiting"])
