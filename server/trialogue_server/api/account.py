"""One's own account: what it says, its password, and its end.

What decides about it takes the password once more: a session that was left open somewhere is not enough. None of it can be
done with an API key.
"""

from __future__ import annotations

from msgspec import UNSET

from trialogue import (
    InvalidError,
    NotFoundError,
    Principal,
    UnauthenticatedError,
    User,
    UserChange,
    checked_email,
    checked_name,
)
from trialogue_server._http.call import Call, Reply, json_reply
from trialogue_server._http.errors import PasswordError
from trialogue_server._http.json_limits import check_json
from trialogue_server._http.requests import read_struct
from trialogue_server._serving.services import Services
from trialogue_server._surface.routes import Route
from trialogue_server.api._account_bodies import (
    DeleteMeBody,
    Me,
    PasswordBody,
    UpdateMeBody,
    shown_user,
)
from trialogue_server.api.auth import verify


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
    services.endings.forget_user(user.id, close=False)
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
    services.endings.forget_user(principal.user.id, close=False)
    services.endings.close_streams(*ended)
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
    services.endings.forget_user(user, close=True)
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
)
