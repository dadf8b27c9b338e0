"""WebSockets: measured before they are inflated, missed when they fall silent, and ended when they do not say goodbye."""

from __future__ import annotations

import base64
import os
import struct
import time
from typing import Any

import pytest


def upgrade(victim: Any, tools: Any, path: str = "/ws", extra: bytes = b"", timeout: float = 5) -> tuple[Any, bytes]:
    sock = victim.connect(timeout=timeout)
    key = base64.b64encode(os.urandom(16))
    sock.sendall(
        b"GET %b HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %b\r\n"
        b"Sec-WebSocket-Version: 13\r\n%b\r\n" % (path.encode(), key, extra)
    )
    return sock, tools.read_until(sock, b"\r\n\r\n")


def frame(opcode: int, payload: bytes) -> bytes:
    """A client's frame; masked with zeros, which changes nothing."""
    short = len(payload) < 126
    size = bytes([0x80 | len(payload)]) if short else b"\xfe" + struct.pack("!H", len(payload))
    return bytes([0x80 | opcode]) + size + bytes(4) + payload


NO_PINGS: dict[str, Any] = {"websocket_ping_interval": None}
DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"


def test_upstream_always_inflates(start: Any, tools: Any) -> None:
    """Upstream still has it: compression is agreed to, and a message is unpacked before it is measured."""
    sock, head = upgrade(start("stock"), tools, extra=DEFLATE)
    with sock:
        assert b"permessage-deflate" in head.lower()


def test_compression_is_never_agreed_to(start: Any, tools: Any) -> None:
    sock, head = upgrade(start("guard", **NO_PINGS), tools, extra=DEFLATE)
    with sock:
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"extensions" not in head.lower()
        sock.sendall(frame(1, b"hello"))
        assert sock.recv(100) == b"\x81\x05hello"


def test_upstream_takes_an_empty_message_for_a_missing_one(start: Any, tools: Any) -> None:
    """Upstream still has it (Quart-Trio): the echo of an empty binary message is an error inside the server."""
    sock, _ = upgrade(start("stock"), tools)
    with sock:
        sock.sendall(frame(2, b""))
        assert sock.recv(100)[:1] == b"\x88"  # Close, internal error.


def test_empty_binary_message_comes_back(start: Any, tools: Any) -> None:
    sock, _ = upgrade(start("guard", **NO_PINGS), tools)
    with sock:
        sock.sendall(frame(2, b""))
        assert sock.recv(100) == b"\x82\x00"


def test_message_beyond_the_limit_ends_the_socket(start: Any, tools: Any) -> None:
    victim = start("guard", websocket_max_message_size=1000, **NO_PINGS, limits={"close_handshake": 0.3})
    before = victim.descriptors()
    sock, _ = upgrade(victim, tools)
    with sock:
        sock.sendall(frame(2, bytes(1001)))
        assert sock.recv(4) == b"\x88\x02\x03\xf1"  # Close 1009.
        assert victim.descriptors_fall_to(before)  # Though the client never answers.


def silent_peer(victim: Any, tools: Any) -> Any:
    """Sends nothing after the handshake, not even pongs."""
    sock, _ = upgrade(victim, tools, "/quiet", timeout=2)
    return sock


def test_upstream_never_misses_a_pong(start: Any, tools: Any) -> None:
    """Upstream still has it: pings go out, and nobody looks whether anything comes back."""
    victim = start("stock", websocket_ping_interval=0.1)
    with silent_peer(victim, tools) as sock:
        for _ in range(10):
            assert sock.recv(2) == b"\x89\x00"


def test_peer_that_answers_no_ping_is_dropped(start: Any, tools: Any) -> None:
    victim = start("guard", websocket_ping_interval=0.1)
    before = victim.descriptors()
    with silent_peer(victim, tools) as sock:
        with pytest.raises(ConnectionResetError):
            tools.read_to_end(sock)
        assert victim.descriptors_fall_to(before)


def test_peer_that_answers_pings_stays(start: Any, tools: Any) -> None:
    victim = start("guard", websocket_ping_interval=0.1)
    with silent_peer(victim, tools) as sock:
        for _ in range(8):
            assert sock.recv(2) == b"\x89\x00"
            sock.sendall(frame(10, b""))


def test_peer_whose_pongs_wait_behind_a_busy_app_stays(start: Any, tools: Any) -> None:
    victim = start("guard", websocket_ping_interval=0.1)
    sock, _ = upgrade(victim, tools, "/busy")
    with sock:
        for number in range(60):  # One by one, as more reads than the app has room for.
            sock.sendall(frame(1, b"%02d" % number))
            time.sleep(0.005)
        tools.read_until(sock, b"\x81\x0259")


def test_client_that_says_goodbye_is_let_go(start: Any, tools: Any) -> None:
    victim = start("guard", websocket_ping_interval=0.05)
    before = victim.descriptors()
    for _ in range(20):
        sock, _ = upgrade(victim, tools)
        with sock:
            sock.sendall(frame(8, struct.pack("!H", 1000)))
            received = tools.read_to_end(sock)
        assert received.endswith(b"\x88\x02\x03\xe8")
    assert victim.descriptors_fall_to(before)
    assert victim.alive()
    assert "Traceback" not in victim.logged()


def test_client_that_vanishes_is_forgotten(start: Any, tools: Any) -> None:
    victim = start("guard")
    before = victim.descriptors()
    for _ in range(10):
        tools.reset(upgrade(victim, tools)[0])
    assert victim.descriptors_fall_to(before)
