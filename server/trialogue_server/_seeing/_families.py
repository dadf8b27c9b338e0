"""Every metric there is, by the part of the server that has it; ``docs/seeing.md`` lists them, and a test compares.

Labels are models, providers, routes, outcomes and the like, of which there are only so many; never the id of a user, a
conversation or a key. Figures that a part does not have (no Redis, no files) are left out.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from trialogue import Distribution
from trialogue_server._seeing import _process
from trialogue_server._seeing._exposition import Family, Labels, Value, counter, gauge, histogram

if TYPE_CHECKING:
    from trialogue_server._services import Services

#: What the engine says of itself: figures, nested as each part has them.
Figures: TypeAlias = Mapping[str, Any]

_PHASES = ("running", "working", "active", "idle", "faulted")


def families(services: Services) -> Iterator[Family]:
    """All of them, as they are now."""
    figures = services.engine.statistics()
    yield from _itself(services)
    yield from _runs(figures)
    yield from _conversations(figures)
    yield from _storage(figures)
    yield from _loop(services, figures)
    yield from services.seeing.requests.families()
    yield from _connections(services)
    yield from _shared(services)
    yield from _files(services)
    yield from _process.families()


def _itself(services: Services) -> Iterator[Family]:
    labels = (version("trialogue"), platform.python_version(), services.config.storage_url.partition(":")[0])
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


# --- runs --------------------------------------------------------------------------------------------------------


def _runs(figures: Figures) -> Iterator[Family]:
    models: Mapping[str, Any] = figures["models"]
    yield Family(
        "trialogue_runs_total",
        "counter",
        "Runs that ended, by outcome, and by finish reason, limit or failure.",
        {
            (model, *name.split("/", 1)): float(count)
            for model, one in models.items()
            for name, count in one["runs"].items()
        },
        ("model", "outcome", "reason"),
    )
    yield Family(
        "trialogue_tokens_total",
        "counter",
        "Tokens by kind, as providers report them, else by our own count; input and output contain the other kinds.",
        {(model, kind): float(count) for model, one in models.items() for kind, count in one["tokens"].items()},
        ("model", "kind"),
    )
    yield _by_model(
        "trialogue_cost_dollars_total",
        "counter",
        "What runs cost, as far as their prices are known.",
        models,
        lambda one: one["cost"] / 1e9,
    )
    for name, field, doc in (
        ("trialogue_run_first_token_seconds", "first_token", "Time from a run's start to the first of its answer."),
        ("trialogue_run_token_seconds", "per_token", "Time for each token after the first, a run's mean."),
        ("trialogue_run_seconds", "seconds", "Time from a run's start to its end."),
    ):
        yield _by_model(name, "histogram", doc, models, _distribution_of(field))
    yield Family(
        "trialogue_commands_total",
        "counter",
        "Commands by kind and by what became of them: `ok`, or an error's code.",
        {
            (kind, outcome): float(n)
            for name, n in figures["commands"].items()
            for kind, outcome in [name.split("/", 1)]
        },
        ("kind", "outcome"),
    )


def _by_model(
    name: str, kind: Any, doc: str, models: Mapping[str, Any], value: Callable[[Mapping[str, Any]], Value]
) -> Family:
    values: dict[Labels, Value] = {(model,): value(one) for model, one in models.items()}
    return Family(name, kind, doc, values, ("model",))


def _distribution_of(field: str) -> Callable[[Mapping[str, Any]], Value]:
    return lambda one: _distribution(one[field])


def _distribution(value: Mapping[str, Any]) -> Distribution:
    return msgspec.convert(value, Distribution)


# --- the core ----------------------------------------------------------------------------------------------------


def _conversations(figures: Figures) -> Iterator[Family]:
    yield Family(
        "trialogue_conversations",
        "gauge",
        "Conversations in memory, by phase; `running` ones are being answered.",
        {(phase,): float(figures["cells"].get(phase, 0)) for phase in _PHASES},
        ("phase",),
    )
    yield gauge("trialogue_mailbox_commands", "Commands that wait in mailboxes.", figures["mailboxes"])
    yield gauge("trialogue_inbox_messages", "Messages that wait for their turn in conversations.", figures["inboxes"])
    yield gauge("trialogue_tails", "Conversations whose events somebody follows or writes.", figures["tails"])
    shards = figures["shards"]
    yield gauge("trialogue_tasks", "Tasks of conversations that live in shards.", shards["live"])
    yield gauge("trialogue_tasks_fullest_shard", "Tasks in the fullest shard.", shards["fullest"])
    yield counter("trialogue_task_crashes_total", "Tasks of conversations that crashed.", shards["crashed"])
    yield Family(
        "trialogue_restarts_total",
        "counter",
        "Restarts of the engine's services.",
        {(name,): float(restarts) for name, restarts in figures["services"].items()},
        ("service",),
    )


def _storage(figures: Figures) -> Iterator[Family]:
    flusher, store = figures["flusher"], figures["store"]
    for name, field, doc in (
        ("trialogue_gate_seconds", "gate", "Time from an event's making to its being durable, when it may be shown."),
        ("trialogue_commit_seconds", "commit", "Time that a commit of events takes, retries included."),
        ("trialogue_commit_conversations", "batch", "Conversations in one commit."),
    ):
        yield histogram(name, doc, _distribution(flusher[field]))
    yield counter("trialogue_events_total", "Events that were made durable.", flusher["entries"])
    yield counter(
        "trialogue_fenced_total", "Flushes refused because another node owns the conversation.", flusher["fenced"]
    )
    yield gauge("trialogue_flusher_waiting", "Conversations that wait for the next commit.", flusher["dirty"])
    yield gauge("trialogue_storage_failing", "1 while the store refuses to write.", flusher["failing"] is not None)
    yield gauge("trialogue_storage_waiting", "Jobs that wait for the store.", store["waiting"])
    yield counter("trialogue_storage_commits_total", "Transactions of the store.", store["commits"])
    yield counter("trialogue_storage_jobs_total", "Jobs that the store has done.", store["jobs"])
    if store.get("connections"):
        yield gauge("trialogue_storage_connections", "Connections to the database that are open.", store["connections"])
        yield gauge("trialogue_storage_connections_idle", "Those among them that are idle.", store["idle"])


def _loop(services: Services, figures: Figures) -> Iterator[Family]:
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
        ("trialogue_sockets", services.sockets, "WebSockets that are open."),
        ("trialogue_uploads", services.uploads, "Uploads under way."),
        ("trialogue_exports", services.exports, "Exports under way."),
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
