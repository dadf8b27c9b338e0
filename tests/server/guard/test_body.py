"""Bodies are counted by us, waited for within reason, and held back when the handler does not read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
import trio.testing

from trialogue import InvalidError, LimitError
from trialogue_server._guard import read_body


def receiving(*messages: dict[str, Any]) -> Any:
    waiting = list(messages)

    async def receive() -> dict[str, Any]:
        if not waiting:
            await trio.sleep_forever()
        return waiting.pop(0)

    return receive


def piece(body: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_whole_body() -> None:
    assert await read_body(receiving(piece(b"ab"), piece(b"c", False)), 3) == b"abc"


async def test_pieces_from_the_framework() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"ab"
        yield b"c"

    assert await read_body(pieces(), 3) == b"abc"


async def test_limit_is_counted_whatever_was_declared() -> None:
    with pytest.raises(LimitError):
        await read_body(receiving(piece(b"ab"), piece(b"cd")), 3)


async def test_declared_too_large_is_not_read() -> None:
    with pytest.raises(LimitError):
        await read_body(receiving(), 3, declared=4)


async def test_client_that_leaves() -> None:
    with pytest.raises(InvalidError):
        await read_body(receiving(piece(b"a"), {"type": "http.disconnect"}), 3)


async def test_client_that_stops(autojump_clock: trio.testing.MockClock) -> None:
    began = trio.current_time()
    with pytest.raises(InvalidError):
        await read_body(receiving(piece(b"a")), 3, patience=7)
    assert trio.current_time() - began == 7


def test_upstream_passes_a_chunked_body_over_its_limit(start: Any, tools: Any) -> None:
    """Upstream still has it (Quart): the limit is on what is buffered, and 50 MB went through 16."""
    chunk = b"10000\r\n%b\r\n" % bytes(0x10000)
    with start("stock").connect() as sock:
        sock.sendall(b"POST /pieces HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(50_000_000 // 0x10000):
            sock.sendall(chunk)
        sock.sendall(b"0\r\n\r\n")
        assert tools.read_until(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")


def test_upstream_fails_on_text_that_is_not_utf8(start: Any) -> None:
    """Upstream still has it (Quart): 500, even where errors are to be silent. Ours decode what ``read_body`` gave."""
    head = b"POST /json HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n"
    with start("stock").connect() as sock:
        sock.sendall(head + b'"\xff"')
        assert sock.recv(100).startswith(b"HTTP/1.1 500 ")


def pour(victim: Any) -> int:
    """How much a handler that does not read lets a client send, up to 120 MB."""
    with victim.connect(timeout=0.5) as sock:
        sock.sendall(b"POST /hesitant HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n%b\r\n" % bytes(0x10000)
        sent = 0
        try:
            while sent < 120_000_000:
                sock.sendall(chunk)
                sent += len(chunk)
        except TimeoutError:
            return sent
        return sent


def test_upstream_buffers_what_nobody_reads(start: Any) -> None:
    """Upstream still has it (Quart): no backpressure on uploads."""
    victim = start("stock", response_timeout=60)
    before = victim.memory()
    # 16 MB is Quart's own limit on what it buffers for a handler that will read it whole; here it goes on taking.
    assert pour(victim) >= 120_000_000
    assert victim.memory() - before > 10_000_000


def test_unread_upload_waits_at_the_client(start: Any) -> None:
    victim = start("guard")
    before = victim.memory()
    assert pour(victim) < 20_000_000  # Most of it in the kernel's buffers on both sides.
    assert victim.memory() - before < 10_000_000
