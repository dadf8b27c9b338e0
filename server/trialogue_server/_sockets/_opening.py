"""The handshake: what is refused is refused as an HTTP request is, with a problem; the rest is said on the open socket.

Browsers send cookies along with every handshake, whichever page asks for it, and no script can read a refused one: so the
``Origin`` is checked before anything else, and whatever a client can do something about is told by a close code.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from trialogue import ClosedError, NotFoundError, Principal, UnauthenticatedError
from trialogue_server._access import check_access
from trialogue_server._call import Call, Receive, Reply, Scope, Send
from trialogue_server._errors import MalformedError
from trialogue_server._hub import outlet_for
from trialogue_server._problems import problem_reply
from trialogue_server._services import Services
from trialogue_server._sockets._commands import Caller, Headers, Perform, handshake_of
from trialogue_server._sockets._messages import Hello
from trialogue_server._sockets._socket import Known, Socket
from trialogue_server.api.socket import PATH, ROUTE

SUBPROTOCOL = "trialogue.v1"

#: Headers of the handshake that commands carry as well: who is calling, from where.
_KEPT = frozenset(
    {b"authorization", b"cookie", b"host", b"origin", b"sec-fetch-site", b"user-agent", b"x-forwarded-for"}
    | {b"x-forwarded-proto"}
)
_CREDENTIALS = frozenset({b"authorization", b"cookie"})


async def serve_socket(services: Services, perform: Perform, scope: Scope, receive: Receive, send: Send) -> None:
    """One WebSocket, from its handshake to its end."""
    await receive()
    caller = Caller(scope, [item for item in scope["headers"] if item[0] in _KEPT])
    call = handshake_of(caller, ROUTE)
    try:
        principal = await _admit(services, call, scope)
    except Exception as error:
        await _refuse(problem_reply(error, call.request_id), scope, send)
        return
    subprotocol = SUBPROTOCOL if scope.get("subprotocols") else None
    headers = [(b"x-request-id", call.request_id.encode())]
    await send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": headers})

    async def identify(hello: Hello) -> Known:
        if hello.token is not None:
            return await _by_token(services, caller, hello.token)
        if principal is None:
            raise UnauthenticatedError("log in first, or send an API key as the token of hello")
        return Known(principal, caller, call.began)

    outlet = outlet_for(scope, send, services.config.send_deadline_seconds)
    await Socket(services, perform, receive, send, outlet, identify).run()


async def _admit(services: Services, call: Call, scope: Scope) -> Principal | None:
    """Who is calling, as far as the handshake says. Raises what becomes the refusal."""
    if scope["path"] != PATH:
        raise NotFoundError(f"no WebSocket is at this address: there is one at {PATH}")
    services.peers.check_origin(call)
    if services.hub.draining:
        raise ClosedError("the server is shutting down: try again, another one answers", retry_after=1)
    offered = scope.get("subprotocols") or ()
    if offered and SUBPROTOCOL not in offered:
        raise MalformedError(f"none of the subprotocols {offered!r} is spoken here: offer {SUBPROTOCOL!r}")
    principal = await services.find_principal(call)
    if principal is not None:
        check_access(principal, ROUTE)
    return principal


async def _by_token(services: Services, caller: Caller, token: str) -> Known:
    try:
        bearer = (b"authorization", b"Bearer " + token.encode("ascii"))
    except UnicodeEncodeError:
        bearer = (b"authorization", b"Bearer ?")  # Not one of ours, and told so by whoever knows them.
    kept: Headers = [item for item in caller.headers if item[0] not in _CREDENTIALS]
    known = Caller(caller.scope, [*kept, bearer])
    call = handshake_of(known, ROUTE)
    return Known(await services.principal(call), known, call.began)


async def _refuse(reply: Reply, scope: Scope, send: Send) -> None:
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close"})
        return
    headers = [(b"content-type", reply.media_type.encode()), (b"content-length", b"%d" % len(reply.body))]
    headers += [(name.lower().encode(), value.encode("latin-1")) for name, value in reply.headers]
    start: MutableMapping[str, Any] = {"type": "websocket.http.response.start", "status": reply.status}
    await send({**start, "headers": [*headers, (b"connection", b"close")]})
    await send({"type": "websocket.http.response.body", "body": reply.body, "more_body": False})
