"""A reader that reads slowly or not at all costs itself, and never the process."""

from __future__ import annotations

import time
from typing import Any

FIREHOSE = b"GET /firehose HTTP/1.1\r\nHost: x\r\n\r\n"


def stalled(victim: Any) -> Any:
    sock = victim.connect(receive_buffer=4096)
    sock.sendall(FIREHOSE)
    assert sock.recv(100).startswith(b"HTTP/1.1 200 ")
    return sock


def test_upstream_waits_for_a_stalled_reader_at_shutdown(start: Any) -> None:
    """Upstream still has it: neither the grace nor the shutdown time-out ends the process."""
    victim = start("stock", graceful_timeout=0.3, shutdown_timeout=0.5)
    with stalled(victim):
        assert victim.seconds_to_end(within=3) is None


def test_stalled_reader_does_not_hold_the_shutdown(start: Any) -> None:
    """After the grace it is broken off, whatever its deadline."""
    victim = start("guard", graceful_timeout=0.5, limits={"send_deadline": 30.0})
    with stalled(victim), stalled(victim), stalled(victim):
        ended = victim.seconds_to_end(within=20)
    assert ended is not None


def test_stalled_reader_is_dropped_at_its_deadline(start: Any) -> None:
    victim = start("guard", limits={"send_deadline": 0.4, "linger": 0.2})
    before = victim.descriptors()
    with stalled(victim):
        assert victim.descriptors_fall_to(before)
    assert victim.alive()


def test_slow_reader_that_reads_is_not_dropped(start: Any) -> None:
    """The deadline asks for progress, not for speed."""
    victim = start("guard", limits={"send_deadline": 1.0})
    with stalled(victim) as sock:
        end = time.monotonic() + 2
        while time.monotonic() < end:
            assert sock.recv(2_000_000)
            time.sleep(0.1)
        assert sock.recv(100)


def test_stalled_reader_holds_bounded_memory(start: Any) -> None:
    victim = start("guard")
    before = victim.memory()
    with stalled(victim), stalled(victim):
        time.sleep(0.5)  # Time for a server without backpressure to fill gigabytes.
        assert victim.memory() - before < 30_000_000


def test_answers_under_way_end_within_the_grace(start: Any, tools: Any) -> None:
    victim = start("guard", graceful_timeout=30, limits={"linger": 0.2})
    with victim.connect() as sock, victim.connect() as idle:
        sock.sendall(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
        tools.read_until(sock, b"first")
        idle.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        tools.read_until(idle, b"}\n")
        ended = victim.seconds_to_end(within=20)
        assert idle.recv(1) == b""
        assert tools.read_to_end(sock).endswith(b"last\r\n0\r\n\r\n")
    assert ended is not None
