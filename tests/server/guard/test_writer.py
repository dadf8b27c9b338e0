"""Bytes leave at once if the kernel takes them, in order if it does not, and are given up when nothing moves."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing

from trialogue_server._guard.clock import LoopClock
from trialogue_server._guard.writer import Writer


@pytest.fixture
async def pair() -> AsyncIterator[tuple[trio.socket.SocketType, trio.socket.SocketType]]:
    ours, theirs = trio.socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with ours, theirs:
        yield ours, theirs


Pair = tuple[trio.socket.SocketType, trio.socket.SocketType]


async def receive(sock: trio.socket.SocketType, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        received += await sock.recv(65_536)
    return bytes(received)


async def test_small_write_needs_no_waiting(pair: Pair) -> None:
    ours, theirs = pair
    writer = Writer(ours, 5, LoopClock())
    assert writer.write_nowait(b"hello") == 5
    assert await receive(theirs, 5) == b"hello"


async def test_rest_waits_and_nothing_gets_past_it(pair: Pair) -> None:
    ours, theirs = pair
    writer = Writer(ours, 5, LoopClock())
    large = b"a" * 1_000_000
    async with trio.open_nursery() as nursery:
        nursery.start_soon(writer.write, large)
        await trio.testing.wait_all_tasks_blocked()
        assert writer.busy
        assert writer.write_nowait(b"b") == 0
        nursery.start_soon(writer.write, b"c")
        assert await receive(theirs, len(large) + 1) == large + b"c"
    assert not writer.busy


async def test_peer_that_takes_nothing_is_given_up(pair: Pair, autojump_clock: trio.testing.MockClock) -> None:
    writer = Writer(pair[0], 5, LoopClock())
    began = trio.current_time()
    with pytest.raises(trio.BrokenResourceError, match="took nothing for 5 s"):
        await writer.write(b"a" * 1_000_000)
    assert trio.current_time() - began == 5


async def test_cancelled_app_does_not_leave_half_a_chunk(pair: Pair) -> None:
    ours, theirs = pair
    writer = Writer(ours, 5, LoopClock())
    large = b"a" * 1_000_000
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(writer.write, large)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
            with trio.CancelScope(shield=True):
                assert await receive(theirs, len(large)) == large


async def test_closing_ends_a_waiting_write(pair: Pair) -> None:
    ours, _ = pair
    writer = Writer(ours, 5, LoopClock())
    with pytest.RaisesGroup(trio.BrokenResourceError):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(writer.write, b"a" * 1_000_000)
            await trio.testing.wait_all_tasks_blocked()
            ours.close()


async def test_closed_socket_is_broken_and_never_another_file(pair: Pair) -> None:
    ours, theirs = pair
    writer = Writer(ours, 5, LoopClock())
    ours.close()
    with pytest.raises(trio.BrokenResourceError):
        writer.write_nowait(b"x")
    theirs.close()


async def test_writes_that_never_wait_leave_room_for_others(pair: Pair) -> None:
    ours, theirs = pair
    writer = Writer(ours, 5, LoopClock())
    trio.lowlevel.add_instrument(writer._clock)
    others_ran = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_set, others_ran)
        written = 0
        while not others_ran.is_set():
            await writer.write(b"x")
            os.read(theirs.fileno(), 100)  # Past Trio: the point is that nobody waits.
            written += 1
            assert written < 1_000_000
    trio.lowlevel.remove_instrument(writer._clock)


async def _set(event: trio.Event) -> None:
    event.set()
