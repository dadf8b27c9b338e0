"""Servers to attack, each in a process of its own: ``stock`` is Hypercorn as it comes, ``guarded`` is ours.

The tests use blocking sockets with a time-out: what a stranger would do, and nothing of Trio's on their side.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

_TARGET = Path(__file__).with_name("target.py")
_PATIENCE = 10.0


class Victim:
    """A running server, and what a stranger can do to it."""

    def __init__(self, process: subprocess.Popen[str], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self._log = log
        self._seen = 0
        self._at_rest = self.descriptors()

    def logged(self) -> str:
        """What it has logged since it was handed out."""
        return self._log.read_text()[self._seen :]

    def at_rest(self) -> Victim:
        """Itself, once nothing of an earlier test is left."""
        assert self.descriptors_fall_to(self._at_rest)
        self._seen = len(self._log.read_text())
        return self

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def connect(self, *, timeout: float = _PATIENCE, receive_buffer: int | None = None) -> socket.socket:
        sock = socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(timeout)
        try:
            sock.connect(("127.0.0.1", self.port))
        except OSError:
            sock.close()
            raise
        return sock

    def ask(self, request: bytes, *, timeout: float = _PATIENCE) -> bytes:
        """Everything the server sends until it closes. Raises ``TimeoutError`` if it does not."""
        with self.connect(timeout=timeout) as sock:
            sock.sendall(request)
            return read_to_end(sock)

    def alive(self) -> bool:
        """Whether it still answers somebody else."""
        if self.process.poll() is not None:
            return False
        try:
            return b"200" in self.ask(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", timeout=2)
        except TimeoutError:  # Stock never closes; it has answered all the same.
            return True
        except OSError:
            return False

    def died(self) -> bool:
        """Whether the process ended by itself, soon."""
        try:
            self.process.wait(3)
        except subprocess.TimeoutExpired:
            return False
        return True

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def descriptors_fall_to(self, count: int) -> bool:
        return eventually(lambda: self.descriptors() <= count)

    def memory(self) -> int:
        fields = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    def seconds_to_end(self, within: float) -> float | None:
        """After SIGTERM; ``None`` if it has not ended ``within`` so many seconds."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(within)
        except subprocess.TimeoutExpired:
            return None
        return time.monotonic() - began


def read_to_end(sock: socket.socket) -> bytes:
    received = bytearray()
    while data := sock.recv(65_536):
        received += data
    return bytes(received)


def read_until(sock: socket.socket, mark: bytes) -> bytes:
    received = bytearray()
    while mark not in received:
        data = sock.recv(65_536)
        if not data:
            raise EOFError(bytes(received))
        received += data
    return bytes(received)


def eventually(true: Callable[[], bool], within: float = _PATIENCE) -> bool:
    """Asked again until it is so: for what the kernel or another process does in its own time."""
    end = time.monotonic() + within
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def reset(sock: socket.socket) -> None:
    """Close with a reset, as a crashed client's machine does."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


Start = Callable[..., Victim]


def launch(kind: Literal["stock", "guard"], log: Path, settings: dict[str, Any]) -> Victim:
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, str(_TARGET), kind, json.dumps(settings)],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.strip().isdecimal(), log.read_text()
    return Victim(process, int(line), log)


@pytest.fixture(scope="session")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    """A guarded server with the usual settings, shared: starting one takes most of a second."""
    victim = launch("guard", tmp_path_factory.mktemp("guard") / "log", {})
    yield victim
    victim.stop()


@pytest.fixture
def start(tmp_path: Path, usual: Victim) -> Iterator[Start]:
    """``start("stock" or "guard", setting=value, ...)``."""
    running: list[Victim] = []

    def start_one(kind: Literal["stock", "guard"], **settings: Any) -> Victim:
        if kind == "guard" and not settings:
            return usual.at_rest()
        running.append(launch(kind, tmp_path / f"log{len(running)}", settings))
        return running[-1]

    yield start_one
    for victim in running:
        victim.stop()


@pytest.fixture
def certificate(tmp_path: Path) -> str:
    """A key and its self-signed certificate, in one file."""
    path = tmp_path / "pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-subj", "/CN=localhost", "-days", "1", "-keyout", str(path), "-out", str(tmp_path / "crt")]
    subprocess.run(command, check=True, capture_output=True)
    path.write_text(path.read_text() + (tmp_path / "crt").read_text())
    return str(path)


@pytest.fixture
def tools() -> Any:
    """The functions of this file: with importlib's import mode a test cannot import its neighbour."""
    return sys.modules[__name__]
