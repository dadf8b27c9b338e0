"""A connection to an upstream gives the same answer wherever the reads cut it, and knows whether it may be used again."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import pairwise

import httpx2
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from trialogue.upstreams._wire import Origin, Wire

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n, you!\r\n0\r\nT: 1\r\n\r\n"
#: What the upstream sends, and whether the connection may be used again; the body is always the same.
ANSWERS = [
    (HEAD + CHUNKS, True),
    (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + HEAD + CHUNKS, True),
    (HEAD + b"Content-Length: 11\r\n\r\nhello, you!", True),
    (HEAD + b"Connection: close\r\n" + CHUNKS, False),
    (HEAD + b"Connection: close\r\n\r\nhello, you!", False),
    (b"HTTP/1.0 200 OK\r\n\r\nhello, you!", False),
    (HEAD + CHUNKS + b"what else", False),
    (HEAD + b"Content-Length: 11\r\n\r\nhello, you!what else", False),
]


@asynccontextmanager
async def connected() -> AsyncGenerator[tuple[Wire, trio.SocketStream]]:
    ours, theirs = trio.socket.socketpair()
    wire = Wire(Origin("http", "upstream", 80), trio.SocketStream(ours))
    async with trio.SocketStream(theirs) as upstream:
        try:
            yield wire, upstream
        finally:
            await wire.aclose()


async def send_pieces(
    upstream: trio.SocketStream, data: bytes, cuts: Sequence[int] = (), sent: trio.Event | None = None
) -> None:
    for start, stop in pairwise([0, *sorted(cuts), len(data)]):
        await upstream.send_all(data[start:stop])
        await trio.testing.wait_all_tasks_blocked()
    await upstream.send_eof()
    if sent is not None:
        sent.set()


async def read_all(wire: Wire) -> bytes:
    body = b""
    while data := await wire.read():
        body += data
    return body


@pytest.mark.parametrize(("answer", "reusable"), ANSWERS)
@given(st.data())
@settings(max_examples=20, deadline=None)
def test_cuts_do_not_matter(answer: bytes, reusable: bool, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(answer)), max_size=5))

    async def main() -> None:
        async with connected() as (wire, upstream), trio.open_nursery() as nursery:
            sent = trio.Event()
            nursery.start_soon(send_pieces, upstream, answer, cuts, sent)
            await wire.ask(b"POST / HTTP/1.1\r\n\r\n", None)
            assert wire.status == 200
            assert await read_all(wire) == b"hello, you!"
            assert await wire.read() == b"", "the end stays the end"
            await sent.wait()
            # What comes behind an answer is met with it, or later, by who wants to use the connection again.
            assert (wire.reusable and not (wire.stale and answer.endswith(b"else"))) is reusable

    trio.run(main)


@pytest.mark.parametrize(
    "answer", [b"", HEAD, b"SSH-2.0-x\r\n\r\n", HEAD + b"Content-Length: x\r\n\r\n", b"\0" * 200_000]
)
async def test_what_is_no_answer_is_told_and_closes(answer: bytes) -> None:
    async with connected() as (wire, upstream), trio.open_nursery() as nursery:
        nursery.start_soon(send_pieces_until_closed, upstream, answer)
        with pytest.raises(httpx2.TransportError):
            await wire.ask(b"POST / HTTP/1.1\r\n\r\n", None)
        assert wire.stale


async def send_pieces_until_closed(upstream: trio.SocketStream, data: bytes) -> None:
    with suppress(trio.BrokenResourceError):
        await send_pieces(upstream, data)


@pytest.mark.parametrize("end", [len(HEAD + CHUNKS) - 5, len(HEAD) + 40])
async def test_an_answer_that_breaks_off_is_told(end: int) -> None:
    async with connected() as (wire, upstream), trio.open_nursery() as nursery:
        nursery.start_soon(send_pieces, upstream, (HEAD + CHUNKS)[:end])
        await wire.ask(b"POST / HTTP/1.1\r\n\r\n", None)
        with pytest.raises(httpx2.TransportError):
            await read_all(wire)
        assert not wire.reusable


async def test_silence_is_waited_for_as_long_as_was_said(autojump_clock: trio.testing.MockClock) -> None:
    async with connected() as (wire, _):
        with pytest.raises(httpx2.ReadTimeout):
            await wire.ask(b"POST / HTTP/1.1\r\n\r\n", 600)
        assert trio.current_time() == pytest.approx(600)


async def test_a_connection_is_fresh_until_something_comes() -> None:
    async with connected() as (wire, upstream):
        assert not wire.stale
        await upstream.send_all(b"!")
        assert wire.stale
