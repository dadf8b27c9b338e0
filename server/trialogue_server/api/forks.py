"""Forks: a conversation of one's own that begins with a branch of another, the middle of an answer included."""

from __future__ import annotations

from datetime import UTC, datetime

from trialogue import ConflictError, Conversation, ForkConversation, LimitError, is_id, new_id
from trialogue_server._http.call import Call, Reply, json_reply
from trialogue_server._http.etags import etag_of
from trialogue_server._http.requests import ForkBody, checked_id, read_struct
from trialogue_server._serving.idempotency import command_id, told
from trialogue_server._serving.services import Services, no_message
from trialogue_server._surface.routes import Route


async def fork(services: Services, call: Call) -> Reply:
    """``POST /api/conversations/{id}/fork``: a new conversation with a branch of this one; a repeat makes no second.

    An answer that is being written is copied as far as it is, and marked incomplete; the original goes on.
    """
    principal, source = await services.conversation(call)
    body = await read_struct(call, ForkBody, optional=True)
    if body.message is not None and not is_id(body.message):
        raise no_message(body.message)
    name = checked_id(body.id, "/id") or command_id(call, principal.user.id, source.id, "fork") or new_id()
    command = ForkConversation(
        id=name,
        owner=principal.user.id,
        at=datetime.now(UTC),
        source=source.id,
        message=body.message,
        cut=body.at,
        title=body.title,
    )
    try:
        await services.engine.fork(command)
    except ConflictError as error:
        raise await told(services, call, name, name, error) from error
    header = await services.owned(principal, name)
    return json_reply(header, 201, (("ETag", etag_of(header)), ("Location", f"/api/conversations/{name}")))


ROUTES = (
    Route(
        "POST",
        "/api/conversations/<id>/fork",
        fork,
        body=ForkBody,
        body_optional=True,
        reply=Conversation,
        status=201,
        headers=("ETag", "Location"),
        takes=("Idempotency-Key",),
        problems=(ConflictError, LimitError),
    ),
)
