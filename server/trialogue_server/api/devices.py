"""Where one is logged in, and logging a device out."""

from __future__ import annotations

from trialogue import NotFoundError
from trialogue_server._http.call import Call, Reply, json_reply
from trialogue_server._serving.services import Services
from trialogue_server._surface.routes import Route
from trialogue_server.api._account_bodies import Devices, shown_session


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
    services.endings.close_streams(name)
    return Reply(204)


ROUTES = (
    Route("GET", "/api/auth/sessions", list_sessions, access="account", reply=Devices),
    Route("DELETE", "/api/auth/sessions/<id>", end_session, access="account", status=204),
)
