"""OpenAI's Chat Completions and Responses as seen by a provider: bodies of requests, and the pieces in a stream.

For plugins whose upstream speaks one of these, over whatever transport; nothing here does I/O.

    body = chat_body(request)        # or responses_body(request)
    decoder = ChatDecoder()          # or ResponsesDecoder()
    pieces = decoder.feed(data)      # as often as bytes arrive
    decoder.end()                    # when the upstream ended
"""

from __future__ import annotations

from trialogue._dialects.call_collector import LONGEST_ARGUMENTS as LONGEST_ARGUMENTS
from trialogue._dialects.call_collector import MOST_CALLS as MOST_CALLS
from trialogue._dialects.chat_body import chat_body as chat_body
from trialogue._dialects.chat_decoder import ChatDecoder as ChatDecoder
from trialogue._dialects.event_lines import LONGEST_LINE as LONGEST_LINE
from trialogue._dialects.event_lines import kind_of_status as kind_of_status
from trialogue._dialects.event_lines import shown as shown
from trialogue._dialects.json_schemas import is_strict as is_strict
from trialogue._dialects.responses_body import responses_body as responses_body
from trialogue._dialects.responses_body import sends_thoughts as sends_thoughts
from trialogue._dialects.responses_decoder import ResponsesDecoder as ResponsesDecoder
from trialogue._dialects.responses_decoder import ResponsesUsage as ResponsesUsage
from trialogue._dialects.responses_decoder import responses_usage as responses_usage
from trialogue._dialects.responses_rest import Heard as Heard
from trialogue._dialects.responses_rest import rest_of as rest_of

__all__ = [
    "LONGEST_ARGUMENTS",
    "LONGEST_LINE",
    "MOST_CALLS",
    "ChatDecoder",
    "Heard",
    "ResponsesDecoder",
    "ResponsesUsage",
    "chat_body",
    "is_strict",
    "kind_of_status",
    "responses_body",
    "responses_usage",
    "rest_of",
    "sends_thoughts",
    "shown",
]
