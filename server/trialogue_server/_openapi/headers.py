"""What headers mean: those that answers carry, and those that a request may."""

from __future__ import annotations

from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]  # Any: a piece of the document, whose form OpenAPI gives.

_ANSWERED = {
    "X-Request-Id": "Names this request in logs and problems; the caller's own where it sent one.",
    "ETag": "The version of what is answered, for `If-Match` and `If-None-Match`.",
    "Location": "Where what was made can be read, or followed as a stream.",
    "Link": 'The next page, with `rel="next"`; absent on the last one.',
    "Set-Cookie": "The session.",
    "Retry-After": "Seconds after which the same request may succeed.",
    "WWW-Authenticate": "How to say who one is.",
    "RateLimit-Policy": "The rates that count this request: `q` requests in `w` seconds.",
    "RateLimit": "What is left of the rate that will run out first: `r` requests now, and full again in `t` seconds.",
    "Content-Disposition": "Whether a browser shows it or saves it, and under which name.",
    "Content-Range": "Which part of the whole this is.",
    "Accept-Ranges": "That parts can be asked for.",
}
_TAKEN = {
    "Idempotency-Key": "Makes a repeat of the request answer as the first one did: a text of the client's choice.",
    "If-Match": "The `ETag` that the change was made for; 412 when there is a newer one.",
    "If-None-Match": "The `ETag` of what one has; 304 when it is still the current one.",
    "If-Range": "The `ETag` of what one has a part of; the whole is answered when it is no longer the current one.",
    "Range": "Which bytes are wanted.",
    "Last-Event-ID": "The `id` of the last event that was seen: the stream goes on behind it.",
}


def answered(name: str) -> Json:
    """A header of an answer, by reference."""
    return {"$ref": f"#/components/headers/{name}"}


def components() -> Json:
    """All headers of answers."""
    numbers = {"Retry-After"}
    return {
        name: {"description": text, "schema": {"type": "integer" if name in numbers else "string"}}
        for name, text in _ANSWERED.items()
    }


def taken(name: str) -> Json:
    """A header of a request, as a parameter."""
    return {"name": name, "in": "header", "description": _TAKEN[name], "schema": {"type": "string"}}
