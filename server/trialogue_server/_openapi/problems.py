"""Which errors a route can end in, and how the document says so: one answer for each status, with the codes it may carry.

Most follow from the route: who may use it, whether it has a body, whether its path names something. What else can happen,
a route says itself.
"""

from __future__ import annotations

from collections.abc import Iterable

from trialogue import (
    ClosedError,
    ConflictError,
    FencedError,
    ForbiddenError,
    InvalidError,
    LimitError,
    NotFoundError,
    StorageError,
    ThrottledError,
    TrialogueError,
    UnauthenticatedError,
)
from trialogue_server._http.errors import (
    MalformedError,
    MediaTypeError,
    OriginError,
    ScopeError,
    SlowBodyError,
    WrongKeyError,
)
from trialogue_server._http.problems import TITLES
from trialogue_server._openapi.headers import Json, answered
from trialogue_server._openapi.schemas import markdown
from trialogue_server._surface.routes import Route

MEDIA_TYPE = "application/problem+json"
#: The body of every one of them.
CONTENT: Json = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
#: Headers that come with a status.
_HEADERS = {401: ("WWW-Authenticate",), 405: ("Allow",), 429: ("Retry-After",), 503: ("Retry-After",)}


def errors_of(route: Route) -> set[type[TrialogueError]]:
    """Every error that a request to this route can end in."""
    errors: set[type[TrialogueError]] = {TrialogueError, StorageError, ClosedError, *route.problems}
    changes = route.method != "GET"
    if route.limited:
        errors.add(ThrottledError)
    if route.needed != "public":
        # A conflict: what vouches for the caller may name an address that is another account's.
        errors |= {UnauthenticatedError, WrongKeyError, ForbiddenError, ScopeError, ConflictError}
    if changes:
        errors |= {OriginError, ConflictError, FencedError}
    if "<" in route.path:
        errors.add(NotFoundError)
    errors |= {MalformedError, InvalidError}
    if any(body is not None for body in (route.body, route.upload, route.content)):
        errors |= {LimitError, MediaTypeError, SlowBodyError}
    return errors


def answers_of(route: Route) -> Json:
    """The problems among the answers of a route, by status; references into ``components``."""
    return {
        str(status): {"$ref": f"#/components/responses/{_name(group)}"} for status, group in _grouped(route).items()
    }


def components(routes: Iterable[Route]) -> Json:
    """Every answer that the routes' problems refer to."""
    groups = {_name(group): group for route in routes for group in _grouped(route).values()}
    return {name: _answer(groups[name]) for name in sorted(groups)}


def codes() -> list[str]:
    """Every code that a problem may carry, sorted."""
    return sorted({error.code for error in _all(TrialogueError)})


def _grouped(route: Route) -> dict[int, list[type[TrialogueError]]]:
    by_status: dict[int, list[type[TrialogueError]]] = {}
    for error in sorted(errors_of(route), key=lambda one: (one.status, one.code)):
        by_status.setdefault(error.status, []).append(error)
    return by_status


def _name(errors: list[type[TrialogueError]]) -> str:
    return ".".join([str(errors[0].status), *(error.code for error in errors)])


def _answer(errors: list[type[TrialogueError]]) -> Json:
    status = errors[0].status
    kinds = [f"- `{error.code}`: {_words(error)}" for error in errors]
    return {
        "description": "\n".join([f"{TITLES.get(status, 'Error')}.", "", *kinds]),
        "headers": {name: answered(name) for name in ("X-Request-Id", *_HEADERS.get(status, ()))},
        "content": CONTENT,
    }


def _words(error: type[TrialogueError]) -> str:
    if error is TrialogueError:
        return "Something went wrong on our side; `instance` names the request in our logs."
    return markdown(error.__doc__ or "").partition("\n\n")[0]


def _all(root: type[TrialogueError]) -> Iterable[type[TrialogueError]]:
    # Ours: a plugin's own errors come out as one of these.
    yield root
    for kind in root.__subclasses__():
        if kind.__module__.partition(".")[0] in ("trialogue", "trialogue_server"):
            yield from _all(kind)
