"""A request and its answer, as handlers see them: no framework, so that a handler serves Quart's routes and the raw ones.

A ``Call`` reads the ASGI scope and nothing else; who is calling and what the body means are its neighbours' business
(``_services``, ``_requests``).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qsl

import msgspec

from trialogue import InvalidError, new_id

if TYPE_CHECKING:
    from trialogue_server._routes import Route

# ASGI's own types: what a scope or a message holds depends on its "type".
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
#: Returns the whole body; raises ``LimitError`` before holding more than the limit it was made with.
BodyReader: TypeAlias = Callable[[], Awaitable[bytes]]

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
#: Key in the scope under which the call travels through Quart.
SCOPE_KEY = "trialogue.call"


class Reply(msgspec.Struct, frozen=True):
    """A whole answer."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    media_type: str = "application/json"


_encoder = msgspec.json.Encoder()


def json_reply(value: object, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """An answer that carries ``value``: a struct, or plain data."""
    return Reply(status, _encoder.encode(value), headers)


class Call:
    """One HTTP request."""

    __slots__ = ("_headers", "_query", "arguments", "method", "path", "read_body", "request_id", "route", "scope")

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self._headers: dict[bytes, bytes] = dict(scope["headers"])
        self._query: dict[str, str] | None = None
        #: Named pieces of the path, as the route spells them.
        self.arguments: Mapping[str, str] = {}
        #: The route that answers it, once it is known.
        self.route: Route | None = None
        #: Set by whoever can reach the body: Quart's view or the raw handler.
        self.read_body: BodyReader = _no_body
        given = self.header("x-request-id")
        self.request_id = given if _REQUEST_ID.fullmatch(given) else new_id()

    def __repr__(self) -> str:
        return f"<Call {self.method} {self.path} {self.request_id}>"

    def header(self, name: str) -> str:
        """A header's value by its lower-case name, ``""`` when it is absent; the last one when there are several."""
        value = self._headers.get(name.encode())
        return "" if value is None else value.decode("latin-1")

    def parameters(self) -> Mapping[str, str]:
        """The query string, the last of each name; what it means is for ``_queries`` to say. Raises ``InvalidError``."""
        if self._query is None:
            text = self.scope["query_string"]
            try:
                self._query = dict(parse_qsl(text.decode(), keep_blank_values=True, errors="strict")) if text else {}
            except UnicodeDecodeError as error:
                raise InvalidError("the query string is not UTF-8: percent-encode it as UTF-8") from error
        return self._query

    def query(self, name: str) -> str | None:
        """A query parameter's value, the last one when there are several. Raises ``InvalidError``."""
        return self.parameters().get(name)

    def query_int(self, name: str, default: int, most: int) -> int:
        """A query parameter that counts something, from 1; more than ``most`` is cut to it. Raises ``InvalidError``."""
        text = self.query(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) >= 1):
            raise InvalidError(f"query parameter {name}={text[:32]!r} must be a number from 1 to {most}")
        return min(int(text), most)

    def query_bool(self, name: str) -> bool | None:
        """A query parameter that is ``true`` or ``false``; ``None`` when it is absent. Raises ``InvalidError``."""
        match self.query(name):
            case None:
                return None
            case "true":
                return True
            case "false":
                return False
            case other:
                raise InvalidError(f"query parameter {name}={other[:32]!r} must be true or false")

    def wants_stream(self) -> bool:
        """Whether the caller asks for events rather than for a document."""
        return "text/event-stream" in self.header("accept")


async def _no_body() -> bytes:
    return b""
