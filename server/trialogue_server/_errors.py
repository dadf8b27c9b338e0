"""Errors that only HTTP knows; those of the core bring status and code with them.

TrialogueError
├── InvalidError
│   └── MalformedError        400  the body is not JSON in UTF-8
├── ForbiddenError
│   └── OriginError           403  a browser sent it from another site's page
├── ConflictError
│   └── VersionError          412  ``If-Match`` names another version
├── MethodError               405  carries the ``Allow`` header
├── SlowBodyError             408  the body did not arrive in time
└── MediaTypeError            415  the body is something else than JSON
"""

from __future__ import annotations

from collections.abc import Sequence

from trialogue import ConflictError, ForbiddenError, InvalidError, TrialogueError


class MalformedError(InvalidError):
    """The request is not HTTP, JSON or UTF-8 as it should be; nothing in it was looked at."""

    code = "malformed"
    status = 400


class OriginError(ForbiddenError):
    """A browser sent the request on behalf of another site."""

    code = "origin"


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


class SlowBodyError(TrialogueError):
    """The body did not arrive in time."""

    code = "timeout"
    status = 408
