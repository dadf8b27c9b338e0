"""Spans: of a request, and below it of the commands and runs that come of it; below a run, of its model and tool calls.

A run goes on after its request was answered, and its span with it; both belong to one trace. All but requests are told here
when they are over, and become spans then, with the times they had. Commits serve many conversations at once and are in no
trace: only those that were slow, or tried again, have a span of their own.

No span holds a word of what was said.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from trialogue import Cause, CommandReport, CommitReport, Observer, RunReport, Step
from trialogue_server._http.call import Call
from trialogue_server._seeing.telemetry import names as names

if TYPE_CHECKING:
    from opentelemetry.context import Context

#: Seconds from which on a commit is slow enough to be shown.
SLOW = 0.1

#: The span of the request that the present task answers.
_CURRENT: ContextVar[Span | None] = ContextVar("span", default=None)
_propagator = TraceContextTextMapPropagator()


class Tracing(Observer):
    """Makes spans with ``tracer``."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    # --- requests ------------------------------------------------------------------------------------------------

    def begin(self, call: Call, *, joins: bool) -> Span:
        """A request begins. ``joins``: the trace that its sender names is to be believed."""
        carrier = {"traceparent": call.header("traceparent"), "tracestate": call.header("tracestate")}
        parent = _propagator.extract(carrier) if joins else None
        span = self._tracer.start_span(call.method[:16], parent or _nowhere(), SpanKind.SERVER)
        context = span.get_span_context()
        if context.is_valid:
            call.facts["trace"] = format(context.trace_id, "032x")
        _CURRENT.set(span)
        return span

    def end(self, span: Span, call: Call, status: int) -> None:
        """It was answered; 0 when its client left before that."""
        _CURRENT.set(None)
        route = call.route.path if call.route is not None else None
        if span.is_recording():
            if route is not None:
                span.update_name(f"{call.method} {route}")
                span.set_attribute(names.HTTP_ROUTE, route)
            span.set_attribute(names.HTTP_METHOD, call.method[:16])
            span.set_attribute(names.HTTP_SCHEME, str(call.scope.get("scheme", "http")))
            span.set_attribute(names.REQUEST, call.request_id)
            if status:
                span.set_attribute(names.HTTP_STATUS, status)
            if status >= 500:
                span.set_attribute(names.ERROR, str(status))
                span.set_status(Status(StatusCode.ERROR))
        span.end()

    # --- what comes of them --------------------------------------------------------------------------------------

    def cause(self) -> Cause:
        """The span of the present request."""
        return _CURRENT.get()

    def command_ended(self, report: CommandReport) -> None:
        """A command was answered."""
        attributes: dict[str, AttributeValue] = {
            names.COMMAND: report.kind,
            names.CONVERSATION: report.conversation,
        }
        self._past(f"command {report.kind}", report.cause, report.ended_ns, report.seconds, attributes, report.error)

    def run_ended(self, report: RunReport) -> None:
        """A run ended. Of one that another process began only the end is known."""
        seconds = report.seconds or 0.0
        error = report.reason if report.outcome == "failed" else None
        run = self._past(f"run {report.model}", report.cause, report.ended_ns, seconds, _of_run(report), error)
        began = report.ended_ns - int(seconds * 1e9)
        steps = report.steps or (Step("generation", report.model, 0.0, seconds, error),)
        for step in steps:
            self._step(run, report, step, began, alone=len(steps) == 1)

    def _step(self, run: Span, report: RunReport, step: Step, began: int, *, alone: bool) -> None:
        ended = began + int((step.after + step.seconds) * 1e9)
        attributes: dict[str, AttributeValue] = {names.CONVERSATION: report.conversation}
        if step.kind == "tool":
            name, kind = f"execute_tool {step.name}", SpanKind.INTERNAL
            attributes |= {
                names.OPERATION: "execute_tool",
                names.TOOL_NAME: step.name,
                names.TOOL_CALL: step.call or "",
            }
        else:
            provider, _, model = step.name.partition(":")
            name, kind = f"chat {model}", SpanKind.CLIENT
            attributes |= {names.OPERATION: "chat", names.PROVIDER: provider, names.REQUEST_MODEL: model}
            if alone:
                attributes |= _usage(report) | ({names.FIRST_CHUNK: report.first} if report.first is not None else {})
        self._past(name, run, ended, step.seconds, attributes, step.error, kind)

    def committed(self, report: CommitReport) -> None:
        """The flusher has committed."""
        if report.seconds < SLOW and report.tries == 1:
            return
        attributes: dict[str, AttributeValue] = {
            names.CONVERSATIONS: report.conversations,
            names.EVENTS: report.entries,
            names.TRIES: report.tries,
        }
        self._past("flush", None, report.ended_ns, report.seconds, attributes)

    def _past(
        self,
        name: str,
        parent: Cause,
        ended_ns: int,
        seconds: float,
        attributes: dict[str, AttributeValue],
        error: str | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
    ) -> Span:
        """A span of something that is over."""
        context = set_span_in_context(parent) if isinstance(parent, Span) else _nowhere()
        began = ended_ns - int(seconds * 1e9)
        span = self._tracer.start_span(name, context, kind, attributes, start_time=began)
        if error is not None:
            span.set_attribute(names.ERROR, error)
            span.set_status(Status(StatusCode.ERROR))
        span.end(ended_ns)
        return span


def _nowhere() -> Context:
    # Without it the SDK would look at what it takes for current, which nobody sets here.
    return set_span_in_context(INVALID_SPAN)


def _of_run(report: RunReport) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {
        names.RUN: report.run,
        names.CONVERSATION: report.conversation,
        names.OUTCOME: report.outcome,
        names.ATTEMPT: report.attempt,
    }
    if report.reason is not None:
        attributes[names.FINISH_REASONS] = (report.reason,)
    if report.usage is not None and report.usage.cost is not None:
        attributes[names.COST] = report.usage.cost / 1e9
    return attributes | _usage(report)


def _usage(report: RunReport) -> dict[str, AttributeValue]:
    if report.usage is None:
        return {}
    counts = {name: getattr(report.usage, field) for field, name in names.USAGE.items()}
    return {name: count for name, count in counts.items() if count is not None}
