"""Anthropic's Messages as seen by a provider: the body of a request, and the pieces in a stream of its answer.

For plugins whose upstream speaks this dialect, over whatever transport; nothing here does I/O.

    body = messages_body(request, max_tokens=8192)
    decoder = MessagesDecoder()
    pieces = decoder.feed(data)      # as often as bytes arrive
    decoder.end()                    # when the upstream ended

Nobody here asks for tools that run at Anthropic; where somebody on the way does, what they were asked and said is kept as
the signature of an empty thought, so that a turn that was paused can be sent back as it is.
"""

from __future__ import annotations

from trialogue._dialects.messages_body import GO_ON as GO_ON
from trialogue._dialects.messages_body import documents_of as documents_of
from trialogue._dialects.messages_body import expected_space as expected_space
from trialogue._dialects.messages_body import holds_thoughts as holds_thoughts
from trialogue._dialects.messages_body import messages_body as messages_body
from trialogue._dialects.messages_decoder import MessagesDecoder as MessagesDecoder
from trialogue._dialects.messages_usage import MessagesUsage as MessagesUsage
from trialogue._dialects.messages_usage import usage_of as usage_of

__all__ = [
    "GO_ON",
    "MessagesDecoder",
    "MessagesUsage",
    "documents_of",
    "expected_space",
    "holds_thoughts",
    "messages_body",
    "usage_of",
]
