"""Commands: the same requests as over HTTP, answered by the same routes, with the same ids, limits and problems."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, TypeAlias
from urllib.parse import quote

import msgspec
from msgspec import UNSET, UnsetType

from trialogue import InvalidError, new_id
from trialogue_server._http.call import Call, Reply, Scope
from trialogue_server._http.problems import problem_reply
from trialogue_server._sockets.messages import SocketAck, SocketCommand, Verb, encode_message, error_message
from trialogue_server._surface.routes import Route
from trialogue_server.api import approvals, conversations, messages

#: Answers a call by its route; never raises but for cancellation.
Perform: TypeAlias = Callable[[Call, Route], Awaitable[Reply]]
Headers: TypeAlias = Sequence[tuple[bytes, bytes]]

_ONE = "/api/conversations/<id>"
_MESSAGE = "/api/messages/<id>"
_APPROVAL = "/api/approvals/<id>"
#: Which field of a command says what the path is about.
_FIELDS = {_MESSAGE: "message", _APPROVAL: "approval"}
#: Verb -> method and path; what the path's ``<id>`` is stands in the path.
_REQUESTS: dict[Verb, tuple[str, str]] = {
    "create": ("POST", "/api/conversations"),
    "update": ("PATCH", _ONE),
    "trash": ("DELETE", _ONE),
    "restore": ("POST", f"{_ONE}/restore"),
    "post": ("POST", f"{_ONE}/messages"),
    "stop": ("POST", f"{_ONE}/stop"),
    "approve": ("POST", _APPROVAL),
    "edit": ("PATCH", _MESSAGE),
    "regenerate": ("POST", f"{_MESSAGE}/regenerate"),
    "continue": ("POST", f"{_MESSAGE}/continue"),
    "remove": ("DELETE", _MESSAGE),
}
_routes = {(route.method, route.path): route for route in (*conversations.ROUTES, *messages.ROUTES, *approvals.ROUTES)}
ROUTES: dict[Verb, Route] = {verb: _routes[request] for verb, request in _REQUESTS.items()}


class Caller(NamedTuple):
    """Where commands come from: the handshake's scope, and the headers that say who is calling."""

    scope: Scope
    headers: Headers


def handshake_of(caller: Caller, route: Route) -> Call:
    """The handshake as a request to ``route``, for those who look at requests."""
    call = Call(_scope(caller, "GET", route.path, ()))
    call.route = route
    return call


async def perform_command(perform: Perform, caller: Caller, command: SocketCommand) -> tuple[int, bytes]:
    """Do it; the status it has over HTTP, and the message that answers it."""
    route = ROUTES[command.command]
    try:
        call = make_call(caller, route, command)
    except InvalidError as error:
        reply = problem_reply(error, new_id())
    else:
        reply = await perform(call, route)
    if reply.status >= 400:
        return reply.status, error_message(command.id, reply.body)
    location = next((value for name, value in reply.headers if name == "Location"), None)
    return reply.status, encode_message(SocketAck(command.id, reply.status, location, _raw(reply.body)))


def _raw(body: bytes) -> msgspec.Raw | UnsetType:
    return msgspec.Raw(body) if body else UNSET


def make_call(caller: Caller, route: Route, command: SocketCommand) -> Call:
    """The HTTP request that the command is. Raises ``InvalidError`` when it does not say what it is about."""
    arguments = {"id": _target(route, command)} if "<id>" in route.path else {}
    path = route.path.replace("<id>", quote(arguments.get("id", ""), safe=""))
    call = Call(_scope(caller, route.method, path, _headers(command), _query(command)))
    call.arguments, call.route = arguments, route
    body = b"" if command.body is UNSET else bytes(command.body)

    async def read_body() -> bytes:
        return body

    call.read_body = read_body
    return call


def _target(route: Route, command: SocketCommand) -> str:
    field = next((name for path, name in _FIELDS.items() if route.path.startswith(path)), "conversation")
    target: str | None = getattr(command, field)
    if target is None:
        raise InvalidError(f"{command.command!r} is about one {field}: name it in {field!r}", pointer=f"/{field}")
    return target


def _headers(command: SocketCommand) -> Headers:
    headers = [(b"content-type", b"application/json")]
    for name, value in ((b"idempotency-key", command.key), (b"if-match", command.version)):
        if value is not None:
            try:
                headers.append((name, value.encode("latin-1")))
            except UnicodeEncodeError as error:
                pointer = "/key" if value is command.key else "/version"
                raise InvalidError(f"{value[:32]!r} cannot be: use plain characters", pointer=pointer) from error
    return headers


def _query(command: SocketCommand) -> bytes:
    # A message that still waits for its turn is found in its conversation only.
    if command.command == "remove" and command.conversation is not None:
        return b"conversation=" + quote(command.conversation, safe="").encode()
    return b""


def _scope(caller: Caller, method: str, path: str, headers: Headers, query: bytes = b"") -> Scope:
    scope = caller.scope
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": [*caller.headers, *headers],
        "client": scope.get("client"),
        "scheme": "https" if scope.get("scheme") == "wss" else "http",
    }
