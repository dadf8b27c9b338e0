"""Traces and metrics arrive at a real collector, tell nothing of what was said, and keep nobody waiting."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import httpx2
import pytest
from collector import Collector, attributes, open_collector
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from served import Server

from trialogue import CommitReport, RunReport, Step, new_id
from trialogue_server._seeing.telemetry.opening import MISSING, Telemetry, open_telemetry, wants
from trialogue_server._seeing.telemetry.tracing import Tracing

QUESTION = "a secret question"


@pytest.fixture(scope="module")
def collector() -> Generator[Collector]:
    with open_collector() as collector, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        patch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "100")
        yield collector


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Generator[Server]:
    """One for all, as each asks what nobody else does; the last test ends it."""
    server = Server(tmp_path_factory.mktemp("server"), log_format="json", trusted_proxies="127.0.0.1")
    try:
        server.start()
        yield server
    finally:
        server.close()


def talk(server: Server, **headers: str) -> str:
    """Ask something, and read the answer to its end; the id of the run."""
    with httpx2.Client(base_url=server.url, trust_env=False) as client:
        user = {"email": f"{new_id()}@example.org", "password": "correct horse", "name": "ada"}
        assert client.post("/api/auth/register", json=user).status_code == 201
        url = client.post("/api/conversations", json={}).headers["location"]
        headers = {"Accept": "text/event-stream", **headers}
        body = {"text": QUESTION}
        with client.stream("POST", f"{url}/messages", json=body, headers=headers, timeout=10) as answer:
            for line in answer.iter_lines():
                if line.startswith("data:") and '"type":"run.' in line:
                    event = json.loads(line[5:])
                    if event["type"] == "run.completed":
                        run: str = event["run"]
                        return run
    raise AssertionError("no answer")


def test_run_is_in_the_trace_of_the_request_that_asked_for_it(server: Server, collector: Collector) -> None:
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    run = talk(server, traceparent=f"00-{trace}-{parent}-01")
    found = collector.wait_for_span("run echo:echo")
    generation = collector.wait_for_span("chat echo")
    request = collector.wait_for_span("POST /api/conversations/<id>/messages")
    command = collector.wait_for_span("command PostMessage")
    assert {span.trace_id.hex() for span in (found, generation, request, command)} == {trace}
    assert request.parent_span_id.hex() == parent, "the proxy's, which is believed"
    assert found.parent_span_id == command.parent_span_id == request.span_id
    assert generation.parent_span_id == found.span_id
    assert attributes(found)["trialogue.run.id"] == run
    told = attributes(generation)
    assert (told["gen_ai.operation.name"], told["gen_ai.provider.name"], told["gen_ai.request.model"]) == (
        "chat",
        "echo",
        "echo",
    )
    assert told["gen_ai.usage.output_tokens"] > 0
    assert request.start_time_unix_nano <= found.start_time_unix_nano <= found.end_time_unix_nano
    assert ("service.name", "trialogue") in collector.resources
    assert not any(QUESTION.encode() in span.SerializeToString() for span in collector.spans), "what was said"
    assert not any(b"example.org" in span.SerializeToString() for span in collector.spans)
    (line,) = [line for line in server.log().splitlines() if '"/api/conversations/<id>/messages"' in line]
    assert json.loads(line)["trace"] == trace


def test_metrics_have_the_names_of_the_conventions(server: Server, collector: Collector) -> None:
    talk(server)
    (point,) = collector.wait_for_metric("gen_ai.client.operation.duration")
    assert attributes(point)["gen_ai.provider.name"] == "echo"
    assert point.count >= 1
    kinds = {attributes(one)["gen_ai.token.type"] for one in collector.wait_for_metric("gen_ai.client.token.usage")}
    assert kinds == {"input", "output"}
    assert collector.wait_for_metric("http.server.request.duration")


def test_the_last_is_sent_before_the_process_ends(server: Server, collector: Collector) -> None:
    run = talk(server)
    server.signal(signal.SIGTERM)
    assert server.wait(15) == 0
    assert run in {attributes(span).get("trialogue.run.id") for span in collector.spans}


def test_collector_that_hangs_keeps_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # It takes connections, and says nothing.
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{deaf.getsockname()[1]}")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "600")  # Seconds, for which the SDK would wait.
        server = Server(tmp_path)
        try:
            server.start()
            talk(server)
            server.signal(signal.SIGTERM)
            assert server.wait(60) == 0
        finally:
            server.close()


async def test_what_is_missing_is_told_and_done_without(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    async with open_telemetry(environment) as telemetry:
        assert telemetry == Telemetry()
    assert MISSING in caplog.text


@pytest.mark.parametrize(
    ("environment", "traces", "metrics"),
    [
        ({}, False, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, True, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c"}, True, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "true"}, False, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_METRICS_EXPORTER": "none"}, True, False),
    ],
)
def test_environment_says_what_is_sent(environment: dict[str, str], traces: bool, metrics: bool) -> None:
    assert (wants(environment, "TRACES"), wants(environment, "METRICS")) == (traces, metrics)


def test_nothing_of_it_is_imported_unless_it_is_wanted() -> None:
    code = "import sys, trialogue_server.serve; print([m for m in sys.modules if m.startswith('opentelemetry')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- spans, one by one -------------------------------------------------------------------------------------------


@pytest.fixture
def spans() -> tuple[Tracing, InMemorySpanExporter]:
    """What makes spans, and where they are found."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Tracing(provider.get_tracer("test")), exporter


def test_only_commits_that_were_slow_or_tried_again_are_spans(spans: tuple[Tracing, InMemorySpanExporter]) -> None:
    tracing, exporter = spans
    for tries, seconds in ((1, 0.01), (1, 0.5), (2, 0.01)):
        tracing.committed(CommitReport(3, 7, tries, 10**18, seconds))
    found = exporter.get_finished_spans()
    assert [(one.name, one.parent) for one in found] == [("flush", None)] * 2
    assert (found[0].attributes or {})["trialogue.commit.events"] == 7
    assert (found[0].end_time or 0) - (found[0].start_time or 0) == 500_000_000


def test_steps_of_a_run_are_spans_below_it(spans: tuple[Tracing, InMemorySpanExporter]) -> None:
    tracing, exporter = spans
    steps = (
        Step("generation", "p:m", 0.0, 1.0),
        Step("tool", "clock", 1.0, 2.0, "failed", "c1"),
        Step("generation", "p:m", 3.0, 1.0, "provider_broken"),
    )
    tracing.run_ended(RunReport("r", "c", "m", "p:m", "failed", "provider_broken", 1, 10**18, 4.0, 0.5, 3, None, steps))
    run, *below = exporter.get_finished_spans()
    assert [one.name for one in below] == ["chat m", "execute_tool clock", "chat m"]
    assert all(one.parent is not None and one.parent.span_id == run.context.span_id for one in below)
    assert [one.status.status_code for one in (run, *below)] == [
        StatusCode.ERROR,
        StatusCode.UNSET,
        StatusCode.ERROR,
        StatusCode.ERROR,
    ]
    tool = below[1]
    assert (tool.attributes or {})["gen_ai.tool.call.id"] == "c1"
    assert (tool.start_time, tool.end_time) == (10**18 - 3 * 10**9, 10**18 - 10**9)
