"""What a person wants to know of a server, from two readings of its metrics: what there is, and rates between the two."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from trialogue_server._top.reading import Key, Reading


class Times(msgspec.Struct, frozen=True):
    """Seconds below which half of the values between two readings were, and 99 of a hundred; ``None`` without any."""

    p50: float | None = None
    p99: float | None = None


class ModelFigures(msgspec.Struct, frozen=True):
    """One model. Rates are by second."""

    model: str
    runs: float
    failed: float
    tokens: float
    first_token: Times
    per_token: Times


class Figures(msgspec.Struct, frozen=True):
    """One server. ``error`` says why nothing else is known."""

    address: str
    error: str | None = None
    version: str = ""
    storage: str = ""
    up_seconds: float = 0.0
    draining: bool = False
    storage_failing: bool = False
    conversations: dict[str, int] = {}
    inbox: int = 0
    mailbox: int = 0
    tasks: int = 0
    fullest_shard: int = 0
    restarts: int = 0
    crashes: int = 0
    runs: float = 0.0
    failed: float = 0.0
    tokens: float = 0.0
    events: float = 0.0
    commits: float = 0.0
    requests: float = 0.0
    errors: float = 0.0
    gate: Times = Times()
    first_token: Times = Times()
    lag: float = 0.0
    streams: int = 0
    sockets: int = 0
    uploads: int = 0
    processor: float = 0.0
    memory: int = 0
    descriptors: int = 0
    most_descriptors: int = 0
    models: tuple[ModelFigures, ...] = ()
    busy: tuple[str, ...] = ()


class Between:
    """Two readings of one server, the earlier one perhaps none."""

    def __init__(self, before: Reading | None, now: Reading) -> None:
        self.seconds = max(now.at - before.at, 1e-6) if before is not None else 0.0
        self._before: Mapping[Key, float] = before.samples if before is not None else {}
        self._now = now.samples

    def now(self, name: str, **labels: str) -> float:
        """The sum of what there is under a name, with these labels."""
        return sum(value for key, value in self._now.items() if _fits(key, name, labels))

    def rate(self, name: str, **labels: str) -> float:
        """How much it grows in a second. A counter that fell began anew."""
        if not self.seconds:
            return 0.0
        grown = (
            value - before if (before := self._before.get(key, 0.0)) <= value else value
            for key, value in self._now.items()
            if _fits(key, name, labels)
        )
        return sum(grown) / self.seconds

    def times(self, name: str, **labels: str) -> Times:
        """Quantiles of a histogram between the two, or since the start when there is but one."""
        counts: dict[float, float] = {}
        for key, value in self._now.items():
            if _fits(key, f"{name}_bucket", labels):
                bound = float(dict(key[1])["le"])
                counts[bound] = counts.get(bound, 0.0) + max(value - self._before.get(key, 0.0), 0.0)
        return Times(_quantile(counts, 0.5), _quantile(counts, 0.99))

    def label(self, name: str, label: str) -> str:
        """The value of a label of a name that is there once."""
        return next((dict(key[1]).get(label, "") for key in self._now if key[0] == name), "")

    def values(self, name: str, label: str) -> Sequence[str]:
        """The values of a label, sorted."""
        return sorted({dict(key[1])[label] for key in self._now if key[0] == name and label in dict(key[1])})


def _fits(key: Key, name: str, labels: dict[str, str]) -> bool:
    return key[0] == name and labels.items() <= dict(key[1]).items()


def _quantile(counts: dict[float, float], share: float) -> float | None:
    """The bound below which ``share`` of what was counted is; the counts are cumulative."""
    most = max(counts.values(), default=0.0)
    if not most:
        return None
    return next(bound for bound in sorted(counts) if counts[bound] >= share * most)


def figures(address: str, before: Reading | None, now: Reading) -> Figures:
    """What the two readings tell."""
    found = Between(before, now)
    started = found.now("process_start_time_seconds")
    return Figures(
        address=address,
        **_itself(found),
        **_rates(found),
        up_seconds=max(time.time() - started, 0.0) if started else 0.0,
        gate=found.times("trialogue_gate_seconds"),
        first_token=found.times("trialogue_run_first_token_seconds"),
        models=tuple(_model(found, name) for name in found.values("trialogue_runs_total", "model")),
        busy=now.busy,
    )


def _itself(found: Between) -> dict[str, Any]:  # Any: fields of several types, by name.
    whole = {
        "inbox": "trialogue_inbox_messages",
        "mailbox": "trialogue_mailbox_commands",
        "tasks": "trialogue_tasks",
        "fullest_shard": "trialogue_tasks_fullest_shard",
        "restarts": "trialogue_restarts_total",
        "crashes": "trialogue_task_crashes_total",
        "streams": "trialogue_streams",
        "sockets": "trialogue_sockets",
        "uploads": "trialogue_uploads",
        "memory": "process_resident_memory_bytes",
        "descriptors": "process_open_fds",
        "most_descriptors": "process_max_fds",
    }
    phases = found.values("trialogue_conversations", "phase")
    return {
        **{field: int(found.now(name)) for field, name in whole.items()},
        "version": found.label("trialogue_build_info", "version"),
        "storage": found.label("trialogue_build_info", "storage"),
        "draining": bool(found.now("trialogue_draining")),
        "storage_failing": bool(found.now("trialogue_storage_failing")),
        "conversations": {phase: int(found.now("trialogue_conversations", phase=phase)) for phase in phases},
        "lag": found.now("trialogue_loop_lag_worst_seconds"),
    }


def _rates(found: Between) -> dict[str, Any]:  # Any: as above.
    statuses = found.values("trialogue_http_requests_total", "status")
    broken = [status for status in statuses if status.startswith("5")]
    return {
        "runs": found.rate("trialogue_runs_total"),
        "failed": found.rate("trialogue_runs_total", outcome="failed"),
        "tokens": found.rate("trialogue_tokens_total", kind="output"),
        "events": found.rate("trialogue_events_total"),
        "commits": found.rate("trialogue_commit_seconds_count"),
        "requests": found.rate("trialogue_http_requests_total"),
        "errors": sum(found.rate("trialogue_http_requests_total", status=status) for status in broken),
        "processor": found.rate("process_cpu_seconds_total"),
    }


def _model(found: Between, name: str) -> ModelFigures:
    return ModelFigures(
        model=name,
        runs=found.rate("trialogue_runs_total", model=name),
        failed=found.rate("trialogue_runs_total", model=name, outcome="failed"),
        tokens=found.rate("trialogue_tokens_total", model=name, kind="output"),
        first_token=found.times("trialogue_run_first_token_seconds", model=name),
        per_token=found.times("trialogue_run_token_seconds", model=name),
    )
