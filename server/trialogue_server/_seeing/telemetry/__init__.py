"""Traces and metrics for a collector, over OTLP, when the environment names one as OpenTelemetry's SDK reads it.

    opening      whether it is wanted, and the SDK's parts while it is
    tracing      spans of requests, commands, runs, model and tool calls, and slow commits
    instruments  the metrics of the GenAI conventions
    names        what the conventions call things, all in one table

The SDK is imported when it is wanted, and only then. Its own threads send what they are given; the loop waits for none of
it, and what a collector is too slow for is dropped by them.
"""

from trialogue_server._seeing.telemetry.opening import Telemetry as Telemetry
from trialogue_server._seeing.telemetry.opening import open_telemetry as open_telemetry
