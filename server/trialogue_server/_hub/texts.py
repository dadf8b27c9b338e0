"""Server-sent events as a WebSocket's text messages: the same JSON, joined around and not decoded.

An ``id``, an ``event`` and ``data`` become ``{"type":"event","id":SUBSCRIPTION,"token":ID,"event":EVENT,"data":DATA}``.
"""

from __future__ import annotations

import json

_TEXT = 0x81  # A final frame of text.


def message_ends(events: bytes) -> list[bytes]:
    """What follows a message's subscription in each of ``events``, frames as the core writes them."""
    return [_end(block) for block in events.split(b"\n\n") if block]


def message_prefix(subscription: str) -> bytes:
    """What such a message begins with."""
    return b'{"type":"event","id":%b' % json.dumps(subscription).encode()


def _end(block: bytes) -> bytes:
    head, _, data = block.partition(b"\ndata: ")
    cursor, _, kind = head.rpartition(b"event: ")
    # An event that cannot be resumed from, such as a reset, has no id.
    token = b',"token":"%b"' % cursor[4:-1] if cursor else b""
    return b'%b,"event":"%b","data":%b}' % (token, kind, data)


def frame_text(text: bytes) -> bytes:
    """``text`` as a server's unmasked, final frame (RFC 6455, 5.2)."""
    size = len(text)
    if size < 126:
        return b"%c%c%b" % (_TEXT, size, text)
    if size < 65_536:
        return b"%c\x7e%b%b" % (_TEXT, size.to_bytes(2, "big"), text)
    return b"%c\x7f%b%b" % (_TEXT, size.to_bytes(8, "big"), text)
