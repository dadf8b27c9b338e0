"""A stream lasts as long as it likes, and never looks complete when it is not."""

from __future__ import annotations

from typing import Any

import pytest

LONG = b"GET /long HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
BREAKS = b"GET /breaks HTTP/1.1\r\nHost: x\r\n\r\n"


def test_upstream_cuts_a_stream_without_a_word(start: Any, tools: Any) -> None:
    """Upstream still has it (Quart's RESPONSE_TIMEOUT, by design): the body ends early."""
    victim = start("stock", response_timeout=0.5)
    with victim.connect(timeout=3) as sock:
        sock.sendall(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(EOFError):
            tools.read_until(sock, b"last")


def test_stream_has_no_clock(start: Any) -> None:
    victim = start("guard", response_timeout=0.5)
    assert victim.ask(LONG).endswith(b"last\r\n0\r\n\r\n")


def test_failed_stream_has_no_last_chunk(start: Any) -> None:
    answer = start("guard").ask(BREAKS)
    assert b"data: one\n\n" in answer
    assert not answer.endswith(b"0\r\n\r\n")


def test_failed_stream_breaks_where_the_end_is_the_connections(start: Any) -> None:
    """HTTP/1.0 knows no last chunk: only a reset tells the client that this was not all."""
    with pytest.raises(ConnectionResetError):
        start("guard").ask(BREAKS.replace(b"1.1", b"1.0"))


def test_app_that_only_writes_does_not_starve_the_others(start: Any) -> None:
    """Writes that the kernel takes at once have no checkpoint of their own."""
    victim = start("guard")
    with victim.connect() as sock:
        sock.sendall(b"GET /firehose HTTP/1.1\r\nHost: x\r\n\r\n")
        for _ in range(100):
            assert sock.recv(1_000_000)
        assert victim.alive()
