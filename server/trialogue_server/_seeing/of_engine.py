"""Metrics of the core: runs and tools, conversations and their shards, what is committed, and the nodes of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import msgspec

from trialogue import Distribution
from trialogue_server._seeing.exposition import Family, Labels, Value, counter, gauge, histogram

#: What the engine says of itself: figures, nested as each part has them.
Figures: TypeAlias = Mapping[str, Any]

_PHASES = ("running", "working", "active", "idle", "faulted")


def families(figures: Figures) -> Iterator[Family]:
    """All of them, from what ``Engine.statistics`` says."""
    yield from _runs(figures)
    yield from _tools(figures)
    yield from _conversations(figures)
    yield from _storage(figures)
    yield from _cluster(figures)


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
    yield by_model(
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
        yield by_model(name, "histogram", doc, models, _distribution_of(field))
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


def _tools(figures: Figures) -> Iterator[Family]:
    tools: Mapping[str, Any] = figures["tools"]
    yield Family(
        "trialogue_tool_calls_total",
        "counter",
        "Calls of tools by outcome: `ok`, `failed`, `cancelled`.",
        {(name, outcome): float(count) for name, one in tools.items() for outcome, count in one["calls"].items()},
        ("tool", "outcome"),
    )
    yield Family(
        "trialogue_tool_seconds",
        "histogram",
        "Time that calls of tools take, waiting for approval left out.",
        {(name,): _distribution(one["seconds"]) for name, one in tools.items()},
        ("tool",),
    )


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


def _cluster(figures: Figures) -> Iterator[Family]:
    if "cluster" not in figures:
        return
    found: Mapping[str, Any] = figures["cluster"]
    yield gauge("trialogue_cluster_nodes", "Nodes that are alive, as this one knows.", found["nodes"])
    yield gauge("trialogue_cluster_lease_seconds", "What is left of this node's lease.", found["lease"])
    yield counter("trialogue_cluster_gaps_total", "Times that news of other nodes may have been missed.", found["gaps"])
    yield Family(
        "trialogue_cluster_commands_total",
        "counter",
        "Commands by where they were carried out: here, on another node, or left for whoever owns the conversation next.",
        {(how,): float(count) for how, count in found["commands"].items()},
        ("how",),
    )


def by_model(
    name: str, kind: Any, doc: str, models: Mapping[str, Any], value: Callable[[Mapping[str, Any]], Value]
) -> Family:
    """A family with a value for each model."""
    values: dict[Labels, Value] = {(model,): value(one) for model, one in models.items()}
    return Family(name, kind, doc, values, ("model",))


def _distribution_of(field: str) -> Callable[[Mapping[str, Any]], Value]:
    return lambda one: _distribution(one[field])


def _distribution(value: Mapping[str, Any]) -> Distribution:
    return msgspec.convert(value, Distribution)
