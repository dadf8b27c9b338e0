"""Why a socket is closed. The codes are those of the graphql-transport-ws protocol, which tools know, and RFC 6455's own."""

from __future__ import annotations

#: RFC 6455.
GOING_AWAY, TOO_BIG, BROKEN = 1001, 1009, 1011
#: graphql-transport-ws.
BAD_MESSAGE, UNAUTHORIZED, FORBIDDEN, TIMEOUT, DUPLICATE, TOO_MANY = 4400, 4401, 4403, 4408, 4409, 4429

#: A control frame holds 125 bytes, two of them the code.
_LONGEST_REASON = 123


class Closing(Exception):
    """This socket is to be closed with ``code``; ``reason`` is for whoever wrote the client."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode()[:_LONGEST_REASON].decode(errors="ignore")
