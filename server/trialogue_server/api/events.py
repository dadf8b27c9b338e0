"""Streams of events. They leave through the hub, beside Quart: what is here speaks ASGI itself.

    GET  /api/events                        the caller's list: a snapshot or a cursor, and then what changes in it
    GET  /api/conversations/{id}/events     from a cursor, or a snapshot and then what follows
    POST /api/conversations/{id}/messages   with ``Accept: text/event-stream``: the message's events from its first on

Until the head of the answer is sent, errors are problems as everywhere; after it, a failure breaks the connection.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from trialogue import InvalidError, Principal, parse_cursor
from trialogue_server._http.call import Call, Receive, Reply, Send
from trialogue_server._http.queries import read_query
from trialogue_server._serving.expiry import until_it_ends
from trialogue_server._serving.reading import Opening, open_conversation, open_list
from trialogue_server._serving.services import Services
from trialogue_server._surface.routes import Route
from trialogue_server.api._shapes import ListEvent, StreamEvent
from trialogue_server.api.messages import EVENTS, StreamQuery, say

_LIST = "/api/events"
_PATH = re.compile(r"/api/conversations/([^/]+)/(events|messages)")


class ListQuery(StreamQuery, frozen=True, forbid_unknown_fields=True):
    """Where the list's stream goes on, or how it begins."""

    limit: Annotated[int, Meta(ge=1, le=100, description="Rows of the first page, in the snapshot.")] = 50


def is_stream(call: Call) -> bool:
    """Whether this call is one of the three; if so, its ``arguments`` are filled in."""
    if call.path == _LIST:
        return call.method == "GET"
    found = _PATH.fullmatch(call.path)
    if found is None:
        return False
    call.arguments = {"id": found[1]}
    return call.method == "GET" if found[2] == "events" else call.method == "POST" and call.wants_stream()


async def stream(services: Services, call: Call, receive: Receive, send: Send) -> None:
    """Answer such a call. Returns when the client is gone, or the stream was closed; raises before its head is sent."""
    principal = await services.principal(call)
    with services.held.streams.hold(principal.user.id):
        async with until_it_ends(services, principal.credential, principal.until):
            await _answer(services, call, receive, send, principal)


async def _answer(services: Services, call: Call, receive: Receive, send: Send, principal: Principal) -> None:
    if call.path == _LIST:
        query = read_query(call, ListQuery)
        cursor = call.header("last-event-id") or query.after or None
        await _follow(services, call, receive, send, await open_list(services, principal, cursor, query.limit))
        return
    headers: list[tuple[bytes, bytes]] = []
    cursor = _cursor(call)
    if call.method == "POST" and cursor is None:
        _, location, _ = await say(services, call)
        headers.append((b"location", location.encode()))
        cursor = location.partition("?after=")[2]
    opening = await open_conversation(services, principal, call.arguments["id"], cursor)
    await _follow(services, call, receive, send, opening, headers)


async def _follow(
    services: Services,
    call: Call,
    receive: Receive,
    send: Send,
    opening: Opening,
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> None:
    source, preface, seq, tag = opening
    await services.hub.stream(
        call.scope, receive, send, source, seq, preface=preface, headers=headers, tag=tag, began=call.began
    )


def _cursor(call: Call) -> str | None:
    """Where to go on. A client that repeats its POST after a cut sends the header, and attaches instead of posting."""
    cursor = call.header("last-event-id") or read_query(call, StreamQuery).after or None
    if cursor is not None:
        parse_cursor(cursor)
    return cursor


async def follow_list(services: Services, call: Call) -> Reply:
    """``GET /api/events``: follow one's list as it changes, from a cursor or a snapshot on.

    Each `conversation.changed` carries the conversation's whole row, so that applying one twice, or one that was replaced
    by a newer `seq`, is seen and harmless. One stream is enough for a page's whole list, who is speaking included.
    """
    await services.principal(call)
    return _head(call)


async def follow(services: Services, call: Call) -> Reply:
    """``GET /api/conversations/{id}/events``: follow what happens in a conversation, from a cursor or a snapshot on.

    The stream goes on until one of both sides leaves; runs go on without any reader. HEAD asks whether it could be opened.
    """
    await services.conversation(call)
    return _head(call)


def _head(call: Call) -> Reply:
    # Only HEAD comes here: GET is answered beside Quart.
    if call.method != "HEAD":
        raise InvalidError("this address is a stream: it is answered beside Quart")
    return Reply(200, media_type=EVENTS)


ROUTES = (
    Route(
        "GET",
        _LIST,
        follow_list,
        query=ListQuery,
        media_type=EVENTS,
        events=ListEvent,
        takes=("Last-Event-ID",),
    ),
    Route(
        "GET",
        "/api/conversations/<id>/events",
        follow,
        query=StreamQuery,
        media_type=EVENTS,
        events=StreamEvent,
        takes=("Last-Event-ID",),
    ),
)
