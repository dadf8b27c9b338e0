"""What runs came to since the process began: how many, how quick, how many tokens, what they cost, by model; and
calls of tools.

An observer like any other, and always there: the engine shows its figures among its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

import msgspec

from trialogue._facts.values import Usage
from trialogue._watching.figures import BETWEEN, SLOW, Distribution, Histogram
from trialogue._watching.observer import CommandReport, Observer, RunReport

#: Models, tools and reasons that are told apart; those beyond are counted together. Clients may name any model of some
#: providers.
MOST_NAMES = 50
OTHER = "other"


class ModelStatistics(msgspec.Struct, frozen=True):
    """The runs of one model. Times are in seconds, the cost in nano-dollars."""

    #: By outcome and reason, as ``completed/stop``.
    runs: dict[str, int]
    #: By kind, as ``input``.
    tokens: dict[str, int]
    cost: int
    seconds: Distribution
    first_token: Distribution
    per_token: Distribution


class ToolStatistics(msgspec.Struct, frozen=True):
    """The calls of one tool by outcome: ``ok``, ``failed``, ``cancelled``."""

    calls: dict[str, int]
    seconds: Distribution


class MeterStatistics(msgspec.Struct, frozen=True):
    """Runs by model, commands by kind and outcome, as ``PostMessage/ok``, and calls of tools by name."""

    models: dict[str, ModelStatistics]
    commands: dict[str, int]
    tools: dict[str, ToolStatistics]


class _ModelMeter:
    def __init__(self) -> None:
        self.runs: Counter[str] = Counter()
        self.tokens: Counter[str] = Counter()
        self.cost = 0
        self.seconds = Histogram(SLOW)
        self.first_token = Histogram(SLOW)
        self.per_token = Histogram(BETWEEN)

    def statistics(self) -> ModelStatistics:
        histograms = (self.seconds, self.first_token, self.per_token)
        return ModelStatistics(
            dict(self.runs), dict(self.tokens), self.cost, *(one.distribution() for one in histograms)
        )


class _ToolMeter:
    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.seconds = Histogram(SLOW)


class Meter(Observer):
    """Adds up reports."""

    def __init__(self) -> None:
        self._models: dict[str, _ModelMeter] = {}
        self._reasons: set[str] = set()
        self._commands: Counter[str] = Counter()
        self._tools: dict[str, _ToolMeter] = {}

    def __repr__(self) -> str:
        return f"<Meter models={len(self._models)}>"

    def run_ended(self, report: RunReport) -> None:
        """Count a run."""
        model = self._model(report.model)
        model.runs[f"{report.outcome}/{self._reason(report.reason)}"] += 1
        if report.usage is not None:
            model.tokens.update(dict(_kinds(report.usage)))
            model.cost += report.usage.cost or 0
        for step in report.steps:
            if step.kind == "tool":
                tool = self._tools.setdefault(_bounded(step.name, self._tools), _ToolMeter())
                tool.calls[step.error or "ok"] += 1
                tool.seconds.observe(step.seconds)
        if report.seconds is None:
            return
        model.seconds.observe(report.seconds)
        if report.first is not None:
            model.first_token.observe(report.first)
            if report.tokens > 1:
                model.per_token.observe((report.seconds - report.first) / (report.tokens - 1))

    def command_ended(self, report: CommandReport) -> None:
        """Count a command. Their kinds are classes of ours, their errors codes of ours: there are only so many."""
        self._commands[f"{report.kind}/{report.error or 'ok'}"] += 1

    def _model(self, name: str) -> _ModelMeter:
        return self._models.setdefault(_bounded(name, self._models), _ModelMeter())

    def _reason(self, reason: str | None) -> str:
        if reason is None:
            return "none"
        if len(self._reasons) < MOST_NAMES:
            self._reasons.add(reason)
        return reason if reason in self._reasons else OTHER

    def statistics(self) -> MeterStatistics:
        """The sums."""
        models = {name: model.statistics() for name, model in self._models.items()}
        tools = {
            name: ToolStatistics(dict(tool.calls), tool.seconds.distribution()) for name, tool in self._tools.items()
        }
        return MeterStatistics(models, dict(self._commands), tools)


def _bounded(name: str, known: Collection[str]) -> str:
    return name if name in known or len(known) < MOST_NAMES else OTHER


def _kinds(usage: Usage) -> Iterator[tuple[str, int]]:
    """Tokens by kind. Those of a cache and of reasoning are contained in the first two."""
    for kind in ("input", "output", "cache_read", "cache_write", "reasoning"):
        count: int | None = getattr(usage, f"{kind}_tokens")
        if count:
            yield kind, count
