"""How many connections there may be, how long they may be left unread, and what one too many is told."""

from __future__ import annotations

from trialogue import ThrottledError, new_id
from trialogue_server._guard import Limits
from trialogue_server._http.problems import problem_reply
from trialogue_server.config import Config


def connection_limits(config: Config) -> Limits:
    """The guard's bounds as configured."""
    return Limits(
        send_deadline=config.send_deadline_seconds,
        per_address=config.connections_per_address,
        proxies=frozenset(config.trusted_proxies),
        crowded=_crowded(config.connections_per_address),
    )


def _crowded(most: int) -> bytes:
    """What a client is told whose address has too many connections: a problem, as from anywhere."""
    detail = f"your address has {most} connections open (connections_per_address): close some first"
    reply = problem_reply(ThrottledError(detail, retry_after=5.0), new_id())
    headers = "".join(f"{name}: {value}\r\n" for name, value in reply.headers)
    head = f"HTTP/1.1 429 \r\ncontent-type: {reply.media_type}\r\ncontent-length: {len(reply.body)}\r\n{headers}"
    return f"{head}connection: close\r\n\r\n".encode() + reply.body
