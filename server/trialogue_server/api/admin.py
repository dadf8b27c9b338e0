"""For administrators: accounts, invitations, the audit log, plugins and live actors.

The last administrator can be neither removed, demoted nor disabled: nobody could make another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta

from trialogue import (
    Action,
    AuditEntry,
    Invitation,
    NotFoundError,
    Origin,
    Reset,
    User,
    UserChange,
    checked_email,
    checked_name,
    is_id,
    new_id,
)
from trialogue_server._account_bodies import (
    InvitationBody,
    Me,
    Moment,
    NewInvitation,
    OfferedReset,
    ShownInvitation,
    UpdateUserBody,
    shown_invitation,
    shown_user,
)
from trialogue_server._call import Call, Reply, json_reply
from trialogue_server._links import next_page
from trialogue_server._queries import Limit, PageCursor, read_query
from trialogue_server._requests import read_struct
from trialogue_server._routes import Route
from trialogue_server._services import Services
from trialogue_server._tokens import hash_of, new_token
from trialogue_server.api.account import remove_account

#: How long a reset can be used: to be passed on and typed, not to lie about.
RESET = timedelta(days=1)
#: Longest page.
MOST = 200


class UsersQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which accounts."""

    limit: Limit = 50
    cursor: PageCursor | None = None
    q: Annotated[str, Meta(max_length=200, description="What stands in the address or the name.")] | None = None


class Users(msgspec.Struct, frozen=True):
    """Accounts, by address."""

    users: tuple[Me, ...]
    cursor: str | None
    has_more: bool


class PageQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which part of a list."""

    limit: Limit = 50
    cursor: PageCursor | None = None


class Invitations(msgspec.Struct, frozen=True):
    """Invitations, newest first; used and expired ones too."""

    invitations: tuple[ShownInvitation, ...]
    cursor: str | None
    has_more: bool


class AuditQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"since": "from", "until": "to"}):
    """Which entries of the audit log."""

    limit: Limit = 50
    cursor: PageCursor | None = None
    action: Annotated[Action | None, Meta(description="What was done.")] = None
    actor: Annotated[str | None, Meta(description="Id of the account that did it.")] = None
    subject: Annotated[str | None, Meta(description="Id of the account it was done to.")] = None
    since: Annotated[Moment | None, Meta(description="Not before this time.")] = None
    until: Annotated[Moment | None, Meta(description="Before this time.")] = None


class Audit(msgspec.Struct, frozen=True):
    """Entries of the audit log, newest first."""

    entries: tuple[AuditEntry, ...]
    cursor: str | None
    has_more: bool


class LoadedPlugin(msgspec.Struct, frozen=True):
    """A plugin in use: the hooks it implements, and the distribution it came in."""

    name: str
    hooks: tuple[str, ...]
    distribution: str | None


class PluginList(msgspec.Struct, frozen=True):
    """Plugins in use, in the order of loading; and those that are not, by name, with the reason."""

    loaded: tuple[LoadedPlugin, ...]
    set_aside: dict[str, str]


class Actors(msgspec.Struct, frozen=True):
    """What lives in this process: figures of everything that queues, and a line for each service and busy conversation."""

    statistics: dict[str, Any]  # Figures, nested as each part has them.
    streams: int
    tree: tuple[str, ...]


# --- accounts ----------------------------------------------------------------------------------------------------


async def list_users(services: Services, call: Call) -> Reply:
    """``GET /api/admin/users``: list accounts, by address."""
    await services.principal(call)
    query = read_query(call, UsersQuery)
    text = (query.q or "").strip() or None
    page = await services.accounts.users(limit=min(query.limit, MOST), cursor=query.cursor, text=text)
    users = tuple(shown_user(user) for user in page.users)
    return json_reply(Users(users, page.cursor, page.cursor is not None), headers=next_page(call, page.cursor))


async def update_user(services: Services, call: Call) -> Reply:
    """``PATCH /api/admin/users/{id}``: change an account's name or role, or whether it is disabled.

    A disabled account is logged out everywhere at once; its API keys rest until it is enabled again.
    """
    principal, before = await services.principal(call), await _user(services, call)
    body = await read_struct(call, UpdateUserBody)
    name = UNSET if body.name is UNSET else checked_name(body.name, before.email)
    change = UserChange(name=name, role=body.role, disabled=body.disabled)
    entries = _changes(services.origin(call, principal), before, change)
    after = await services.accounts.set_user(before.id, change, entries)
    services.forget_user(before.id, close=after is None or after.disabled)
    if after is None:
        raise _no_user(before.id)
    services.trail.tell(*entries)
    return json_reply(shown_user(after))


async def delete_user(services: Services, call: Call) -> Reply:
    """``DELETE /api/admin/users/{id}``: delete an account; everything it owns goes in the background."""
    principal, user = await services.principal(call), await _user(services, call)
    if not await remove_account(services, call, principal, user.id):
        raise _no_user(user.id)
    return Reply(204)


async def offer_reset(services: Services, call: Call) -> Reply:
    """``POST /api/admin/users/{id}/password``: make a token with which the account's password can be set, once.

    It holds for a day, and replaces one that was offered before. The password that is there stays until it is used.
    """
    principal, user = await services.principal(call), await _user(services, call)
    token, expires_at = new_token("tl_reset_"), datetime.now(UTC) + RESET
    entry = services.origin(call, principal).entry("password.reset_offered", user.id)
    if not await services.accounts.add_reset(Reset(user.id, hash_of(token), expires_at), (entry,)):
        raise _no_user(user.id)
    services.trail.tell(entry)
    return json_reply(OfferedReset(token, expires_at), 201)


async def _user(services: Services, call: Call) -> User:
    name = call.arguments["id"]
    user = await services.accounts.user(name) if is_id(name) else None
    if user is None:
        raise _no_user(name)
    return user


def _no_user(user: str) -> NotFoundError:
    return NotFoundError(f"there is no account {user[:64]!r}: GET /api/admin/users lists them")


def _changes(origin: Origin, before: User, change: UserChange) -> Sequence[AuditEntry]:
    entries: list[AuditEntry] = []
    if change.role is not UNSET and change.role != before.role:
        entries.append(origin.entry("role.changed", before.id, detail=f"{before.role} to {change.role}"))
    if change.disabled is not UNSET and change.disabled != before.disabled:
        entries.append(origin.entry("account.disabled" if change.disabled else "account.enabled", before.id))
    if change.name is not UNSET and change.name != before.name:
        entries.append(origin.entry("account.updated", before.id, detail="name"))
    return entries


# --- invitations -------------------------------------------------------------------------------------------------


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


# --- what goes on ------------------------------------------------------------------------------------------------


async def show_audit(services: Services, call: Call) -> Reply:
    """``GET /api/admin/audit``: read who did what to which account, from where, newest first."""
    await services.principal(call)
    query = read_query(call, AuditQuery)
    page = await services.accounts.audit(
        limit=min(query.limit, MOST),
        cursor=query.cursor,
        action=query.action,
        actor=query.actor,
        subject=query.subject,
        since=query.since,
        until=query.until,
    )
    body = Audit(page.entries, page.cursor, page.cursor is not None)
    return json_reply(body, headers=next_page(call, page.cursor))


async def list_plugins(services: Services, call: Call) -> Reply:
    """``GET /api/admin/plugins``: list what is loaded, what it adds, and what was set aside and why."""
    await services.principal(call)
    plugins = services.plugins
    if plugins is None:
        return json_reply(PluginList((), {}))
    loaded = tuple(LoadedPlugin(one.name, one.hooks, one.distribution) for one in plugins.loaded.values())
    return json_reply(PluginList(loaded, dict(plugins.set_aside)))


async def show_actors(services: Services, call: Call) -> Reply:
    """``GET /api/admin/actors``: see what lives in this process, and what waits in it."""
    await services.principal(call)
    engine = services.engine
    streams = services.hub.statistics().streams
    return json_reply(Actors(engine.statistics(), streams, tuple(engine.tree().splitlines())))


ROUTES = (
    Route("GET", "/api/admin/users", list_users, access="admin", query=UsersQuery, reply=Users, headers=("Link",)),
    Route("PATCH", "/api/admin/users/<id>", update_user, access="admin", body=UpdateUserBody, reply=Me),
    Route("DELETE", "/api/admin/users/<id>", delete_user, access="admin", status=204),
    Route("POST", "/api/admin/users/<id>/password", offer_reset, access="admin", reply=OfferedReset, status=201),
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
    Route("GET", "/api/admin/audit", show_audit, access="admin", query=AuditQuery, reply=Audit, headers=("Link",)),
    Route("GET", "/api/admin/plugins", list_plugins, access="admin", reply=PluginList),
    Route("GET", "/api/admin/actors", show_actors, access="admin", reply=Actors),
)
