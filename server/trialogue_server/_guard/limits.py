"""How long and how much: every figure of the guard, in one place, with its reason.

They travel as ``config.guard_limits``; a configuration that came from Hypercorn's command line has the defaults until the
app tells of others (``adopt_limits``).
"""

from __future__ import annotations

import msgspec
from hypercorn.config import Config

_ATTRIBUTE = "guard_limits"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """All times are seconds, all sizes bytes."""

    #: A socket that takes not one byte for so long is given up. A phone in a tunnel comes back within it.
    send_deadline: float = 30.0
    #: Of a body that nobody wants, so much is read away to keep the connection; for more we say ``Connection: close``.
    drain: int = 65_536
    #: After our last byte, how long and how much we listen on, so that the client reads the answer and no reset.
    linger: float = 2.0
    linger_bytes: int = 1_048_576
    #: How long a WebSocket client may take to answer our Close frame.
    close_handshake: float = 5.0
    #: Requests sent ahead are kept up to here while the first is answered; beyond it, the client is left to wait.
    pipelined: int = 65_536
    #: The kernel gives up a peer that acknowledges nothing for so long (0: the kernel's own quarter of an hour).
    peer_timeout: float = 90.0
    #: Connections of one address at a time (0: any number), and the addresses that stand for many clients.
    per_address: int = 0
    proxies: frozenset[str] = frozenset()
    #: What a client is told that has too many.
    crowded: bytes = b"HTTP/1.1 429 \r\ncontent-length: 0\r\nretry-after: 5\r\nconnection: close\r\n\r\n"


def limits_of(config: Config) -> Limits:
    """The limits that ``config`` carries, or the defaults."""
    found: Limits = getattr(config, _ATTRIBUTE, _DEFAULT)
    return found


def set_limits(config: Config, limits: Limits) -> None:
    """Have ``config`` carry ``limits``."""
    setattr(config, _ATTRIBUTE, limits)


_DEFAULT = Limits()
