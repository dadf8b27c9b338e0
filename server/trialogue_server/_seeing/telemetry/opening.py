"""Whether a collector is to be told, and the SDK's parts while one is.

The variables are OpenTelemetry's own: ``OTEL_EXPORTER_OTLP_ENDPOINT`` (or that of traces or metrics alone) turns it on,
``OTEL_SDK_DISABLED``, ``OTEL_TRACES_EXPORTER=none`` and ``OTEL_METRICS_EXPORTER=none`` turn it off, and the SDK reads the
others.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, NamedTuple

import trio

from trialogue import Observer

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

    from trialogue_server._seeing.telemetry.instruments import Instruments
    from trialogue_server._seeing.telemetry.tracing import Tracing

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
#: Seconds for the last of it to be sent when the process ends.
LAST = 3.0
MISSING = "traces and metrics are not sent: the extra `otel` is not installed (pip install 'trialogue[otel]')"

log = logging.getLogger("trialogue.telemetry")


class Telemetry(NamedTuple):
    """What is sent; nothing, where that is not wanted."""

    tracing: Tracing | None = None
    instruments: Instruments | None = None

    @property
    def observers(self) -> tuple[Observer, ...]:
        """Those who look on at the engine."""
        return tuple(one for one in self if one is not None)


def wants(environment: Mapping[str, str], signal: str) -> bool:
    """Whether ``signal`` (``TRACES`` or ``METRICS``) is to be sent to a collector."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    if environment.get(f"OTEL_{signal}_EXPORTER", "otlp") not in ("", "otlp"):
        return False
    return bool(environment.get(ENDPOINT) or environment.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"))


@asynccontextmanager
async def open_telemetry(environment: Mapping[str, str]) -> AsyncGenerator[Telemetry]:
    """What the environment asks for, while the block lasts. What the SDK lacks or refuses is logged, and done without."""
    shutdowns: list[Callable[[], object]] = []
    try:
        telemetry = _made(environment, shutdowns)
    except ImportError:
        log.warning(MISSING)
        telemetry = Telemetry()
    except Exception as error:  # An endpoint that is no URL, and whatever else its SDK makes of its variables.
        log.warning("traces and metrics are not sent: %s", error)
        telemetry = Telemetry()
    try:
        yield telemetry
    finally:
        # In a thread, and given up: a collector that hangs keeps nobody.
        with trio.CancelScope(shield=True, deadline=trio.current_time() + LAST):
            for shutdown in shutdowns:
                await trio.to_thread.run_sync(shutdown, abandon_on_cancel=True)


def _made(environment: Mapping[str, str], shutdowns: list[Callable[[], object]]) -> Telemetry:
    traces, metrics = wants(environment, "TRACES"), wants(environment, "METRICS")
    if not (traces or metrics):
        return Telemetry()
    if environment.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf") != "http/protobuf":
        log.warning("OTLP is sent as http/protobuf: OTEL_EXPORTER_OTLP_PROTOCOL asks for another protocol")
    tracing = _tracing(shutdowns) if traces else None
    return Telemetry(tracing, _instruments(environment, shutdowns) if metrics else None)


def _tracing(shutdowns: list[Callable[[], object]]) -> Tracing:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from trialogue_server._seeing.telemetry.tracing import Tracing

    provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    shutdowns.append(provider.shutdown)
    return Tracing(provider.get_tracer("trialogue", version("trialogue")))


def _instruments(environment: Mapping[str, str], shutdowns: list[Callable[[], object]]) -> Instruments:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    from trialogue_server._seeing.telemetry.instruments import Instruments

    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    provider = MeterProvider((reader,), _resource(), shutdown_on_exit=False)
    shutdowns.append(provider.shutdown)
    return Instruments(provider.get_meter("trialogue", version("trialogue")), environment)


def _resource() -> Resource:
    from opentelemetry.sdk.resources import Resource

    # What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say goes before this.
    ours = Resource({"service.name": "trialogue", "service.version": version("trialogue")})
    told = Resource.create()
    named = not str(told.attributes.get("service.name", "unknown_service")).startswith("unknown_service")
    return ours.merge(told) if named else told.merge(ours)
