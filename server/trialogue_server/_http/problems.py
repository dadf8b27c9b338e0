"""How an error looks on our own wire: RFC 9457 problem details, made in this one place."""

from __future__ import annotations

import logging

import msgspec
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge, RequestTimeout

from trialogue import LimitError, NotFoundError, TrialogueError, UnauthenticatedError
from trialogue_server._http.call import Reply
from trialogue_server._http.errors import (
    MalformedError,
    MethodError,
    RangeError,
    ScopeError,
    SlowBodyError,
    UpgradeError,
    WrongKeyError,
)

log = logging.getLogger(__name__)

#: Prefix of a problem's ``type``; with the code behind it, a stable name, whether or not something can be read there.
TYPE = "tag:trialogue,2026:problem:"

#: What a status means, in a few words.
TITLES = {
    400: "Malformed request",
    401: "Not logged in",
    402: "Budget used up",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    408: "Request took too long",
    409: "Conflict",
    412: "Version does not match",
    413: "Too large",
    415: "Unsupported media type",
    416: "Nothing in that range",
    422: "Invalid request",
    426: "Upgrade required",
    429: "Too often",
    500: "Internal error",
    502: "Other side failed",
    503: "Not available now",
}


class Fault(msgspec.Struct, frozen=True):
    """One place in the request that is to blame."""

    pointer: str
    detail: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of every error answer."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str
    errors: tuple[Fault, ...] = ()


def problem_reply(error: BaseException, request_id: str) -> Reply:
    """The answer to a request that ended in ``error``. What we did not foresee is logged, and only its id is shown."""
    known = _known(error)
    if known is None:
        log.error("request %s failed", request_id, exc_info=error)
        known = _Unforeseen(f"something went wrong on our side: report request {request_id}, or try again")
    faults = (Fault(known.pointer, known.detail),) if known.pointer is not None else ()
    problem = Problem(
        type=TYPE + known.code,
        title=TITLES.get(known.status, "Error"),
        status=known.status,
        detail=known.detail,
        code=known.code,
        instance=request_id,
        errors=faults,
    )
    return Reply(known.status, _encoder.encode(problem), _headers(known), "application/problem+json")


_encoder = msgspec.json.Encoder()


class _Unforeseen(TrialogueError):
    pass


def _headers(error: TrialogueError) -> tuple[tuple[str, str], ...]:
    headers: list[tuple[str, str]] = []
    if error.retry_after is not None:
        # Whole seconds, rounded up: earlier would be told the same again.
        headers.append(("Retry-After", str(max(1, int(-(-error.retry_after // 1))))))
    if isinstance(error, RangeError):
        headers.append(("Content-Range", f"bytes */{error.size}"))
    if isinstance(error, UnauthenticatedError | ScopeError):
        headers.append(("WWW-Authenticate", _challenge(error)))
    if isinstance(error, UpgradeError):
        headers.append(("Upgrade", "websocket"))
    if isinstance(error, MethodError):
        headers.append(("Allow", ", ".join(error.allow)))
    return tuple(headers)


def _challenge(error: UnauthenticatedError | ScopeError) -> str:
    """RFC 6750, section 3. Browsers show no dialogue of their own for this scheme."""
    match error:
        case WrongKeyError():
            return 'Bearer realm="trialogue", error="invalid_token"'
        case ScopeError(scope=scope):
            return f'Bearer realm="trialogue", error="insufficient_scope", scope="{scope}"'
        case _:
            return 'Bearer realm="trialogue"'


def _known(error: BaseException) -> TrialogueError | None:
    match _sole(error):
        case TrialogueError() as ours:
            return ours
        case MethodNotAllowed(valid_methods=methods):
            allowed = sorted(methods or ())
            return MethodError(f"use one of {', '.join(allowed)} here", allowed)
        case RequestEntityTooLarge():
            return LimitError("the body is larger than max_body_bytes allows")
        case RequestTimeout():
            return SlowBodyError("the body did not arrive in time: send it again")
        case HTTPException(code=404):
            return NotFoundError("nothing is served at this address: check the path")
        case HTTPException(code=int() as status, name=name, description=description) if 400 <= status < 500:
            return MalformedError(description or name)
        case _:
            return None


def _sole(error: BaseException) -> BaseException:
    """What a nursery wrapped, when it wrapped one thing."""
    match error:
        # A group does not say of what it is one, and the checker asks.
        case BaseExceptionGroup(exceptions=(BaseException() as inside,)):  # pyright: ignore[reportUnknownVariableType]
            return _sole(inside)
        case _:
            return error
