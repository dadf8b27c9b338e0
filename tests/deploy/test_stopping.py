"""Told to stop, a process is gone when the grace is over, and a little later at most, whoever is attached."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from deploy.service import conversation_of, serving, signed_in
from sockets import cookies_of

#: Seconds after the grace, of which one is for what is under way and the rest for a busy machine.
MORE = 10.0


@contextmanager
def stalled(port: int, request: bytes) -> Generator[socket.socket]:
    """A client that sends that, and takes next to nothing."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        client.sendall(request)
        assert client.recv(64).startswith(b"HTTP/1.1 ")
        yield client


def test_stalled_readers_do_not_hold_it(tmp_path: Path) -> None:
    grace = 2.0
    with ExitStack() as clients:
        server = clients.enter_context(serving(tmp_path, shutdown_grace_seconds=str(grace), log_requests="false"))
        ada = clients.enter_context(signed_in(server))
        name = conversation_of(ada, "[[rate=2000 endless]]")
        for path in (f"/api/conversations/{name}/events", "/api/events"):
            head = f"GET {path} HTTP/1.1\r\nHost: x\r\nCookie: {cookies_of(ada)}\r\n\r\n"
            for _ in range(5):
                clients.enter_context(stalled(server.port, head.encode()))
        # One that never comes to the end of what it sends.
        head = f"POST /api/upload HTTP/1.1\r\nHost: x\r\nCookie: {cookies_of(ada)}\r\nContent-Length: 99999\r\n"
        upload = clients.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        upload.sendall(f"{head}Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n".encode())
        time.sleep(1)  # Until what is written has filled what lies between.
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        assert server.wait(grace + MORE + 30) == 0
        assert grace <= time.monotonic() - began + 0.1 <= grace + MORE


def test_stalled_readers_do_not_hold_a_succession_either(tmp_path: Path) -> None:
    with ExitStack() as clients:
        server = clients.enter_context(serving(tmp_path, shutdown_grace_seconds="2", log_requests="false"))
        ada = clients.enter_context(signed_in(server))
        name = conversation_of(ada, "[[rate=2000 endless]]")
        head = f"GET /api/conversations/{name}/events HTTP/1.1\r\nHost: x\r\nCookie: {cookies_of(ada)}\r\n\r\n"
        for _ in range(5):
            clients.enter_context(stalled(server.port, head.encode()))
        os.kill(server.manager.pid, signal.SIGHUP)
        server.manager.wait_for("STATUS=waiting for a moment")
        began = time.monotonic()
        server.manager.wait_for("MAINPID=")
        assert time.monotonic() - began <= 2 + MORE
