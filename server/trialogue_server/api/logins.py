"""Logging in at another place: away to it, and back. These answer a browser, so they redirect instead of explaining.

What went wrong is told to the page as a code in its address, and to the operator in the log.
"""

from __future__ import annotations

import logging
from typing import Annotated
from urllib.parse import parse_qsl, quote

import msgspec
from msgspec import Meta

from trialogue import NotFoundError, RedirectLogin, TrialogueError
from trialogue_server._callers.logins import account_of, safe_target
from trialogue_server._http.call import Call, Reply, json_reply
from trialogue_server._serving.services import Services
from trialogue_server._surface.routes import Route
from trialogue_server.api.auth import begin_session

log = logging.getLogger(__name__)


class Redirect(msgspec.Struct, frozen=True):
    """A place to log in at: ``title`` on the button that leads to ``url``."""

    name: str
    title: str
    url: str


class Methods(msgspec.Struct, frozen=True):
    """How one may log in here, and who may register."""

    password: bool
    registration: str
    redirects: tuple[Redirect, ...]


class DepartQuery(msgspec.Struct, frozen=True):
    """Where one comes from."""

    to: Annotated[str, Meta(description="Where in the page to end up: an address that begins with a slash.")] = "/"


async def methods(services: Services, call: Call) -> Reply:
    """``GET /api/auth/methods``: ask how one may log in, for a page that shows the form."""
    redirects = tuple(
        Redirect(login.name, login.title, f"/api/auth/oidc/{login.name}/login")
        for login in services.logins.redirects.values()
    )
    return json_reply(Methods(services.takes_secrets, services.config.registration, redirects))


async def depart(services: Services, call: Call) -> Reply:
    """``GET /api/auth/oidc/{name}/login``: log in at another place: 303, to the provider."""
    login = _login(services, call)
    secure = services.peers.is_secure(call)
    try:
        services.tries.registrations.take(services.peers.network(call))
        departure = await login.depart(_callback(services, call, login))
    except TrialogueError as error:
        return _failed(login, error)
    to = safe_target(call.query("to") or "/")
    cookie = services.journeys.cookie(departure.kept, to, secure=secure)
    return Reply(303, headers=(("Location", departure.url), ("Set-Cookie", cookie), ("Cache-Control", "no-store")))


async def arrive(services: Services, call: Call) -> Reply:
    """``GET /api/auth/oidc/{name}/callback``: come back from the provider: 303, to where the browser wanted to go."""
    login = _login(services, call)
    secure = services.peers.is_secure(call)
    forget = ("Set-Cookie", services.journeys.forget_cookie(secure=secure))
    try:
        kept, to = services.journeys.end(call, secure=secure)
        query = dict(parse_qsl(call.scope["query_string"].decode("latin-1"), max_num_fields=20))
        person = await login.arrive(_callback(services, call, login), kept, query)
        user = await account_of(
            services.store,
            person,
            login,
            is_open=services.config.registration == "open",
            origin=services.origin(call),
            on_linked=lambda account: services.endings.forget_user(account, close=True),
        )
        cookie = await begin_session(services, call, user, how=login.name)
    except (TrialogueError, ValueError) as error:
        reply = _failed(login, error)
        return msgspec.structs.replace(reply, headers=(*reply.headers, forget))
    headers = (("Location", to), ("Set-Cookie", cookie), forget, ("Cache-Control", "no-store"))
    return Reply(303, headers=headers)


def _login(services: Services, call: Call) -> RedirectLogin:
    login = services.logins.redirects.get(call.arguments["name"])
    if login is None:
        raise NotFoundError(f"nobody is called {call.arguments['name'][:64]!r} here: GET /api/auth/methods lists them")
    return login


def _callback(services: Services, call: Call, login: RedirectLogin) -> str:
    # Registered at the provider, which refuses any other: a forged Host leads nowhere.
    return f"{services.peers.own_address(call)}/api/auth/oidc/{login.name}/callback"


def _failed(login: RedirectLogin, error: Exception) -> Reply:
    code = error.code if isinstance(error, TrialogueError) else "invalid"
    log.warning("logging in at %s failed: %s", login.name, error)
    target = f"/?login={quote(login.name)}&problem={code}"
    return Reply(303, headers=(("Location", target), ("Cache-Control", "no-store")))


ROUTES = (
    Route("GET", "/api/auth/methods", methods, access="public", reply=Methods),
    Route("GET", "/api/auth/oidc/<name>/login", depart, access="public", query=DepartQuery, status=303),
    Route("GET", "/api/auth/oidc/<name>/callback", arrive, access="public", any_query=True, status=303),
)
