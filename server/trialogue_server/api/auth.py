"""Accounts and sessions: registering, logging in and out, and who one is.

A failed login costs a token of the account's and of the address's bucket; an account that does not exist has a bucket
like any other, so that throttling does not tell which accounts there are.
"""

from __future__ import annotations

import msgspec

from trialogue import (
    Admission,
    Credentials,
    ForbiddenError,
    InvalidError,
    ThrottledError,
    UnauthenticatedError,
    User,
    normal_email,
)
from trialogue_server._call import Call, Reply, json_reply
from trialogue_server._requests import LoginBody, RegisterBody, read_struct
from trialogue_server._routes import Route
from trialogue_server._services import Services


async def register(services: Services, call: Call) -> Reply:
    """``POST /api/auth/register``: 201, the account, and a session."""
    services.peers.check_origin(call)
    body = await read_struct(call, RegisterBody)
    services.registrations.take(services.peers.address(call))
    await _check_open(services)
    user = await services.authenticator().register(
        Credentials(body.email, body.password), body.name, Admission()
    )
    return await _logged_in(services, call, user, 201)


async def login(services: Services, call: Call) -> Reply:
    """``POST /api/auth/login``: 200, the account, and a new session in place of the one the caller had."""
    services.peers.check_origin(call)
    body = await read_struct(call, LoginBody)
    user = await _verify(services, call, body)
    return await _logged_in(services, call, user, 200)


async def logout(services: Services, call: Call) -> Reply:
    """``POST /api/auth/logout``: 204, whether or not anyone was logged in; the session's streams end."""
    await _end_session(services, call)
    cookie = services.sessions.forget_cookie(secure=services.peers.is_secure(call))
    return Reply(204, headers=(("Set-Cookie", cookie),))


async def me(services: Services, call: Call) -> Reply:
    """``GET /api/auth/me``: the account, or 401."""
    principal = await services.principal(call)
    return json_reply(principal.user)


async def _check_open(services: Services) -> None:
    mode = services.config.registration
    # The first account is the administrator's: without one, nobody could open the registration.
    if mode == "open" or not await services.store.accounts.has_users():
        return
    words = "by invitation, and invitations are not offered yet" if mode == "invite" else "closed"
    raise ForbiddenError(f"registration on this server is {words}: ask its administrator for an account")


async def _verify(services: Services, call: Call, body: LoginBody) -> User:
    if "\0" in body.email or len(body.email) > 1024:
        raise InvalidError("this is not an e-mail address", pointer="/email")
    attempts = (
        (services.address_failures, services.peers.address(call)),
        (services.account_failures, normal_email(body.email)),
    )
    for throttle, key in attempts:
        throttle.take(key)
    try:
        user = await services.authenticator().login(Credentials(body.email, body.password))
    except (UnauthenticatedError, ThrottledError):
        raise
    except Exception:
        # Not the caller's failure.
        for throttle, key in attempts:
            throttle.give_back(key)
        raise
    for throttle, key in attempts:
        throttle.give_back(key)
    return user


async def _logged_in(services: Services, call: Call, user: User, status: int) -> Reply:
    secure = services.peers.is_secure(call)
    _, cookie = await services.sessions.begin(user, call, address=services.peers.address(call), secure=secure)
    await _end_session(services, call)
    return Reply(status, msgspec.json.encode(user), (("Set-Cookie", cookie),))


async def _end_session(services: Services, call: Call) -> None:
    principal = await services.find_principal(call)
    if principal is not None and principal.session is not None:
        await services.sessions.end(principal.session)
        services.close_streams(principal.session)


ROUTES = (
    Route(
        "POST",
        "/api/auth/register",
        register,
        access="public",
        body=RegisterBody,
        reply=User,
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
        reply=User,
        headers=("Set-Cookie",),
        problems=(UnauthenticatedError, ForbiddenError),
    ),
    Route("POST", "/api/auth/logout", logout, access="public", status=204, headers=("Set-Cookie",)),
    Route("GET", "/api/auth/me", me, reply=User),
)
