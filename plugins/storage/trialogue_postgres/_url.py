"""Where PostgreSQL is, how to get in, and with how many connections, from one URL. What libpq knows is libpq's to read; one
parameter, ``connections``, is ours.

Each connection is told how long a statement, a wait for a lock and an idle transaction may last, that a commit is on the
disk when it is acknowledged, and that what can be found by an index is found by it, however young the statistics.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, urlencode

import msgspec
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from trialogue import ConfigurationError

#: Connections of one process: 8 to 16 do its work, more are a cap and not a target.
CONNECTIONS, FEWEST, MOST = 12, 2, 100

#: In front of what the operator says in ``options``, who has the last word, but for durability.
_SETTINGS = {
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",
    "enable_seqscan": "off",
    "jit": "off",
}
_DURABLE = "-c synchronous_commit=on"
#: What has the kernel notice, in half a minute, that a server's machine is gone; unless the operator says otherwise.
_ALIVE = {"keepalives_idle": "10", "keepalives_interval": "5", "keepalives_count": "3", "tcp_user_timeout": "25000"}


class Address(msgspec.Struct, frozen=True):
    """A database, and how many connections may be open to it."""

    conninfo: str
    connections: int

    def __str__(self) -> str:
        known = conninfo_to_dict(self.conninfo)
        place = f"{known.get('host', 'the local socket')}:{known.get('port', 5432)}"
        return f"{place}/{known.get('dbname') or known.get('user', '')}"

    def __repr__(self) -> str:
        return f"Address({str(self)!r})"

    def with_setting(self, name: str, value: str) -> str:
        """The connection string of connections that are told one thing more."""
        options = conninfo_to_dict(self.conninfo).get("options")
        return make_conninfo(self.conninfo, options=f"{options} -c {name}={value}")


def parse_url(url: str) -> Address:
    """The address that ``storage_url`` spells. Raises ``ConfigurationError``; its words hold no password."""
    base, _, query = url.partition("?")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError as error:
        raise _wrong("what follows its ? are no parameters") from error
    rest = urlencode([pair for pair in pairs if pair[0] != "connections"], quote_via=quote)
    bare = f"{base}?{rest}" if rest else base
    try:
        known = conninfo_to_dict(bare)
        name = known.get("application_name") or "trialogue"
        more = {name: value for name, value in _ALIVE.items() if name not in known}
        conninfo = make_conninfo(bare, application_name=name, options=_options(known.get("options")), **more)
    except psycopg.ProgrammingError:
        # Not told further: libpq quotes what it does not understand, which may be a password with a stray character.
        raise _wrong(
            "libpq cannot read it; characters such as @ : / % in a password are written %40 %3A %2F %25"
        ) from None
    return Address(conninfo, _connections([value for name, value in pairs if name == "connections"]))


def _options(theirs: object) -> str:
    ours = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
    return f"{ours} {theirs or ''} {_DURABLE}"


def _connections(given: list[str]) -> int:
    value = given[-1] if given else str(CONNECTIONS)
    if not (value.isascii() and value.isdecimal() and len(value) < 4 and FEWEST <= int(value) <= MOST):
        raise _wrong(f"connections={value[:16]!r} must be a number from {FEWEST} to {MOST}")
    return int(value)


def _wrong(why: str) -> ConfigurationError:
    return ConfigurationError(
        f"storage_url cannot be used ({why}): it must be like postgresql://user:password@host:5432/database?connections=12"
    )
