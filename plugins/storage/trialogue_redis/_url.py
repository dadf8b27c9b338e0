"""Where Redis is and how to get in, from one URL."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import msgspec

from trialogue import ConfigurationError

SCHEMES = ("redis", "rediss", "unix")


class Address(msgspec.Struct, frozen=True):
    """A server, and what to say to it first. ``path`` is that of a local socket, and stands for host and port."""

    host: str
    port: int
    path: str | None
    tls: bool
    user: str | None
    password: str | None
    database: int

    def __str__(self) -> str:
        place = self.path or f"{self.host}:{self.port}"
        return f"{place}/{self.database}"

    def __repr__(self) -> str:
        return f"Address({str(self)!r})"


def parse_url(url: str) -> Address:
    """``redis://[user:password@]host[:port][/database]``, ``rediss://`` with TLS, ``unix:///path[?db=database]``.

    Raises ``ConfigurationError``; its words hold no password.
    """
    try:
        parts = urlsplit(url)
        port, scheme = parts.port or 6379, parts.scheme
        host = parts.hostname or "127.0.0.1"
        host.encode("idna")  # As it is looked up.
    except ValueError as error:
        raise _wrong(str(error)) from error
    if scheme not in SCHEMES:
        raise _wrong(f"its scheme is {scheme!r}")
    database = parts.query.removeprefix("db=") if scheme == "unix" else parts.path.removeprefix("/")
    if not (database or "0").isdecimal():
        raise _wrong(f"its database is {database[:32]!r}, which is no number")
    if scheme == "unix" and not parts.path:
        raise _wrong("it names no socket")
    return Address(
        host=host,
        port=port,
        path=unquote(parts.path) if scheme == "unix" else None,
        tls=scheme == "rediss",
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        database=int(database or 0),
    )


def _wrong(why: str) -> ConfigurationError:
    return ConfigurationError(
        f"redis_url cannot be used ({why}): it must be like redis://host:6379/0, rediss://user:password@host or unix:///path"
    )
