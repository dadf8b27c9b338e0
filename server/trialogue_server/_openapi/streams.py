"""Streams of events in the document, which has words for one body and not for many: an extension lists them by type.

x-events: {"message.added": {"$ref": "#/components/schemas/MessageAdded"}, ...}

What is said over a WebSocket stands in ``x-messages``, in the same way for each of the two sides.
"""

from __future__ import annotations

from typing import Any, get_args

from trialogue_server._openapi.headers import Json
from trialogue_server._openapi.schemas import Schemas

MEDIA_TYPE = "text/event-stream"
_WORDS = """\
Server-sent events. Each has an `id`, a cursor with which a stream goes on behind it (`Last-Event-ID`, or the parameter \
`after`), an `event`, its type, and `data`, one JSON object whose form `x-events` gives by type. Between them there are \
comments, so that no proxy takes the connection for dead. A connection that ends without `reconnect` was cut: ask again \
from the last cursor. What is applied twice changes nothing."""


def content(events: Any, schemas: Schemas) -> Json:
    """The body of an answer that is a stream of ``events``, a union of structs with tags."""
    return {MEDIA_TYPE: {"schema": {"type": "string", "description": _WORDS}, "x-events": listed(events, schemas)}}


def listed(events: Any, schemas: Schemas) -> Json:
    """The schemas of a union of structs, by their tags."""
    return {_name(kind): schemas.of(kind) for kind in kinds(events)}


def kinds(events: Any) -> tuple[Any, ...]:
    """The types of a union, or the one type it is."""
    return get_args(events) or (events,)


def _name(kind: Any) -> str:
    return str(kind.__struct_config__.tag or kind.__name__.lower())
