"""A route: one method on one path, who may use it, and the shapes of what goes in and out.

The shapes are the types that requests are decoded into and answers are encoded from; the OpenAPI document is made of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import msgspec

from trialogue import TrialogueError
from trialogue_server._http.call import Call, Reply

if TYPE_CHECKING:
    from trialogue_server._serving.services import Services

Handler: TypeAlias = "Callable[[Services, Call], Awaitable[Reply]]"
#: Who may use a route. ``public``: anyone. ``read`` and ``write``: a session, or an API key with that scope. ``account``: a
#: session only, as it decides about the account itself. ``admin``: an administrator's session, or a key with that scope.
Access: TypeAlias = Literal["public", "read", "write", "account", "admin"]


class Answer(NamedTuple):
    """Another answer of a route that is no problem, and when it is given."""

    status: int
    when: str
    reply: Any = None
    media_type: str | None = None
    headers: tuple[str, ...] = ()


class Route(NamedTuple):
    """One method on one path, with Quart's ``<name>`` for what ``call.arguments`` holds."""

    method: str
    path: str
    handler: Handler
    #: Asked so often that Quart's share of the cost matters: answered beside it, by the same handler.
    direct: bool = False
    #: ``None``: ``read`` for GET, ``write`` for what changes things.
    access: Access | None = None
    #: Query parameters, a field each.
    query: type[msgspec.Struct] | None = None
    #: Whether others may come besides, because a third party writes the address.
    any_query: bool = False
    #: The body, when it is JSON.
    body: type[msgspec.Struct] | None = None
    #: The body may be left out.
    body_optional: bool = False
    #: What a successful answer carries as JSON: any type msgspec encodes. ``None``: no body, or ``media_type`` says what.
    reply: Any = None
    #: The status of a successful answer.
    status: int = 200
    #: Media type of a successful answer that is not JSON.
    media_type: str | None = None
    #: The types of a stream's events, as a union of structs with tags.
    events: Any = None
    #: What the two sides of a WebSocket may say, client first, each a union of structs with tags.
    says: tuple[Any, Any] | None = None
    #: Headers of a successful answer that tell something of their own; ``_openapi`` says what each one means.
    headers: tuple[str, ...] = ()
    #: Headers of the request that change what it does.
    takes: tuple[str, ...] = ()
    #: What else may come and is no problem.
    also: tuple[Answer, ...] = ()
    #: Errors that can come besides those that any route with this access, this body and such a path has.
    problems: tuple[type[TrialogueError], ...] = ()
    #: Parts of a ``multipart/form-data`` body by name: what each one is, in words.
    upload: Mapping[str, str] | None = None
    #: Media types of a body that is taken as it is, each with what it holds, in words.
    content: Mapping[str, str] | None = None
    #: Whether the handler also lets in some who do not say who they are; its docstring says whom.
    nameless: bool = False
    #: Whether a request counts against the caller's rates.
    limited: bool = True

    @property
    def needed(self) -> Access:
        """``access``, with its default filled in."""
        return self.access or ("read" if self.method == "GET" else "write")
