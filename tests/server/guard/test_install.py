"""The guard is in force under our own server and under Hypercorn's command line alike."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypercorn.trio.run
import pytest

from trialogue import ConfigurationError
from trialogue_server._guard import Connection, install, install_guard

APP = """
    from quart_trio import QuartTrio
    from trialogue_server._guard import install_guard, prepare_app

    install_guard()  # As trialogue_server.asgi does.
    app = QuartTrio(__name__)
    prepare_app(app)

    @app.get("/")
    async def index():
        return {"ok": True}
"""
CLOSE = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture
def command_line(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """``hypercorn -k trio module:app`` as an operator would run it, on a socket of ours so that it has no race."""
    (tmp_path / "guarded_app.py").write_text(textwrap.dedent(APP))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        os.set_inheritable(listener.fileno(), True)
        process = subprocess.Popen(
            [sys.executable, "-m", "hypercorn", "-k", "trio", "-b", f"fd://{listener.fileno()}", "guarded_app:app"],
            cwd=tmp_path,
            stderr=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
            text=True,
        )
        yield process, listener.getsockname()[1]
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def ask(port: int, request: bytes, tools: Any) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(request)
        return bytes(tools.read_to_end(sock))


def test_in_force_under_the_command_line(command_line: tuple[subprocess.Popen[str], int], tools: Any) -> None:
    process, port = command_line
    assert ask(port, CLOSE, tools).endswith(b'{"ok":true}\n')
    assert ask(port, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", tools).startswith(b"HTTP/1.1 505 ")
    upgrade = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    upgrade += b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\nX"
    assert ask(port, upgrade, tools).startswith(b"HTTP/1.1 400 ")
    assert process.poll() is None


def test_installing_twice_is_installing_once(monkeypatch: pytest.MonkeyPatch) -> None:
    install_guard()
    before = vars(hypercorn.trio.run).copy()
    install_guard()
    assert vars(hypercorn.trio.run) == before
    assert before["TCPServer"] is Connection


def test_another_hypercorn_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the guard reaches into may have moved."""
    monkeypatch.setattr(hypercorn.trio.run, "worker_serve", None)
    monkeypatch.setattr(install, "version", lambda name: "0.19.0")
    with pytest.raises(ConfigurationError, match=r"hypercorn 0\.19\.0"):
        install_guard()
