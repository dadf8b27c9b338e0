"""The handshake: what is refused is refused as an HTTP request is, with a problem; the rest is said on the open socket.

Browsers send cookies along with every handshake, whichever page asks for it, and no script can read a refused one: so the
``Origin`` is checked before anything else, and whatever a client can do something about is told by a close code.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from trialogue import ClosedError, NotFoundError, Principal, UnauthenticatedError
from trialogue_server._http.call import Call, Receive, Reply, Scope, Send
from trialogue_server._http.errors import MalformedError
from trialogue_server._http.problems import problem_reply
from trialogue_server._hub import outlet_for
from trialogue_server._serving.services import Services
from trialogue_server._sockets.commands import Caller, Headers, Perform, handshake_of
from trialogue_server._sockets.messages import Hello
from trialogue_server._sockets.socket import Socket
from trialogue_server._sockets.subscriptions import Known
from trialogue_server._surface.access import check_access
from trialogue_server._surface.request_log import log_request
from trialogue_server.api.socket import PATH, ROUTE

SUBPROTOCOL = "trialogue.v1"

#: Headers that are about the handshake itself; the others say who is calling and from where, and commands carry them too.
_OF_THE_HANDSHAKE = frozenset(
    {b"accept", b"connection", b"content-encoding", b"content-length", b"content-type", b"expect", b"idempotency-key"}
    | {b"if-match", b"last-event-id", b"transfer-encoding", b"upgrade", b"x-request-id"}
)
_CREDENTIALS = frozenset({b"authorization", b"cookie"})


async def serve_socket(services: Services, perform: Perform, scope: Scope, receive: Receive, send: Send) -> None:
    """One WebSocket, from its handshake to its end."""
    await receive()
    caller = Caller(scope, _kept(scope["headers"]))
    call = handshake_of(caller, ROUTE)
    try:
        principal = await _admit(services, call, scope)
    except Exception as error:
        reply = problem_reply(error, call.request_id)
        await _refuse(reply, scope, send)
        _log(services, call, reply.status)
        return
    subprotocol = SUBPROTOCOL if scope.get("subprotocols") else None
    headers = [(b"x-request-id", call.request_id.encode())]
    await send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": headers})

    async def identify(hello: Hello) -> Known:
        if hello.token is not None:
            return await _by_token(services, call, caller, hello.token)
        if principal is None:
            raise UnauthenticatedError("log in first, or send an API key as the token of hello")
        return Known(principal, caller, call.began)

    outlet = outlet_for(scope, send, services.config.send_deadline_seconds)
    try:
        await Socket(services, perform, receive, send, outlet, identify).run()
    finally:
        _log(services, call, 101)


def _kept(headers: Headers) -> Headers:
    return [pair for pair in headers if pair[0] not in _OF_THE_HANDSHAKE and not pair[0].startswith(b"sec-websocket-")]


def _log(services: Services, call: Call, status: int) -> None:
    """One line for the socket, at its end; its commands have lines of their own."""
    if services.config.log_requests:
        log_request(call, status, None)


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
    # A handshake costs what a request costs, and one of nobody's is open for a while.
    await services.quotas.count(call, principal)
    if principal is not None:
        call.facts["user"] = principal.user.id
        check_access(principal, ROUTE)
    return principal


async def _by_token(services: Services, handshake: Call, caller: Caller, token: str) -> Known:
    try:
        bearer = (b"authorization", b"Bearer " + token.encode("ascii"))
    except UnicodeEncodeError:
        bearer = (b"authorization", b"Bearer ?")  # Not one of ours, and told so by whoever knows them.
    kept: Headers = [item for item in caller.headers if item[0] not in _CREDENTIALS]
    known = Caller(caller.scope, [*kept, bearer])
    call = handshake_of(known, ROUTE)
    principal = await services.principal(call)
    handshake.facts["user"] = principal.user.id
    return Known(principal, known, call.began)


async def _refuse(reply: Reply, scope: Scope, send: Send) -> None:
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close"})
        return
    headers = [(b"content-type", reply.media_type.encode()), (b"content-length", b"%d" % len(reply.body))]
    headers += [(name.lower().encode(), value.encode("latin-1")) for name, value in reply.headers]
    start: MutableMapping[str, Any] = {"type": "websocket.http.response.start", "status": reply.status}
    await send({**start, "headers": [*headers, (b"connection", b"close")]})
    await send({"type": "websocket.http.response.body", "body": reply.body, "more_body": False})
