"""Streams of a conversation's events. They leave through the hub, beside Quart: what is here speaks ASGI itself.

    GET  /api/conversations/{id}/events     from a cursor, or a snapshot and then what follows
    POST /api/conversations/{id}/messages   with ``Accept: text/event-stream``: the message's events from its first on

Until the head of the answer is sent, errors are problems as everywhere; after it, a failure breaks the connection.
"""

from __future__ import annotations

import re

from trialogue import InvalidError, Principal, parse_cursor
from trialogue_server._call import Call, Receive, Reply, Send
from trialogue_server._hub import Tag
from trialogue_server._routes import Route
from trialogue_server._services import Services
from trialogue_server.api.messages import say

_PATH = re.compile(r"/api/conversations/([^/]+)/(events|messages)")


def is_stream(call: Call) -> bool:
    """Whether this call is one of the two; if so, its ``arguments`` are filled in."""
    found = _PATH.fullmatch(call.path)
    if found is None:
        return False
    call.arguments = {"id": found[1]}
    return call.method == "GET" if found[2] == "events" else call.method == "POST" and call.wants_stream()


async def stream(services: Services, call: Call, receive: Receive, send: Send) -> None:
    """Answer such a call. Returns when the client is gone, or the stream was closed; raises before its head is sent."""
    principal = await services.principal(call)
    with services.streams.hold(principal.user.id):
        headers: list[tuple[bytes, bytes]] = []
        cursor = _cursor(call)
        if call.method == "POST" and cursor is None:
            _, location, _ = await say(services, call)
            headers.append((b"location", location.encode()))
            cursor = location.partition("?after=")[2]
        conversation = await services.owned(principal, call.arguments["id"])
        await _follow(services, call, receive, send, principal, conversation.id, cursor, headers)


async def _follow(
    services: Services,
    call: Call,
    receive: Receive,
    send: Send,
    principal: Principal,
    conversation: str,
    cursor: str | None,
    headers: list[tuple[bytes, bytes]],
) -> None:
    # The tail first: what is committed between the two calls is then in the one or the other.
    tail = await services.engine.watch(conversation)
    preface, seq = await services.engine.resume(conversation, cursor)
    await services.hub.stream(
        call.scope,
        receive,
        send,
        tail,
        seq,
        preface=preface,
        headers=headers,
        tag=Tag(principal.user.id, principal.credential, conversation),
    )


def _cursor(call: Call) -> str | None:
    """Where to go on. A client that repeats its POST after a cut sends the header, and attaches instead of posting."""
    cursor = call.header("last-event-id") or call.query("after") or None
    if cursor is not None:
        parse_cursor(cursor)
    return cursor


async def head(services: Services, call: Call) -> Reply:
    """``HEAD`` of the stream: whether it could be opened, without opening it. ``GET`` does not come here."""
    await services.conversation(call)
    if call.method != "HEAD":
        raise InvalidError("this address is a stream: it is answered beside Quart")
    return Reply(200, media_type="text/event-stream")


ROUTES = (Route("GET", "/api/conversations/<id>/events", head, media_type="text/event-stream"),)
