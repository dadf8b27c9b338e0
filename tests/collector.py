"""A collector: takes what is sent by OTLP over HTTP, and decodes it with the protocol's own package."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collector:
    """What has arrived."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.spans: list[Span] = []
        #: By name: the attributes and the values of each data point of the last time it was sent.
        self.metrics: dict[str, list[Any]] = {}
        self.resources: set[tuple[str, str]] = set()
        self._changed = threading.Condition()

    def take(self, path: str, body: bytes) -> None:
        with self._changed:
            if path == "/v1/traces":
                for traced in ExportTraceServiceRequest.FromString(body).resource_spans:
                    self.resources |= {(one.key, one.value.string_value) for one in traced.resource.attributes}
                    self.spans += [span for scope in traced.scope_spans for span in scope.spans]
            elif path == "/v1/metrics":
                for measured in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                    for metric in (metric for scope in measured.scope_metrics for metric in scope.metrics):
                        self.metrics[metric.name] = list(metric.histogram.data_points)
            self._changed.notify_all()

    def wait_for_span(self, name: str) -> Span:
        """The first span of that name; it must come within ten seconds."""
        with self._changed:
            assert self._changed.wait_for(lambda: any(one.name == name for one in self.spans), 10), self.names()
            return next(one for one in self.spans if one.name == name)

    def wait_for_metric(self, name: str) -> list[Any]:
        """The data points of that metric; it must come within ten seconds."""
        with self._changed:
            assert self._changed.wait_for(lambda: name in self.metrics, 10), sorted(self.metrics)
            return self.metrics[name]

    def names(self) -> list[str]:
        return [one.name for one in self.spans]


def attributes(span: Any) -> dict[str, Any]:
    """A span's or a data point's attributes as plain values."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


@contextmanager
def open_collector() -> Generator[Collector]:
    """A collector on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.take(self.path, gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()
