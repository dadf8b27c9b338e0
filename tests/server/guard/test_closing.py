"""Every connection ends: after ``Connection: close``, after an early answer, after silence, after a slow head."""

from __future__ import annotations

import contextlib
import ssl
import time
from typing import Any

import pytest

CLOSE = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
KEEP = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
OLD = b"GET / HTTP/1.0\r\n\r\n"


@pytest.mark.parametrize("request_head", [CLOSE, OLD], ids=["connection-close", "http-1.0"])
def test_upstream_never_closes_after_its_answer(start: Any, request_head: bytes) -> None:
    """Upstream still has it: the disconnect cancels the very send that would have closed."""
    victim = start("stock")
    with pytest.raises(TimeoutError):
        victim.ask(request_head, timeout=1)


@pytest.mark.parametrize("request_head", [CLOSE, OLD], ids=["connection-close", "http-1.0"])
def test_closes_after_its_answer(start: Any, request_head: bytes) -> None:
    victim = start("guard")
    answer = victim.ask(request_head, timeout=2)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b'{"ok":true}\n')
    assert b"server:" not in answer.lower()


def test_closes_after_its_answer_over_tls(start: Any, tools: Any, certificate: str) -> None:
    """There every write waits, and so there is always something for the disconnect to cancel."""
    victim = start("guard", certfile=certificate, keyfile=certificate)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with context.wrap_socket(victim.connect(timeout=3)) as sock:
        sock.sendall(CLOSE)
        assert tools.read_to_end(sock).endswith(b'{"ok":true}\n')


def seconds_idle(victim: Any, tools: Any, *, timeout: float) -> float:
    with victim.connect(timeout=timeout) as sock:
        sock.sendall(KEEP)
        tools.read_until(sock, b"}\n")
        began = time.monotonic()
        assert sock.recv(1) == b""
        return time.monotonic() - began


def test_upstream_keeps_an_idle_connection_for_ever(start: Any, tools: Any) -> None:
    """Upstream still has it: no time-out after the first request."""
    victim = start("stock", keep_alive_timeout=0.3)
    with pytest.raises(TimeoutError):
        seconds_idle(victim, tools, timeout=2)


def test_idle_connection_is_closed_in_time(start: Any, tools: Any) -> None:
    assert seconds_idle(start("guard", keep_alive_timeout=0.3), tools, timeout=20) > 0.2


def test_keep_alive_serves_many_requests(start: Any, tools: Any) -> None:
    """A busy connection is not an idle one, however long it lives."""
    victim = start("guard", keep_alive_timeout=1)
    end = time.monotonic() + 2
    with victim.connect() as sock:
        while time.monotonic() < end:
            sock.sendall(KEEP)
            assert tools.read_until(sock, b"}\n").startswith(b"HTTP/1.1 200 ")


def test_silent_and_dribbling_heads_run_out_of_time(start: Any, tools: Any) -> None:
    """Slow loris: the whole head has the keep-alive time, however it is cut up."""
    victim = start("guard", keep_alive_timeout=0.5)
    before = victim.descriptors()
    with victim.connect() as first:
        first.sendall(KEEP)  # The server takes connections by then, and so it takes the others in their order.
        socks = [victim.connect() for _ in range(20)]

    def dribbled_out() -> bool:
        for sock in socks[10:]:
            with contextlib.suppress(OSError):
                sock.send(b"G")
        return bool(victim.descriptors() <= before)

    try:
        assert tools.eventually(lambda: victim.descriptors() > before)
        assert tools.eventually(dribbled_out)
    finally:
        for sock in socks:
            sock.close()


@pytest.mark.parametrize("at_once", [True, False], ids=["in-one-piece", "in-pieces"])
def test_head_has_a_size(start: Any, at_once: bool) -> None:
    """Also when it arrives so fast that the parser never sees it incomplete."""
    victim = start("guard", h11_max_incomplete_size=8192)
    with victim.connect() as sock:
        head = b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-Filler: %b\r\n" % (b"y" * 500) * 20 + b"\r\n"
        for start_at in range(0, len(head), len(head) if at_once else 600):
            sock.sendall(head[start_at : start_at + (len(head) if at_once else 600)])
            if not at_once:
                time.sleep(0.002)
        assert sock.recv(100).startswith(b"HTTP/1.1 431 ")


# ------------------------------------------------------------------------------------------------ early answers


def early_then_next(victim: Any, tools: Any, *, size: int, pause: float, timeout: float = 2) -> tuple[bytes, bytes]:
    """The answer to a request whose body is still to come, and, after the body, the answer to another one."""
    with victim.connect(timeout=timeout) as sock:
        sock.sendall(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
        first = tools.read_until(sock, b"\r\n\r\n")
        while b"</p>" not in first:
            first += sock.recv(65_536)
        time.sleep(pause)  # The server's end of the request comes after the last byte of its answer: or not yet.
        try:
            sock.sendall(b"x" * size)
            sock.sendall(KEEP)
            return first, sock.recv(65_536)
        except OSError as error:
            if isinstance(error, TimeoutError):
                raise
            return first, b""


def test_upstream_hangs_after_an_early_answer(start: Any, tools: Any) -> None:
    """Upstream still has it: closing is cancelled half-way, the descriptor is held for good."""
    victim = start("stock")
    before = victim.descriptors()
    for _ in range(3):
        with contextlib.suppress(TimeoutError):
            early_then_next(victim, tools, size=100, pause=0.05, timeout=0.3)
    assert not tools.eventually(lambda: victim.descriptors() <= before, within=1)


def test_small_unwanted_body_keeps_the_connection(start: Any, tools: Any) -> None:
    victim = start("guard")
    before = victim.descriptors()
    for attempt in range(20):
        first, second = early_then_next(victim, tools, size=1000, pause=0.02 * (attempt % 2))
        assert first.startswith(b"HTTP/1.1 404 ")
        assert b"connection: close" not in first.lower()
        assert second.startswith(b"HTTP/1.1 200 ")
    assert victim.descriptors_fall_to(before)


def test_large_unwanted_body_closes_in_order(start: Any, tools: Any) -> None:
    """The client is told, can read the answer however much it has already sent, and sees an end."""
    victim = start("guard")
    before = victim.descriptors()
    for attempt in range(6):
        first, second = early_then_next(victim, tools, size=300_000, pause=0.02 * (attempt % 2))
        assert first.startswith(b"HTTP/1.1 404 ")
        assert b"connection: close" in first.lower()
        assert second == b""
    assert victim.descriptors_fall_to(before)


def test_unwanted_body_that_stops_is_not_waited_for(start: Any, tools: Any) -> None:
    victim = start("guard", keep_alive_timeout=0.3)
    before = victim.descriptors()
    with victim.connect() as sock:
        sock.sendall(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc")
        tools.read_until(sock, b"</p>")
        assert victim.descriptors_fall_to(before)


def test_unwanted_body_without_end_is_cut(start: Any, tools: Any) -> None:
    """In chunks nobody knows how much is to come: closed, after a bounded amount."""
    victim = start("guard")
    with victim.connect() as sock:
        sock.sendall(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert b"connection: close" in tools.read_until(sock, b"</p>").lower()
        with pytest.raises(OSError, match=r"reset|pipe"):
            sock.sendall(b"8000\r\n%b\r\n" % (b"x" * 0x8000) * 1500)


def test_expected_continue_then_body(start: Any, tools: Any) -> None:
    victim = start("guard")
    with victim.connect() as sock:
        sock.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert tools.read_until(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        sock.sendall(b"hello")
        assert tools.read_until(sock, b"hello").startswith(b"HTTP/1.1 200 ")
