"""Errors that only HTTP knows; those of the core bring status and code with them.

TrialogueError
├── InvalidError
│   ├── ToolsError            422  the model that is asked calls no tools
│   ├── MalformedError        400  the body is not JSON in UTF-8
│   └── RangeError            416  none of the bytes asked for is there; carries ``Content-Range``
├── UnauthenticatedError
│   ├── WrongKeyError         401  an API key that is none
│   └── SignatureError        401  it is not one of our nodes that asks
├── ForbiddenError
│   ├── OriginError           403  a browser sent it from another site's page
│   ├── ScopeError            403  the API key was made for less
│   └── PasswordError         403  the password that was to confirm it is wrong
├── ConflictError
│   └── VersionError          412  ``If-Match`` names another version
├── MethodError               405  carries the ``Allow`` header
├── SlowBodyError             408  the body did not arrive in time
├── SlowSearchError           503  a search was given up
├── UpgradeError              426  the address is that of a WebSocket
└── MediaTypeError            415  the body is something else than JSON
"""

from __future__ import annotations

from collections.abc import Sequence

from trialogue import ConflictError, ForbiddenError, InvalidError, TrialogueError, UnauthenticatedError


class ToolsError(InvalidError):
    """Tools are asked for, and the model that is to answer does not call any."""

    code = "model_without_tools"


class MalformedError(InvalidError):
    """The request is not HTTP, JSON or UTF-8 as it should be; nothing in it was looked at."""

    code = "malformed"
    status = 400


class RangeError(InvalidError):
    """``Range`` asks for bytes of which none is there; ``size`` is how many there are."""

    code = "range"
    status = 416

    def __init__(self, detail: str, size: int) -> None:
        super().__init__(detail)
        self.size = size


class OriginError(ForbiddenError):
    """A browser sent the request on behalf of another site."""

    code = "origin"


class WrongKeyError(UnauthenticatedError):
    """The API key is unknown, revoked or expired, or its account is."""

    code = "key"


class SignatureError(UnauthenticatedError):
    """What comes to an address that is for our nodes alone is not signed as it should be."""

    code = "signature"


class ScopeError(ForbiddenError):
    """The API key was not made for this; ``scope`` is what it would need."""

    code = "scope"

    def __init__(self, detail: str, scope: str) -> None:
        super().__init__(detail)
        self.scope = scope


class PasswordError(ForbiddenError):
    """Who is logged in is to confirm it by the password, and sent a wrong one. Not 401: the session is as good as before."""

    code = "password"


class MethodError(TrialogueError):
    """The path exists and does not take this method; ``allow`` lists those it takes."""

    code = "method"
    status = 405

    def __init__(self, detail: str, allow: Sequence[str]) -> None:
        super().__init__(detail)
        self.allow = tuple(allow)


class VersionError(ConflictError):
    """``If-Match`` names a version that is not the current one."""

    code = "version"
    status = 412


class MediaTypeError(TrialogueError):
    """The body's type or encoding is not one we read."""

    code = "media_type"
    status = 415


class SlowSearchError(TrialogueError):
    """A search took longer than it may."""

    code = "slow_search"
    status = 503


class SlowBodyError(TrialogueError):
    """The body did not arrive in time."""

    code = "timeout"
    status = 408


class UpgradeError(TrialogueError):
    """What is at this address is no document: it wants an upgrade."""

    code = "upgrade"
    status = 426
