"""The description of this API, for machines; the page for people is ``/docs``."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

import msgspec

from trialogue_server._call import Call, Reply
from trialogue_server._openapi import make_document
from trialogue_server._routes import Answer, Route
from trialogue_server._services import Services


async def openapi(services: Services, call: Call) -> Reply:
    """``GET /openapi.json``: read this document, OpenAPI 3.1."""
    body, etag = encoded_document()
    headers = (("ETag", etag), ("Cache-Control", "no-cache"))
    if etag in call.header("if-none-match"):
        return Reply(304, headers=headers)
    return Reply(200, body, headers)


@cache
def encoded_document() -> tuple[bytes, str]:
    """The document's bytes and their entity tag: the same as long as the process lives."""
    from trialogue_server.api import BLUEPRINTS  # This module is one of them.

    body = msgspec.json.encode(make_document(BLUEPRINTS))
    return body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'


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
