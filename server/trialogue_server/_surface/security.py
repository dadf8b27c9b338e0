"""Headers that every answer carries unless it brings its own: they tell browsers what never to do with it."""

from __future__ import annotations

#: An answer of the API is data: it loads nothing, frames nowhere, is not kept, and is not guessed to be something else.
_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
#: Half a year: long enough to protect, short enough to leave TLS again.
_TLS = (*_ALWAYS, (b"strict-transport-security", b"max-age=15768000"))


def security_headers(*, secure: bool) -> tuple[tuple[bytes, bytes], ...]:
    """The headers, in lower case, as ASGI wants them."""
    return _TLS if secure else _ALWAYS
