"""A TCP proxy that is told, while it runs, how the network between two parties fails.

    latency, bandwidth, slice     how slowly bytes pass, and how many at a time
    hold, release                 nothing passes in one direction or in both; what was sent meanwhile passes afterwards
    reset                         every connection ends with a reset, to both parties
    forget                        half-open: the target's end is reset, and nobody tells the client
    refuse, admit                 connections are reset as they come

It changes no byte and no order, since TCP does not either.
"""

from __future__ import annotations

import math
import socket
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import trio

#: Bytes read at once, and how many such pieces wait in one direction while they are late: as much as a kernel would keep.
PIECE, WAITING = 65_536, 32
_GONE = (trio.BrokenResourceError, trio.ClosedResourceError)


class Proxy:
    """Listens on ``port`` and leads to ``target``, which may change. Made by ``make_proxy`` and ``open_proxy``."""

    def __init__(self, target: int, listener: trio.SocketListener) -> None:
        #: The port on this machine it leads to.
        self.target = target
        self.port: int = listener.socket.getsockname()[1]
        #: Seconds that a byte takes in each direction.
        self.latency = 0.0
        #: Bytes a second, for each connection and direction.
        self.bandwidth = math.inf
        #: The most bytes that are passed on at once.
        self.slice = PIECE
        self._listener = listener
        self._links: set[_Link] = set()
        self._up, self._down = _Gate(), _Gate()
        self._refusing = False

    def __repr__(self) -> str:
        return f"<Proxy {self.port} to {self.target} links={len(self._links)}>"

    def __len__(self) -> int:
        return len(self._links)

    # --- trouble -----------------------------------------------------------------------------------------------------

    def hold(self, *, up: bool = True, down: bool = True) -> None:
        """Let nothing through to the target (``up``), nor back (``down``)."""
        if up:
            self._up.close()
        if down:
            self._down.close()

    def release(self) -> None:
        """Let it through again, and what waited."""
        self._up.open()
        self._down.open()

    def reset(self) -> int:
        """Reset what is open now; how many connections that were."""
        links = tuple(self._links)
        for link in links:
            _reset(link.client)
            link.reset_target()
        return len(links)

    def forget(self) -> int:
        """Leave the clients of what is open now talking to nobody; how many those are."""
        links = tuple(self._links)
        for link in links:
            link.forgotten = True
            link.reset_target()
        return len(links)

    def refuse(self) -> None:
        """Reset whatever comes from now on."""
        self._refusing = True

    def admit(self) -> None:
        """Take connections again."""
        self._refusing = False

    def heal(self) -> None:
        """Be a good network. Connections that were forgotten stay so."""
        self.latency, self.bandwidth, self.slice = 0.0, math.inf, PIECE
        self.admit()
        self.release()

    # --- its life ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until cancelled."""
        await trio.serve_listeners(self._serve, [self._listener])

    async def _serve(self, client: trio.SocketStream) -> None:
        if self._refusing:
            return _reset(client)
        link = _Link(client)
        self._links.add(link)
        try:
            async with client:
                await self._connect(link)
        finally:
            self._links.discard(link)
        return None

    async def _connect(self, link: _Link) -> None:
        await self._up.passed()
        try:
            link.target = await trio.open_tcp_stream("127.0.0.1", self.target)
        except OSError:
            return _reset(link.client)
        async with link.target, trio.open_nursery() as nursery:
            nursery.start_soon(self._pass, link, link.client, link.target, self._up, nursery.cancel_scope)
            nursery.start_soon(self._pass, link, link.target, link.client, self._down, nursery.cancel_scope)
        return None

    async def _pass(
        self, link: _Link, source: trio.SocketStream, sink: trio.SocketStream, gate: _Gate, whole: trio.CancelScope
    ) -> None:
        """Everything from ``source`` to ``sink``. A link that breaks at one end is gone at both; one forgotten is not."""
        gone = False
        try:
            await self._move(source, sink, gate)
        except* _GONE:
            gone = True
        if gone and not link.forgotten:
            _reset(link.client)
            link.reset_target()
            whole.cancel()
        elif gone and source is link.client:
            with suppress(*_GONE):
                while await source.receive_some(PIECE):
                    pass
            whole.cancel()

    async def _move(self, source: trio.SocketStream, sink: trio.SocketStream, gate: _Gate) -> None:
        send, receive = trio.open_memory_channel[tuple[float, bytes]](WAITING)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._deliver, receive, sink, gate)
            async with send:
                while data := await source.receive_some(PIECE):
                    await send.send((trio.current_time() + self.latency, bytes(data)))

    async def _deliver(
        self, pieces: trio.MemoryReceiveChannel[tuple[float, bytes]], sink: trio.SocketStream, gate: _Gate
    ) -> None:
        async for due, data in pieces:
            await trio.sleep_until(due)
            start = 0
            while start < len(data):
                piece = data[start : start + self.slice]
                start += len(piece)
                await trio.sleep(len(piece) / self.bandwidth)
                await gate.passed()
                await sink.send_all(piece)
        await gate.passed()
        await sink.send_eof()


class _Link:
    """One connection, both ends of it."""

    def __init__(self, client: trio.SocketStream) -> None:
        self.client = client
        self.target: trio.SocketStream | None = None
        self.forgotten = False

    def reset_target(self) -> None:
        if self.target is not None:
            _reset(self.target)


class _Gate:
    """Where bytes wait while nothing passes."""

    def __init__(self) -> None:
        self._opened = trio.Event()
        self._opened.set()

    def close(self) -> None:
        if self._opened.is_set():
            self._opened = trio.Event()

    def open(self) -> None:
        self._opened.set()

    async def passed(self) -> None:
        await self._opened.wait()


def _reset(stream: trio.SocketStream) -> None:
    """Close it with an RST, at once; whoever reads or writes it here is told."""
    with suppress(OSError):
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.socket.close()


async def make_proxy(target: int = 0) -> Proxy:
    """A proxy to a port of this machine, for whoever runs it."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    return Proxy(target, listener)


@asynccontextmanager
async def open_proxy(target: int = 0) -> AsyncGenerator[Proxy]:
    """The same, for the block."""
    proxy = await make_proxy(target)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(proxy.run)
        yield proxy
        nursery.cancel_scope.cancel()
