"""The description of this API, for machines; the page for people is ``/docs``."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from typing import Any

import msgspec
import trio

from trialogue_server._http.call import Call, Reply
from trialogue_server._openapi import make_document
from trialogue_server._serving.services import Services
from trialogue_server._surface.routes import Answer, Route


async def openapi(services: Services, call: Call) -> Reply:
    """``GET /openapi.json``: read this document, OpenAPI 3.1."""
    # Made in a tenth of a second, which the loop does not have.
    made = encoded_document.cache_info().currsize
    body, packed, etag = encoded_document() if made else await trio.to_thread.run_sync(encoded_document)
    headers = [("ETag", etag), ("Cache-Control", "no-cache"), ("Vary", "Accept-Encoding")]
    if etag.removeprefix("W/") in call.header("if-none-match"):
        return Reply(304, headers=tuple(headers))
    if "gzip" in call.header("accept-encoding"):
        return Reply(200, packed, (*headers, ("Content-Encoding", "gzip")))
    return Reply(200, body, tuple(headers))


@cache
def encoded_document() -> tuple[bytes, bytes, str]:
    """The document's bytes, the same compressed, and their entity tag: made once, as long as the process lives."""
    from trialogue_server.api import BLUEPRINTS  # This module is one of them.

    body = msgspec.json.encode(make_document(BLUEPRINTS))
    return body, gzip.compress(body, mtime=0), f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'


ROUTES = (
    Route(
        "GET",
        "/openapi.json",
        openapi,
        access="public",
        reply=dict[str, Any],  # Any: a piece of the document, whose form OpenAPI gives.
        headers=("ETag",),
        takes=("If-None-Match",),
        also=(Answer(304, ""),),
        limited=False,
    ),
)
