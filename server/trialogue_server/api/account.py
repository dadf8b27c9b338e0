"""One's own account: what it says, its password, its devices, its API keys, and its end.

What decides about the account takes its password once more: a session that was left open somewhere is not enough. None of
it can be done with an API key.
"""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec import UNSET

from trialogue import (
    ApiKey,
    InvalidError,
    NotFoundError,
    Principal,
    UnauthenticatedError,
    User,
    UserChange,
    checked_email,
    checked_name,
    new_id,
)
from trialogue_server._account_bodies import (
    DeleteMeBody,
    Devices,
    KeyBody,
    KeyList,
    Me,
    NewKey,
    PasswordBody,
    UpdateMeBody,
    shown_key,
    shown_session,
    shown_user,
)
from trialogue_server._call import Call, Reply, json_reply
from trialogue_server._errors import PasswordError
from trialogue_server._json_limits import check_json
from trialogue_server._keys import PREFIX
from trialogue_server._requests import read_struct
from trialogue_server._routes import Route
from trialogue_server._services import Services
from trialogue_server._tokens import hash_of, new_token
from trialogue_server.api.auth import verify

# --- the account -------------------------------------------------------------------------------------------------


async def show(services: Services, call: Call) -> Reply:
    """``GET /api/auth/me``: read one's own account."""
    principal = await services.principal(call)
    return json_reply(shown_user(principal.user))


async def update(services: Services, call: Call) -> Reply:
    """``PATCH /api/auth/me``: change one's name, e-mail address or preferences by a merge patch.

    ``preferences`` are any JSON object, for the page or another client to remember things by; null empties them.
    """
    principal = await services.principal(call)
    body = await read_struct(call, UpdateMeBody)
    user = principal.user
    if body.email is not UNSET:
        if body.password is UNSET:
            raise InvalidError("a new address takes the password: send both", pointer="/password")
        await _confirm(services, call, user, body.password)
    check_json(body.preferences, "/preferences")
    change = UserChange(
        name=UNSET if body.name is UNSET else checked_name(body.name, user.email),
        email=UNSET if body.email is UNSET else checked_email(body.email),
        preferences=body.preferences,
    )
    named = [name for name in ("name", "email") if getattr(body, name) is not UNSET]
    entry = services.origin(call, principal).entry("account.updated", user.id, detail=", ".join(named))
    # Preferences change with every click and open no doors: they are not for the audit log.
    changed = await services.accounts.set_user(user.id, change, (entry,) if named else ())
    services.forget_user(user.id, close=False)
    if changed is None:
        raise _gone()
    services.trail.tell(*((entry,) if named else ()))
    return json_reply(shown_user(changed))


async def change_password(services: Services, call: Call) -> Reply:
    """``POST /api/auth/password``: change one's password; every other session ends, its streams included. API keys stay."""
    principal = await services.principal(call)
    body = await read_struct(call, PasswordBody)
    await _confirm(services, call, principal.user, body.old, pointer="/old")
    entry = services.origin(call, principal).entry("password.changed", principal.user.id)
    try:
        ended = await services.authenticator().change_secret(principal.user, body.new, principal.session, (entry,))
    except InvalidError as error:
        raise InvalidError(error.detail, pointer="/new") from error
    services.forget_user(principal.user.id, close=False)
    services.close_streams(*ended)
    services.trail.tell(entry)
    return Reply(204)


async def delete(services: Services, call: Call) -> Reply:
    """``DELETE /api/auth/me``: delete one's account; everything it owns goes in the background."""
    principal = await services.principal(call)
    body = await read_struct(call, DeleteMeBody)
    await _confirm(services, call, principal.user, body.password)
    if not await remove_account(services, call, principal, principal.user.id):
        raise _gone()
    cookie = services.sessions.forget_cookie(secure=services.peers.is_secure(call))
    return Reply(204, headers=(("Set-Cookie", cookie),))


async def remove_account(services: Services, call: Call, principal: Principal, user: str) -> bool:
    """Remove an account, its own or another's. Whether there was one. Raises ``ConflictError`` (last administrator)."""
    entry = services.origin(call, principal).entry("account.deleted", user)
    removed = await services.accounts.remove_user(user, (entry,))
    services.forget_user(user, close=True)
    if removed:
        services.trail.tell(entry)
        services.engine.clearing.poke()
    return removed


async def _confirm(services: Services, call: Call, user: User, password: str, pointer: str = "/password") -> None:
    """Raises ``PasswordError`` unless it is the account's; ``ThrottledError`` as for a login."""
    try:
        await verify(services, call, user.email, password)
    except UnauthenticatedError as error:
        raise PasswordError("the password is wrong: check it and try again", pointer=pointer) from error


def _gone() -> NotFoundError:
    return NotFoundError("the account is gone")


# --- devices -----------------------------------------------------------------------------------------------------


async def list_sessions(services: Services, call: Call) -> Reply:
    """``GET /api/auth/sessions``: list where one is logged in, the device seen last first."""
    principal = await services.principal(call)
    sessions = await services.accounts.sessions(principal.user.id)
    return json_reply(Devices(tuple(shown_session(session, principal.session) for session in sessions)))


async def end_session(services: Services, call: Call) -> Reply:
    """``DELETE /api/auth/sessions/{id}``: log that device out at once, its streams included."""
    principal, name = await services.principal(call), call.arguments["id"]
    if name not in {session.id for session in await services.accounts.sessions(principal.user.id)}:
        raise NotFoundError(f"there is no session {name[:64]!r}: GET /api/auth/sessions lists them")
    entry = services.origin(call, principal).entry("session.revoked", principal.user.id, thing=name)
    if await services.sessions.end(name, (entry,)):
        services.trail.tell(entry)
    services.close_streams(name)
    return Reply(204)


# --- keys --------------------------------------------------------------------------------------------------------


async def list_keys(services: Services, call: Call) -> Reply:
    """``GET /api/auth/keys``: list one's API keys, without their tokens."""
    principal = await services.principal(call)
    keys = await services.accounts.keys(principal.user.id)
    return json_reply(KeyList(tuple(shown_key(key) for key in keys)))


async def add_key(services: Services, call: Call) -> Reply:
    """``POST /api/auth/keys``: make an API key; its token is shown this once.

    Send it as ``Authorization: Bearer``. ``read`` is for what asks, ``write`` for what changes, ``admin`` for what
    administrators may; none includes another.
    """
    principal = await services.principal(call)
    body = await read_struct(call, KeyBody)
    token = new_token(PREFIX)
    key = _checked(body, principal.user, hash_of(token))
    origin = services.origin(call, principal)
    entry = origin.entry("key.made", principal.user.id, thing=key.id, detail=" ".join(key.scopes))
    await services.accounts.add_key(key, services.config.keys_per_user, (entry,))
    services.trail.tell(entry)
    return json_reply(NewKey(shown_key(key), token), 201)


async def drop_key(services: Services, call: Call) -> Reply:
    """``DELETE /api/auth/keys/{id}``: revoke the key at once; its live streams end."""
    principal, name = await services.principal(call), call.arguments["id"]
    key = await services.accounts.key_by_id(name)
    if key is None or key.user != principal.user.id:
        raise NotFoundError(f"there is no API key {name[:64]!r}: GET /api/auth/keys lists them")
    entry = services.origin(call, principal).entry("key.revoked", principal.user.id, thing=name)
    if await services.accounts.drop_key(name, (entry,)):
        services.trail.tell(entry)
    services.keys.cache.forget_where(lambda kept, _: kept.id == name)
    services.close_streams(name)
    return Reply(204)


def _checked(body: KeyBody, user: User, token_hash: bytes) -> ApiKey:
    now = datetime.now(UTC)
    if body.expires_at is not None and body.expires_at <= now:
        raise InvalidError("the key would have expired already: name a time to come", pointer="/expires_at")
    if "admin" in body.scopes and user.role != "admin":
        raise InvalidError("only an administrator's key can have the scope 'admin'", pointer="/scopes")
    name = checked_name(body.name, "") or "key"
    scopes = tuple(dict.fromkeys(body.scopes))
    expires_at = body.expires_at.astimezone(UTC) if body.expires_at else None
    return ApiKey(new_id(), user.id, token_hash, name, scopes, now, expires_at, body.budget)


ROUTES = (
    Route("GET", "/api/auth/me", show, reply=Me),
    Route("PATCH", "/api/auth/me", update, access="account", body=UpdateMeBody, reply=Me, problems=(PasswordError,)),
    Route(
        "DELETE",
        "/api/auth/me",
        delete,
        access="account",
        body=DeleteMeBody,
        status=204,
        headers=("Set-Cookie",),
        problems=(PasswordError,),
    ),
    Route(
        "POST",
        "/api/auth/password",
        change_password,
        access="account",
        body=PasswordBody,
        status=204,
        problems=(PasswordError,),
    ),
    Route("GET", "/api/auth/sessions", list_sessions, access="account", reply=Devices),
    Route("DELETE", "/api/auth/sessions/<id>", end_session, access="account", status=204),
    Route("GET", "/api/auth/keys", list_keys, access="account", reply=KeyList),
    Route("POST", "/api/auth/keys", add_key, access="account", body=KeyBody, reply=NewKey, status=201),
    Route("DELETE", "/api/auth/keys/<id>", drop_key, access="account", status=204),
)
