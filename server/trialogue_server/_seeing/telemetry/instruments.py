"""The metrics of the GenAI conventions, and the one of HTTP that they go with. All else is for Prometheus to read."""

from __future__ import annotations

from collections.abc import Mapping

import trio
from opentelemetry.metrics import Meter
from opentelemetry.util.types import AttributeValue

from trialogue import Observer, RunReport
from trialogue_server._http.call import Call
from trialogue_server._seeing.telemetry import names as names

_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_PER_CHUNK = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
_TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
_HTTP = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)


class Instruments(Observer):
    """Records with ``meter``, under the names that ``environment`` asks for."""

    def __init__(self, meter: Meter, environment: Mapping[str, str]) -> None:
        wanted = names.metrics(environment)
        self._duration = meter.create_histogram(
            wanted.duration, "s", "Duration of a run.", explicit_bucket_boundaries_advisory=_SECONDS
        )
        self._first = meter.create_histogram(
            wanted.first_chunk, "s", "Time to the first of an answer.", explicit_bucket_boundaries_advisory=_SECONDS
        )
        self._per_chunk = meter.create_histogram(
            wanted.per_chunk, "s", "Time for each piece after it.", explicit_bucket_boundaries_advisory=_PER_CHUNK
        )
        self._tokens = [
            meter.create_histogram(name, "{token}", "Tokens used.", explicit_bucket_boundaries_advisory=_TOKENS)
            for name in wanted.tokens
        ]
        self._http = meter.create_histogram(
            names.HTTP_DURATION, "s", "Duration of a request.", explicit_bucket_boundaries_advisory=_HTTP
        )

    def run_ended(self, report: RunReport) -> None:
        """A run ended."""
        provider, _, model = report.model.partition(":")
        of_run = {names.OPERATION: "chat", names.PROVIDER: provider, names.REQUEST_MODEL: model}
        if report.usage is not None:
            pairs = (("input", report.usage.input_tokens), ("output", report.usage.output_tokens))
            for number, (kind, count) in enumerate(pairs):
                if count is not None:
                    self._tokens[min(number, len(self._tokens) - 1)].record(count, {**of_run, names.TOKEN_TYPE: kind})
        if report.seconds is None:
            return
        error = {names.ERROR: report.reason or "failed"} if report.outcome == "failed" else {}
        self._duration.record(report.seconds, of_run | error)
        if report.first is not None:
            self._first.record(report.first, of_run)
            if report.tokens > 1:
                self._per_chunk.record((report.seconds - report.first) / (report.tokens - 1), of_run)

    def answered(self, call: Call, status: int) -> None:
        """A request was answered; one whose client left first has no status."""
        if call.route is not None and status:
            attributes: dict[str, AttributeValue] = {
                names.HTTP_METHOD: call.method,
                names.HTTP_ROUTE: call.route.path,
                names.HTTP_STATUS: status,
            }
            self._http.record(trio.current_time() - call.began, attributes)
