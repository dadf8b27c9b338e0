"""Names of OpenTelemetry's conventions: those for HTTP are stable, those for generative AI are still being renamed.

So each stands here once. The second set of GenAI metrics is what is proposed to come after the first, which dashboards know;
``OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai_latest_experimental`` chooses it, as the specification asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

OPT_IN = "OTEL_SEMCONV_STABILITY_OPT_IN"
LATEST = "gen_ai_latest_experimental"

# --- attributes --------------------------------------------------------------------------------------------------

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
CONVERSATION = "gen_ai.conversation.id"
FINISH_REASONS = "gen_ai.response.finish_reasons"
FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
TOOL_NAME = "gen_ai.tool.name"
TOOL_CALL = "gen_ai.tool.call.id"
TOKEN_TYPE = "gen_ai.token.type"
ERROR = "error.type"
#: By field of our ``Usage``.
USAGE = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cache_read_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_write_tokens": "gen_ai.usage.cache_write.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
}

HTTP_METHOD = "http.request.method"
HTTP_ROUTE = "http.route"
HTTP_STATUS = "http.response.status_code"
HTTP_SCHEME = "url.scheme"

# Ours, for what no convention names.
RUN = "trialogue.run.id"
OUTCOME = "trialogue.run.outcome"
ATTEMPT = "trialogue.run.attempt"
COST = "trialogue.run.cost_dollars"
REQUEST = "trialogue.request.id"
COMMAND = "trialogue.command"
CONVERSATIONS = "trialogue.commit.conversations"
EVENTS = "trialogue.commit.events"
TRIES = "trialogue.commit.tries"

# --- metrics -----------------------------------------------------------------------------------------------------

HTTP_DURATION = "http.server.request.duration"


class Metrics(NamedTuple):
    """Names of the GenAI metrics."""

    duration: str
    first_chunk: str
    per_chunk: str
    #: One metric for both kinds of tokens, or one for each.
    tokens: tuple[str, ...]


KNOWN = Metrics(
    "gen_ai.client.operation.duration",
    "gen_ai.client.operation.time_to_first_chunk",
    "gen_ai.client.operation.time_per_output_chunk",
    ("gen_ai.client.token.usage",),
)
PROPOSED = Metrics(
    "gen_ai.client.inference.duration",
    "gen_ai.client.inference.time_to_first_chunk",
    "gen_ai.client.inference.time_per_output_chunk",
    ("gen_ai.client.inference.usage.input_tokens", "gen_ai.client.inference.usage.output_tokens"),
)


def metrics(environment: Mapping[str, str]) -> Metrics:
    """The set that is wanted."""
    return PROPOSED if LATEST in environment.get(OPT_IN, "").split(",") else KNOWN
