"""For administrators: accounts, plugins and live actors.

The last administrator can be neither removed, demoted nor disabled: nobody could make another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta

from trialogue import (
    AuditEntry,
    NotFoundError,
    Origin,
    Reset,
    User,
    UserChange,
    checked_name,
    is_id,
)
from trialogue_server._callers.tokens import hash_of, new_token
from trialogue_server._http.call import Call, Reply, json_reply
from trialogue_server._http.links import next_page
from trialogue_server._http.queries import Limit, PageCursor, read_query
from trialogue_server._http.requests import read_struct
from trialogue_server._serving.services import Services
from trialogue_server._surface.routes import Route
from trialogue_server.api._account_bodies import (
    Me,
    OfferedReset,
    UpdateUserBody,
    shown_user,
)
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
    entries = changes_of(services.origin(call, principal), before, change)
    after = await services.accounts.set_user(before.id, change, entries)
    services.endings.forget_user(before.id, close=after is None or after.disabled)
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


def changes_of(origin: Origin, before: User, change: UserChange) -> Sequence[AuditEntry]:
    """What the audit log is told of a change."""
    entries: list[AuditEntry] = []
    if change.role is not UNSET and change.role != before.role:
        entries.append(origin.entry("role.changed", before.id, detail=f"{before.role} to {change.role}"))
    if change.disabled is not UNSET and change.disabled != before.disabled:
        entries.append(origin.entry("account.disabled" if change.disabled else "account.enabled", before.id))
    if change.name is not UNSET and change.name != before.name:
        entries.append(origin.entry("account.updated", before.id, detail="name"))
    return entries


# --- what goes on ------------------------------------------------------------------------------------------------


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
    Route("GET", "/api/admin/plugins", list_plugins, access="admin", reply=PluginList),
    Route("GET", "/api/admin/actors", show_actors, access="admin", reply=Actors),
)
