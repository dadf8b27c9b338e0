"""Public links, as their owner makes, lists and ends them: each shows a branch as it was then. What it shows: ``shared``."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

import msgspec

from trialogue import (
    ConflictError,
    Conversation,
    InvalidError,
    LimitError,
    Message,
    NotFoundError,
    Share,
    is_id,
    lengths_of,
    new_id,
    written,
)
from trialogue_server._http.call import Call, Reply, json_reply
from trialogue_server._http.requests import ShareBody, checked_id, read_struct
from trialogue_server._serving.idempotency import command_id
from trialogue_server._serving.services import Services, no_message
from trialogue_server._surface.routes import Route

#: Random bytes of a token: as many as a session's.
TOKEN_BYTES = 24


class Link(msgspec.Struct, frozen=True):
    """A public link, as its owner sees it; ``path`` is the page that shows it, below the server's own address."""

    id: str
    token: str
    path: str
    conversation: str
    message: str
    title: str | None
    created_at: datetime
    expires_at: datetime | None


class Links(msgspec.Struct, frozen=True):
    """The links of a conversation, oldest first."""

    shares: tuple[Link, ...]


async def share(services: Services, call: Call) -> Reply:
    """``POST /api/conversations/{id}/share``: make a public link; again with the same ``id`` or key, the same one.

    It shows the branch as it is now: what is said or written later does not show, a correction does.
    """
    principal, header = await services.conversation(call)
    body = await read_struct(call, ShareBody, optional=True)
    now = datetime.now(UTC)
    if body.expires is not None and body.expires <= now:
        raise InvalidError("this is in the past: name a time to come, or leave it out", pointer="/expires")
    name = checked_id(body.id, "/id") or command_id(call, principal.user.id, header.id, "share") or new_id()
    leaf = await _leaf(services, header, body.message, name)
    made = await services.store.shares.add(
        Share(
            id=name,
            token=secrets.token_urlsafe(TOKEN_BYTES),
            conversation=header.id,
            message=leaf.id,
            created_at=now,
            title=body.title or header.title,
            expires_at=body.expires,
            lengths=lengths_of(leaf.parts),
            revision=leaf.revision,
        )
    )
    return json_reply(_link(made), 201, (("Location", f"/api/conversations/{header.id}/share"),))


async def links(services: Services, call: Call) -> Reply:
    """``GET /api/conversations/{id}/share``: list the public links of a conversation, with their tokens."""
    _, header = await services.conversation(call)
    found = await services.store.shares.of(header.id)
    return json_reply(Links(tuple(map(_link, found))))


async def unshare(services: Services, call: Call) -> Reply:
    """``DELETE /api/conversations/{id}/share/{share}``: end a link, named by its id or token: it opens nothing any more."""
    _, header = await services.conversation(call)
    name = call.arguments["share"]
    for found in await services.store.shares.of(header.id):
        if name in (found.id, found.token):
            await services.store.shares.drop(header.id, found.id)
            services.endings.close_streams(found.id)
            return Reply(204)
    raise NotFoundError("there is no such link to this conversation: see GET .../share")


async def _leaf(services: Services, header: Conversation, named: str | None, share: str) -> Message:
    if header.deleted_at is not None:
        raise ConflictError("the conversation is in the trash: restore it first")
    others = [one for one in await services.store.shares.of(header.id) if one.id != share]
    if len(others) >= services.config.shares_per_conversation:
        raise LimitError(f"it has {len(others)} links already (shares_per_conversation): end one of them first")
    name = named or header.head
    if name is None:
        raise InvalidError("there is nothing to share yet: say something first")
    message = await services.store.message(name) if is_id(name) else None
    if message is None or message.conversation != header.id:
        raise no_message(name)
    return await written(services.store, message)


def _link(one: Share) -> Link:
    return Link(
        id=one.id,
        token=one.token,
        path=f"/s/{one.token}",
        conversation=one.conversation,
        message=one.message,
        title=one.title,
        created_at=one.created_at,
        expires_at=one.expires_at,
    )


ROUTES = (
    Route("GET", "/api/conversations/<id>/share", links, reply=Links),
    Route(
        "POST",
        "/api/conversations/<id>/share",
        share,
        body=ShareBody,
        body_optional=True,
        reply=Link,
        status=201,
        headers=("Location",),
        takes=("Idempotency-Key",),
        problems=(ConflictError, LimitError),
    ),
    Route("DELETE", "/api/conversations/<id>/share/<share>", unshare, status=204),
)
