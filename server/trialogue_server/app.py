"""The app: Quart-Trio with a blueprint for each kind of thing, and around it what every answer has in common.

    request --> Surface --+--> Quart --> view --> handler --> Reply
                          +--> handler --> Reply   (the few routes that are asked most)
                          +--> stream              (through the hub)
                          +--> WebSocket           (the same handlers, and the hub)

``Surface`` gives each request its id and each answer its headers. A handler raises; ``answer`` renders. What goes past
Quart is a Quart route as well, for ``Allow``, OPTIONS and HEAD.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from quart import Blueprint, Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from trialogue import NotFoundError
from trialogue_server._cluster.answering import MOST, Answering
from trialogue_server._guard import prepare_app
from trialogue_server._http.bodies import body_reader
from trialogue_server._http.call import SCOPE_KEY, Call, Receive, Reply, Scope, Send
from trialogue_server._http.errors import MethodError
from trialogue_server._http.problems import problem_reply
from trialogue_server._http.queries import check_names
from trialogue_server._http.sending import send_reply
from trialogue_server._process.logs import REQUEST
from trialogue_server._serving.parts import Parts
from trialogue_server._serving.services import Services
from trialogue_server._sockets.opening import serve_socket
from trialogue_server._surface.answered import Answered
from trialogue_server._surface.page import add_page
from trialogue_server._surface.request_log import log_request
from trialogue_server._surface.routes import Route
from trialogue_server._surface.security import security_headers
from trialogue_server._surface.table import Table
from trialogue_server.api import BLUEPRINTS, events
from trialogue_server.config import Config


def create_app(parts: Parts) -> Surface:
    """The ASGI application. It owns nothing: closing its parts is the caller's."""
    services = Services(parts)
    return Surface(services, _quart(services, parts.config))


class Surface:
    """Everything that speaks HTTP passes here, on its way in and out."""

    def __init__(self, services: Services, quart: QuartTrio) -> None:
        self.services = services
        self.quart = quart
        self._table = Table(route for routes in BLUEPRINTS.values() for route in routes)

    def __repr__(self) -> str:
        return f"<Surface streams={self.services.held.streams!r}>"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or whatever else the ASGI server has to say."""
        if scope["type"] == "websocket":
            await serve_socket(self.services, self._command, scope, receive, send)
            return
        if scope["type"] != "http":
            await self.quart(scope, receive, send)  # type: ignore[arg-type]  # Quart names hypercorn's TypedDicts
            return
        call = Call(scope)
        scope[SCOPE_KEY] = call
        REQUEST.set(call.facts)
        seen = self.services.seeing.begin(call, joins=self.services.peers.is_trusted(call))
        answered = Answered(call, send, self._common(call))
        try:
            await self._answer(call, receive, answered)
        finally:
            if self.services.config.log_requests:
                log_request(call, answered.status, answered.sent)
            seen(answered.status, streamed=answered.sent is None)
            call.facts.clear()

    async def _command(self, call: Call, route: Route) -> Reply:
        """A request that came over a WebSocket."""
        REQUEST.set(call.facts)
        seen = self.services.seeing.begin(call)
        reply = await answer(self.services, call, route)
        if self.services.config.log_requests:
            log_request(call, reply.status, len(reply.body))
        seen(reply.status)
        return reply

    async def _answer(self, call: Call, receive: Receive, send: Send) -> None:
        inside = self.services.answering
        if inside is not None and inside.answers(call.path):
            await self._inside(inside, call, receive, send)
            return
        found = self._table.find(call.method, call.path)
        if found is None:
            await self._unrouted(call, receive, send)
            return
        call.route, call.arguments = found
        if events.is_stream(call):
            await self._stream(call, receive, send)
        elif call.route.direct:
            call.receive = receive
            call.read_body = body_reader(call, receive, self.services.config.max_body_bytes)
            await send_reply(call, await answer(self.services, call, call.route), receive, send)
        else:
            await self.quart(call.scope, receive, send)  # type: ignore[arg-type]  # as above

    async def _inside(self, inside: Answering, call: Call, receive: Receive, send: Send) -> None:
        call.read_body = body_reader(call, receive, MOST)
        try:
            reply = await inside.answer(call)
        except Exception as error:
            reply = problem_reply(error, call.request_id)
        await send_reply(call, reply, receive, send)

    async def _unrouted(self, call: Call, receive: Receive, send: Send) -> None:
        methods = self._table.methods(call.path)
        if "//" in call.path:
            # Quart would take it for another path, or redirect to wherever the Host header says.
            lost = NotFoundError("nothing is served at this address: check the path")
            await send_reply(call, problem_reply(lost, call.request_id), receive, send)
        elif not methods:
            # A file of the page, or nothing at all.
            await self.quart(call.scope, receive, send)  # type: ignore[arg-type]  # as above
        elif call.method == "OPTIONS":
            await send_reply(call, self.services.cors.options(call, methods), receive, send)
        else:
            error = MethodError(f"use one of {', '.join(methods)} here", methods)
            await send_reply(call, problem_reply(error, call.request_id), receive, send)

    async def _stream(self, call: Call, receive: Receive, send: Send) -> None:
        call.read_body = body_reader(call, receive, self.services.config.max_body_bytes)
        started = False

        async def watched(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await events.stream(self.services, call, receive, watched)
        except Exception as error:
            if started:
                # The head is out: an end that looks clean would hide the failure, so the server breaks the connection.
                raise
            await send_reply(call, problem_reply(error, call.request_id), receive, send)

    def _common(self, call: Call) -> tuple[tuple[bytes, bytes], ...]:
        secure = self.services.peers.is_secure(call)
        return (
            (b"x-request-id", call.request_id.encode()),
            *self.services.cors.headers(call),
            *security_headers(secure=secure),
        )


async def answer(services: Services, call: Call, route: Route) -> Reply:
    """What the route's handler says, or the problem it ran into."""
    call.route = route
    try:
        if not route.any_query:
            check_names(call.parameters(), route.query)
        if route.needed == "public" and route.limited:
            await services.quotas.count(call, None)
        return await route.handler(services, call)
    except Exception as error:
        return problem_reply(error, call.request_id)


# --- Quart -------------------------------------------------------------------------------------------------------


def _quart(services: Services, config: Config) -> QuartTrio:
    app = QuartTrio("trialogue_server", static_folder=None)
    prepare_app(app)
    app.config["MAX_CONTENT_LENGTH"] = config.max_body_bytes
    for name, routes in BLUEPRINTS.items():
        app.register_blueprint(_blueprint(name, routes, services))
    add_page(app)
    app.register_error_handler(HTTPException, _problem)
    app.register_error_handler(Exception, _problem)
    return app


def _blueprint(name: str, routes: Sequence[Route], services: Services) -> Blueprint:
    blueprint = Blueprint(name, __name__)
    for route in routes:
        endpoint = f"{route.method.lower()}_{route.handler.__name__}"
        blueprint.add_url_rule(route.path, endpoint, _view(route, services), methods=[route.method])
    return blueprint


def _view(route: Route, services: Services) -> Callable[..., Awaitable[Response]]:
    async def view(**arguments: str) -> Response:
        call = _current_call()
        call.arguments = arguments
        call.read_body = body_reader(call, request.body, services.config.max_body_bytes)
        return _response(await answer(services, call, route))

    return view


async def _problem(error: Exception) -> Response:
    call = _current_call()
    return _response(problem_reply(error, call.request_id))


def _current_call() -> Call:
    scope: Any = request.scope  # A TypedDict, in which ASGI lets a server keep keys of its own.
    call: Call = scope[SCOPE_KEY]
    return call


def _response(reply: Reply) -> Response:
    response = Response(reply.body, reply.status, content_type=reply.media_type)
    response.headers.extend(reply.headers)
    return response
