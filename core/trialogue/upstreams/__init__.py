"""Asking upstreams over HTTP, for providers that have an SDK and want to pay for it only when it is needed.

An SDK's way through its client is the largest cost of a first token, and of every other. Here the first attempt and the
reading are ours, over connections of our own; credentials, headers and errors stay the SDK's. Asking again is the server's.

    _wire, _chunked   a connection: a request as it stands, the answer in reads as large as possible
    _wires            connections made and kept
    _transport        the SDK's HTTP client over them, and how the SDK is given what came of our attempt
    _client           that client, made
    _questions        ``open_questions``: what is answered in JSON, as lists of models are, without the SDK
    _body             the body of an answer, from our connection or by way of the client
    _upstream         ``Upstream``: asked by us first, by the SDK whenever that does not go smoothly
    _stream           ``DecodedStream``: a response stream from a body and the decoder of a dialect
    _errors           ``translated``: what an SDK raises, as ours

Importing this needs httpx2 and h11 and takes a moment: providers import it when they are first used, in a thread, as
``trialogue.sdk_provider`` does. Only HTTP/1.1 is spoken; proxies of the environment are left to the client.
"""

from __future__ import annotations

from trialogue.upstreams._body import Body as Body
from trialogue.upstreams._body import PlainBody as PlainBody
from trialogue.upstreams._body import WireBody as WireBody
from trialogue.upstreams._errors import retry_after as retry_after
from trialogue.upstreams._errors import translated as translated
from trialogue.upstreams._questions import Questions as Questions
from trialogue.upstreams._questions import custom_headers as custom_headers
from trialogue.upstreams._questions import open_questions as open_questions
from trialogue.upstreams._stream import DecodedStream as DecodedStream
from trialogue.upstreams._stream import Decoder as Decoder
from trialogue.upstreams._upstream import TIMEOUT as TIMEOUT
from trialogue.upstreams._upstream import Upstream as Upstream

__all__ = [
    "TIMEOUT",
    "Body",
    "DecodedStream",
    "Decoder",
    "PlainBody",
    "Questions",
    "Upstream",
    "WireBody",
    "custom_headers",
    "open_questions",
    "retry_after",
    "translated",
]
