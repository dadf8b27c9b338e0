"""A route: one method on one path, who may use it, and the shapes of what goes in and out.

The shapes are the types that requests are decoded into and answers are encoded from; the OpenAPI document is made of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import msgspec

from trialogue_server._call import Call, Reply

if TYPE_CHECKING:
    from trialogue_server._services import Services

Handler: TypeAlias = "Callable[[Services, Call], Awaitable[Reply]]"
#: Who may use a route. ``public``: anyone. ``read`` and ``write``: a session, or an API key with that scope. ``account``: a
#: session only, as it decides about the account itself. ``admin``: an administrator's session, or a key with that scope.
Access: TypeAlias = Literal["public", "read", "write", "account", "admin"]


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

    @property
    def needed(self) -> Access:
        """``access``, with its default filled in."""
        return self.access or ("read" if self.method == "GET" else "write")
