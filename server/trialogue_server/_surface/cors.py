"""What pages of other origins may do with the API in a browser (CORS): nothing, unless their origin is configured.

A configured origin is named back as it is, never as ``*``, because its pages may use a user's cookie. What decides whether a
request with a cookie may change anything is ``_callers.peer``; this here only has the browser hand over the answers.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from trialogue_server._http.call import Call, Reply

#: Headers that a page may send, and those of an answer that it may read besides the ones that any may.
_TAKEN = "Accept, Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, If-Range, Last-Event-ID, Range"
_SHOWN = (
    "Accept-Ranges, Content-Disposition, Content-Range, ETag, Link, Location, RateLimit, RateLimit-Policy, Retry-After, "
    "X-Request-Id"
)
#: How long a browser need not ask again.
_SECONDS = 600


class Cors:
    """The configured origins."""

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = frozenset(origin.rstrip("/").lower() for origin in origins)

    def headers(self, call: Call) -> tuple[tuple[bytes, bytes], ...]:
        """Headers of every answer, in lower case, as ASGI wants them; none where no origin is configured."""
        if not self._origins:
            return ()
        # Whether or not it is one of ours: a cache must not give one page's answer to another.
        headers = [(b"vary", b"Origin")]
        if self._allows(origin := call.header("origin")):
            headers += [
                (b"access-control-allow-origin", origin.encode("latin-1")),
                (b"access-control-allow-credentials", b"true"),
                (b"access-control-expose-headers", _SHOWN.encode()),
                (b"cross-origin-resource-policy", b"cross-origin"),
            ]
        return tuple(headers)

    def options(self, call: Call, methods: Sequence[str]) -> Reply:
        """The answer to OPTIONS on a path that takes ``methods``, a browser's question before a request included."""
        allow = ", ".join(methods)
        headers = [("Allow", allow)]
        if call.header("access-control-request-method") and self._allows(call.header("origin")):
            headers += [
                ("Access-Control-Allow-Methods", allow),
                ("Access-Control-Allow-Headers", f"{_TAKEN}, X-Request-Id"),
                ("Access-Control-Max-Age", str(_SECONDS)),
            ]
        return Reply(200, headers=tuple(headers))

    def _allows(self, origin: str) -> bool:
        return origin.lower() in self._origins
