"""One's API keys: made, listed, revoked. What a key may do is ``_surface.access``; how one is found, ``_callers.keys``."""

from __future__ import annotations

from datetime import UTC, datetime

from trialogue import ApiKey, InvalidError, NotFoundError, Origin, User, checked_name, new_id
from trialogue_server._callers.keys import PREFIX
from trialogue_server._callers.tokens import hash_of, new_token
from trialogue_server._http.call import Call, Reply, json_reply
from trialogue_server._http.requests import read_struct
from trialogue_server._serving.services import Services
from trialogue_server._surface.routes import Route
from trialogue_server.api._account_bodies import KeyBody, KeyList, NewKey, shown_key


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
    await revoke(services, services.origin(call, principal), key)
    return Reply(204)


async def revoke(services: Services, origin: Origin, key: ApiKey) -> None:
    """End a key, and what came by it."""
    entry = origin.entry("key.revoked", key.user, thing=key.id)
    if await services.accounts.drop_key(key.id, (entry,)):
        services.trail.tell(entry)
    services.keys.cache.forget_where(lambda kept, _: kept.id == key.id)
    services.endings.close_streams(key.id)


def _checked(body: KeyBody, user: User, token_hash: bytes) -> ApiKey:
    now = datetime.now(UTC)
    if body.expires_at is not None and body.expires_at <= now:
        raise InvalidError("the key would have expired already: name a time to come", pointer="/expires_at")
    if "admin" in body.scopes and user.role != "admin":
        raise InvalidError("only an administrator's key can have the scope 'admin'", pointer="/scopes")
    name = checked_name(body.name, "") or "key"
    scopes = tuple(dict.fromkeys(body.scopes))
    expires_at = None if body.expires_at is None else _in_utc(body.expires_at)
    return ApiKey(new_id(), user.id, token_hash, name, scopes, now, expires_at, body.budget)


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise InvalidError("this is beyond all times: leave it out", pointer="/expires_at") from error


ROUTES = (
    Route("GET", "/api/auth/keys", list_keys, access="account", reply=KeyList),
    Route("POST", "/api/auth/keys", add_key, access="account", body=KeyBody, reply=NewKey, status=201),
    Route("DELETE", "/api/auth/keys/<id>", drop_key, access="account", status=204),
)
