"""For administrators: invitations, each of which lets somebody make one account."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from trialogue import Invitation, NotFoundError, checked_email, is_id, new_id
from trialogue_server._callers.tokens import hash_of, new_token
from trialogue_server._http.call import Call, Reply, json_reply
from trialogue_server._http.links import next_page
from trialogue_server._http.queries import Limit, PageCursor, read_query
from trialogue_server._http.requests import read_struct
from trialogue_server._serving.services import Services
from trialogue_server._surface.routes import Route
from trialogue_server.api._account_bodies import InvitationBody, NewInvitation, ShownInvitation, shown_invitation

#: Longest page.
MOST = 200


class PageQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which part of a list."""

    limit: Limit = 50
    cursor: PageCursor | None = None


class Invitations(msgspec.Struct, frozen=True):
    """Invitations, newest first; used and expired ones too."""

    invitations: tuple[ShownInvitation, ...]
    cursor: str | None
    has_more: bool


async def list_invitations(services: Services, call: Call) -> Reply:
    """``GET /api/admin/invitations``: list invitations and what became of them, newest first."""
    await services.principal(call)
    query = read_query(call, PageQuery)
    page = await services.accounts.invitations(limit=min(query.limit, MOST), cursor=query.cursor)
    invitations = tuple(shown_invitation(one) for one in page.invitations)
    body = Invitations(invitations, page.cursor, page.cursor is not None)
    return json_reply(body, headers=next_page(call, page.cursor))


async def invite(services: Services, call: Call) -> Reply:
    """``POST /api/admin/invitations``: invite one account; the token is shown this once."""
    principal = await services.principal(call)
    body = await read_struct(call, InvitationBody)
    token, now = new_token("tl_invite_"), datetime.now(UTC)
    invitation = Invitation(
        id=new_id(),
        token_hash=hash_of(token),
        role=body.role,
        created_by=principal.user.id,
        created_at=now,
        expires_at=now + timedelta(days=body.days),
        email=None if body.email is None else checked_email(body.email),
    )
    entry = services.origin(call, principal).entry("invitation.made", thing=invitation.id, detail=body.role)
    await services.accounts.add_invitation(invitation, (entry,))
    services.trail.tell(entry)
    return json_reply(NewInvitation(shown_invitation(invitation), token), 201)


async def drop_invitation(services: Services, call: Call) -> Reply:
    """``DELETE /api/admin/invitations/{id}``: withdraw an invitation. One that was used stays as a record."""
    principal, name = await services.principal(call), call.arguments["id"]
    entry = services.origin(call, principal).entry("invitation.revoked", thing=name[:64])
    if not is_id(name) or not await services.accounts.drop_invitation(name, (entry,)):
        raise NotFoundError(f"there is no invitation {name[:64]!r} that could still be used")
    services.trail.tell(entry)
    return Reply(204)


ROUTES = (
    Route(
        "GET",
        "/api/admin/invitations",
        list_invitations,
        access="admin",
        query=PageQuery,
        reply=Invitations,
        headers=("Link",),
    ),
    Route(
        "POST", "/api/admin/invitations", invite, access="admin", body=InvitationBody, reply=NewInvitation, status=201
    ),
    Route("DELETE", "/api/admin/invitations/<id>", drop_invitation, access="admin", status=204),
)
