"""A request and its answer, as handlers see them: no framework, so that a handler serves Quart's routes and the raw ones.

A ``Call`` reads the ASGI scope and nothing else; who is calling and what the body means are its neighbours' business
(``_serving.services``, ``requests``).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qsl

import msgspec
import trio

from trialogue import InvalidError, Taken, new_id

if TYPE_CHECKING:
    from trialogue_server._surface.routes import Route

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


#: Sends a piece of a body; returns when the client has room for more.
WritePiece: TypeAlias = Callable[[bytes], Awaitable[None]]


class Reply(msgspec.Struct, frozen=True):
    """A whole answer; only a direct route's may be written in pieces."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    media_type: str = "application/json"
    #: In place of ``body``: writes it. What it raises before its first piece is answered as a problem, and breaks the
    #: connection afterwards; when the client leaves it is cancelled.
    write: Callable[[WritePiece], Awaitable[None]] | None = None
    #: Bytes that ``write`` sends, if that is known beforehand.
    length: int | None = None


_encoder = msgspec.json.Encoder()


def json_reply(value: object, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """An answer that carries ``value``: a struct, or plain data."""
    return Reply(status, _encoder.encode(value), headers)


class Call:
    """One HTTP request."""

    __slots__ = (
        "_headers",
        "_query",
        "arguments",
        "began",
        "facts",
        "method",
        "path",
        "read_body",
        "receive",
        "request_id",
        "route",
        "scope",
        "taken",
    )

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        #: When it came, on Trio's clock.
        self.began = trio.current_time()
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self._headers: dict[bytes, bytes] = dict(scope["headers"])
        self._query: dict[str, str] | None = None
        #: Named pieces of the path, as the route spells them.
        self.arguments: Mapping[str, str] = {}
        #: The route that answers it, once it is known.
        self.route: Route | None = None
        #: What it took from whose quota, once it was counted.
        self.taken: Sequence[Taken] | None = None
        #: Set by whoever can reach the body: Quart's view or the raw handler.
        self.read_body: BodyReader = _no_body
        #: The body piece by piece, as ASGI has it: only for what a direct route answers.
        self.receive: Receive = _nothing
        given = self.header("x-request-id")
        self.request_id = given if _REQUEST_ID.fullmatch(given) else new_id()
        #: What is logged while it is answered tells these ids: ``request``, ``user``, ``key``, ``conversation``, ``run``.
        self.facts: dict[str, str] = {"request": self.request_id}

    def __repr__(self) -> str:
        return f"<Call {self.method} {self.path} {self.request_id}>"

    def header(self, name: str) -> str:
        """A header's value by its lower-case name, ``""`` when it is absent; the last one when there are several."""
        value = self._headers.get(name.encode())
        return "" if value is None else value.decode("latin-1")

    def parameters(self) -> Mapping[str, str]:
        """The query string, the last of each name; what it means is for ``queries`` to say. Raises ``InvalidError``."""
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

    def wants_stream(self) -> bool:
        """Whether the caller asks for events rather than for a document."""
        return "text/event-stream" in self.header("accept")


async def _no_body() -> bytes:
    return b""


async def _nothing() -> MutableMapping[str, Any]:
    return {"type": "http.disconnect"}
