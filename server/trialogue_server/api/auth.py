"""Coming and going: registering, logging in and out, and a password that was lost. What an account is, is ``account``.

A failed login costs a token of the account's and of the address's bucket; an account that does not exist has a bucket
like any other, so that throttling does not tell which accounts there are.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from trialogue import (
    Admission,
    Credentials,
    ForbiddenError,
    InvalidError,
    Invitation,
    Principal,
    ThrottledError,
    UnauthenticatedError,
    User,
    normal_email,
)
from trialogue_server._callers.tokens import hash_of
from trialogue_server._http.call import Call, Reply
from trialogue_server._http.requests import read_struct
from trialogue_server._serving.services import Services
from trialogue_server._surface.routes import Route
from trialogue_server.api._account_bodies import LoginBody, Me, RegisterBody, ResetBody, shown_user


async def register(services: Services, call: Call) -> Reply:
    """``POST /api/auth/register``: make an account; 201, and a session with it.

    Where registration is by invitation, ``invitation`` is the token of one. The first account is always admitted, and is
    administrator.
    """
    services.peers.check_origin(call)
    body = await read_struct(call, RegisterBody)
    services.tries.registrations.take(services.peers.network(call))
    admission = await _admission(services, call, body)
    user = await services.authenticator().register(Credentials(body.email, body.password), body.name, admission)
    services.trail.tell(*admission.entries(user))
    return await _logged_in(services, call, user, 201)


async def login(services: Services, call: Call) -> Reply:
    """``POST /api/auth/login``: log in; the new session takes the place of the one the caller had."""
    services.peers.check_origin(call)
    body = await read_struct(call, LoginBody)
    user = await verify(services, call, body.email, body.password)
    return await _logged_in(services, call, user, 200)


async def logout(services: Services, call: Call) -> Reply:
    """``POST /api/auth/logout``: log out, whether or not anyone was logged in; the session's streams end."""
    # Also of a request without the cookie, which another site's form comes without: the answer would remove it.
    services.peers.check_origin(call)
    await _end_session(services, call)
    cookie = services.sessions.forget_cookie(secure=services.peers.is_secure(call))
    return Reply(204, headers=(("Set-Cookie", cookie),))


async def reset(services: Services, call: Call) -> Reply:
    """``POST /api/auth/reset``: set a new password by a token that an administrator gave out; every session ends.

    204; log in with it then.
    """
    services.peers.check_origin(call)
    body = await read_struct(call, ResetBody)
    network, token_hash = services.peers.network(call), hash_of(body.token)
    services.tries.address.take(network)
    try:
        # Looked at first: a hash is not made for everyone who asks.
        user = await services.accounts.reset(token_hash)
        offered = user is not None and await _offered_by_administrator(services, user)
    except Exception:
        services.tries.address.give_back(network)  # Not the caller's failure.
        raise
    if user is None or not offered:
        raise ForbiddenError("this reset was used or is too old: ask the administrator for a new one")
    services.tries.address.give_back(network)
    entry = msgspec.structs.replace(services.origin(call), actor=user.id).entry("password.reset", user.id)
    _, ended = await services.authenticator().reset_secret(token_hash, body.password, (entry,))
    services.endings.forget_user(user.id, close=False)
    services.endings.close_streams(*ended)
    services.trail.tell(entry)
    return Reply(204)


async def verify(services: Services, call: Call, email: str, password: str) -> User:
    """The account whose password this is, if it may be used.

    Raises ``UnauthenticatedError``, ``ForbiddenError`` (disabled), ``ThrottledError``, ``StorageError``.
    """
    if "\0" in email or len(email) > 1024:
        raise InvalidError("this is not an e-mail address", pointer="/email")
    attempts = (
        (services.tries.address, services.peers.network(call)),
        (services.tries.account, normal_email(email)),
    )
    for throttle, key in attempts:
        throttle.take(key)
    try:
        user = await services.authenticator().login(Credentials(email, password))
    except ThrottledError:
        raise
    except UnauthenticatedError:
        # Looked for only now, whether or not there is one: it takes no part in how long the answer took.
        known = await services.accounts.user_by_email(normal_email(email))
        await services.trail.login_failed(services.origin(call), None if known is None else known.id)
        raise
    except Exception:
        # Not the caller's failure.
        for throttle, key in attempts:
            throttle.give_back(key)
        raise
    for throttle, key in attempts:
        throttle.give_back(key)
    if user.disabled:
        raise ForbiddenError("this account is disabled: ask the administrator")
    return user


async def begin_session(services: Services, call: Call, user: User, *, how: str) -> str:
    """Log ``user`` in, in place of the session that the caller had; returns the ``Set-Cookie``. ``how`` is for the trail."""
    peers = services.peers
    origin = msgspec.structs.replace(services.origin(call), actor=user.id)
    entry = origin.entry("login", user.id, detail=how)
    session, cookie, ended = await services.sessions.begin(
        user, call, address=peers.address(call), secure=peers.is_secure(call), audit=(entry,)
    )
    services.endings.close_streams(*ended)
    services.trail.tell(entry)
    await _end_session(services, call, but=session.id)
    return cookie


async def _admission(services: Services, call: Call, body: RegisterBody) -> Admission:
    mode = services.config.registration
    invitation = await _invitation(services, body)
    admission = Admission(services.origin(call), mode == "open", invitation)
    # The store looks again, in the transaction; this spares a hash. The first account is the administrator's: without one,
    # nobody could open the registration.
    if mode == "open" or not await services.accounts.has_users():
        return admission
    if mode == "closed":
        raise ForbiddenError("registration on this server is closed: ask its administrator for an account")
    if invitation is None:
        raise ForbiddenError("accounts are made by invitation here: ask the administrator for one")
    return admission


async def _invitation(services: Services, body: RegisterBody) -> Invitation | None:
    if body.invitation is None:
        return None
    found = await services.accounts.invitation(hash_of(body.invitation))
    if found is None or not found.admits(normal_email(body.email), datetime.now(UTC)):
        raise ForbiddenError(
            "the invitation was used, revoked or is for another address: ask for a new one", pointer="/invitation"
        )
    if not await _is_administrator(services, found.created_by):
        raise ForbiddenError(
            "whoever made the invitation is administrator no longer: ask for a new one", pointer="/invitation"
        )
    return found


async def _offered_by_administrator(services: Services, user: User) -> bool:
    # An account has one reset at a time, so the newest entry is the one about it; entries outlive resets.
    page = await services.accounts.audit(limit=1, action="password.reset_offered", subject=user.id)
    # Nobody's are those from the command line: who has the storage itself needs no account.
    return any([entry.actor is None or await _is_administrator(services, entry.actor) for entry in page.entries])


async def _is_administrator(services: Services, name: str | None) -> bool:
    """Whether whoever gave leave may still give it: who is about to lose that right could make ways back beforehand."""
    user = None if name is None else await services.accounts.user(name)
    return user is not None and user.role == "admin" and not user.disabled


async def _logged_in(services: Services, call: Call, user: User, status: int) -> Reply:
    cookie = await begin_session(services, call, user, how="password")
    return Reply(status, msgspec.json.encode(shown_user(user)), (("Set-Cookie", cookie),))


async def _end_session(services: Services, call: Call, but: str | None = None) -> None:
    principal = await _session(services, call)
    if principal is None or principal.session == but:
        return
    entry = services.origin(call, principal).entry("logout", principal.user.id, thing=principal.session)
    if await services.sessions.end(principal.credential, (entry,)):
        services.trail.tell(entry)
    services.endings.close_streams(principal.credential)


async def _session(services: Services, call: Call) -> Principal | None:
    return await services.sessions.find(call, secure=services.peers.is_secure(call))


ROUTES = (
    Route(
        "POST",
        "/api/auth/register",
        register,
        access="public",
        body=RegisterBody,
        reply=Me,
        status=201,
        headers=("Set-Cookie",),
        problems=(ForbiddenError,),
    ),
    Route(
        "POST",
        "/api/auth/login",
        login,
        access="public",
        body=LoginBody,
        reply=Me,
        headers=("Set-Cookie",),
        problems=(UnauthenticatedError, ForbiddenError),
    ),
    Route("POST", "/api/auth/logout", logout, access="public", status=204, headers=("Set-Cookie",)),
    Route(
        "POST",
        "/api/auth/reset",
        reset,
        access="public",
        body=ResetBody,
        status=204,
        problems=(ForbiddenError,),
    ),
)
