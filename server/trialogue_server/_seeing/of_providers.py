"""Metrics of providers and their models: what is under way and what waits, what became of it, and who is left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from trialogue_server._seeing.exposition import Family, Labels, Value
from trialogue_server._seeing.of_engine import by_model


def families(providers: Mapping[str, Any]) -> Iterator[Family]:
    """All of them, from what ``Engine.statistics`` says of each."""
    for name, field, kind, doc in (
        ("trialogue_provider_running", "running", "gauge", "Requests to the provider under way."),
        ("trialogue_provider_waiting", "waiting", "gauge", "Requests that wait for their turn with the provider."),
        (
            "trialogue_provider_waited_seconds_total",
            "waited_seconds",
            "counter",
            "Time that requests waited for a turn.",
        ),
    ):
        yield _by_provider(name, kind, doc, providers, _of_lane(field))
    yield _by_provider(
        "trialogue_provider_resting",
        "gauge",
        "1 while the provider is left alone because it failed too often.",
        providers,
        lambda one: float(one["breaker"] != "closed"),
    )
    models = {name: one for provider in providers.values() for name, one in provider["models"].items()}
    yield from _asked(models)


def _by_provider(
    name: str, kind: Any, doc: str, providers: Mapping[str, Any], value: Callable[[Mapping[str, Any]], float]
) -> Family:
    values: dict[Labels, Value] = {(provider,): value(one) for provider, one in providers.items()}
    return Family(name, kind, doc, values, ("provider",))


def _of_lane(field: str) -> Callable[[Mapping[str, Any]], float]:
    return lambda one: float(one["lane"][field])


def _asked(models: Mapping[str, Any]) -> Iterator[Family]:
    outcomes: dict[Labels, Value] = {(name, "ok"): float(one["succeeded"]) for name, one in models.items()}
    outcomes |= {(name, why): float(count) for name, one in models.items() for why, count in one["failed"].items()}
    yield Family(
        "trialogue_model_requests_total",
        "counter",
        "Requests to a model by what became of them: `ok`, or the kind of failure.",
        outcomes,
        ("model", "outcome"),
    )
    for name, field, doc in (
        ("trialogue_model_retries_total", "retried", "Requests sent again after they had been turned away."),
        (
            "trialogue_model_spared_total",
            "spared",
            "Requests not sent because the model or its provider is left alone.",
        ),
    ):
        yield by_model(name, "counter", doc, models, _count_of(field))
    yield Family(
        "trialogue_model_health",
        "gauge",
        "1 for the state that a model is in: `ok`, `degraded`, `down` or `unknown`.",
        {
            (name, state): float(one["health"]["status"] == state)
            for name, one in models.items()
            for state in ("ok", "degraded", "down", "unknown")
        },
        ("model", "state"),
    )


def _count_of(field: str) -> Callable[[Mapping[str, Any]], Value]:
    return lambda one: float(one[field])
