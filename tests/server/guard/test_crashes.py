"""No stranger ends the process: one connection's failure stays in it."""

from __future__ import annotations

import contextlib
from typing import Any

import h2.config
import h2.connection
import h2.exceptions
import pytest
import trio
from hypercorn.config import Config
from hypercorn.events import RawData
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def send_stray_byte(victim: Any, tools: Any) -> bytes:
    with victim.connect() as sock:
        sock.sendall(UPGRADE + b"X")
        try:
            return bytes(tools.read_to_end(sock))
        except OSError:
            return b""


def test_upstream_dies_of_a_stray_byte(start: Any, tools: Any) -> None:
    """Upstream still has it (hypercorn #225)."""
    victim = start("stock")
    for _ in range(20):
        with contextlib.suppress(ConnectionError):
            send_stray_byte(victim, tools)
    assert victim.died()


def test_stray_byte_behind_an_upgrade_is_refused(start: Any, tools: Any) -> None:
    victim = start("guard")
    for _ in range(20):
        assert send_stray_byte(victim, tools).startswith(b"HTTP/1.1 400 ")
    assert victim.alive()
    assert "Traceback" not in victim.logged()


def test_frames_before_the_handshake_in_a_packet_of_their_own(start: Any) -> None:
    """Whichever comes first, the acceptance or the byte: the client is answered and nobody else is harmed."""
    victim = start("guard")
    for _ in range(20):
        with victim.connect() as sock:
            sock.sendall(UPGRADE)
            sock.sendall(b"\x81\x81abcd\x00")
            assert sock.recv(100).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 101 "))
    assert victim.alive()


def upload_over_h2(victim: Any) -> None:
    """Prior knowledge; then more of a body after it was answered."""
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    with victim.connect() as sock:
        client.initiate_connection()
        head = [(":method", "POST"), (":path", "/nowhere"), (":scheme", "http"), (":authority", "x")]
        client.send_headers(1, head)
        sock.sendall(client.data_to_send())
        try:
            while not any(type(event).__name__ == "ResponseReceived" for event in receive_h2(client, sock)):
                pass
            for _ in range(50):
                client.send_data(1, b"x" * 1000)
                sock.sendall(client.data_to_send())
            sock.recv(65_536)
        except (OSError, EOFError, h2.exceptions.ProtocolError):
            return


def receive_h2(client: h2.connection.H2Connection, sock: Any) -> list[Any]:
    data = sock.recv(65_536)
    if not data:
        raise EOFError
    return list(client.receive_data(data))


def test_upstream_dies_of_a_late_h2_body(start: Any) -> None:
    """Upstream still has it (relative of hypercorn #197)."""
    victim = start("stock")
    for _ in range(5):
        with contextlib.suppress(ConnectionError):
            upload_over_h2(victim)
    assert victim.died()


def test_h2_by_prior_knowledge_is_refused_in_http1(start: Any) -> None:
    victim = start("guard")
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)
    assert victim.ask(preface).startswith(b"HTTP/1.1 505 ")
    upload_over_h2(victim)
    assert victim.alive()


def ask_for_h2c(victim: Any, tools: Any) -> bytes:
    with victim.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n")
        sock.sendall(b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n")
        return bytes(tools.read_until(sock, b"\r\n\r\n"))


def test_upstream_always_speaks_h2c(start: Any, tools: Any) -> None:
    """Upstream still has it: HTTP/2, without backpressure, for whoever asks."""
    assert ask_for_h2c(start("stock"), tools).startswith(b"HTTP/1.1 101 ")


def test_h2c_upgrade_is_answered_in_http1(start: Any, tools: Any) -> None:
    assert ask_for_h2c(start("guard"), tools).startswith(b"HTTP/1.1 200 ")


async def test_upstream_closing_collides_with_a_ping() -> None:
    """Upstream still has it: closing takes the sending side without the lock that senders hold."""
    ours, theirs = await connected()
    async with ours, theirs:
        server = TCPServer(None, Config(), WorkerContext(None), {}, ours)  # type: ignore[arg-type]
        closing = server._close()
        closing.send(None)  # As far as its first checkpoint, where any other task may run.
        with pytest.raises(trio.BusyResourceError):
            await server.protocol_send(RawData(b"ping"))
        closing.close()


async def connected() -> tuple[trio.SocketStream, trio.SocketStream]:
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    async with listener:
        theirs = await trio.open_tcp_stream(*listener.socket.getsockname())
        return await listener.accept(), theirs


def test_garbage_of_many_kinds_harms_nobody(start: Any) -> None:
    victim = start("guard")
    before = victim.descriptors()
    for garbage in GARBAGE:
        with contextlib.suppress(OSError):
            victim.ask(garbage, timeout=0.3)
    assert victim.alive()
    assert victim.descriptors_fall_to(before)
    assert "a connection failed" not in victim.logged()


GARBAGE = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),  # A TLS client that took the wrong port.
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /%ff%fe HTTP/1.1\r\nHost: \xff\r\nConnection: close\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
    b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
    b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\nhello",
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    UPGRADE.replace(b"/ws", b"/nowhere"),
    UPGRADE.replace(b"13", b"8"),
    UPGRADE.replace(b"HTTP/1.1", b"HTTP/1.0"),
)
