"""ASGI's ``send`` of one request, with what every answer has in common: headers, and a look at what was sent."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from trialogue_server._callers.quotas import quota_headers
from trialogue_server._http.call import Call, Send

_Headers = tuple[tuple[bytes, bytes], ...]


class Answered:
    """Sends, and remembers the status and the number of bytes, for the log."""

    __slots__ = ("_call", "_common", "_send", "sent", "status")

    def __init__(self, call: Call, send: Send, common: _Headers) -> None:
        #: 0 while nothing was answered.
        self.status = 0
        #: Bytes of the body; ``None`` for a stream, which the hub writes past us.
        self.sent: int | None = 0
        self._call = call
        self._send = send
        self._common = common

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        """Send one message of ASGI's."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._dress(message)
        elif self.sent is not None:
            self.sent += len(message.get("body", b""))
        await self._send(message)

    def _dress(self, message: MutableMapping[str, Any]) -> None:
        headers = message["headers"]
        given = {name for name, _ in headers}
        if (b"content-type", b"text/event-stream") in headers:
            self.sent = None
        message["headers"] = [
            *headers,
            # An answer's own go first; what it varies with adds up.
            *(pair for pair in self._common if pair[0] not in given or pair[0] == b"vary"),
            *quota_headers(self._call.taken or ()),
        ]
