"""The way out of one WebSocket, shared by whoever writes to it: its subscriptions, and the server's own messages.

Every write is whole frames, under the connection's lock where it has to wait, so that none is ever inside another. The hub
writes straight to the socket where it does so for server-sent events as well (a fifth of the price of ASGI's
``send``, measured by ``bench/sockets``); everywhere else the same messages leave through ``send``.
"""

from __future__ import annotations

from typing import Protocol

import trio

from trialogue_server._guard.asgi import Scope, Send
from trialogue_server._guard.connection import Connection, connection_of
from trialogue_server._hub.sink import Chunk, Line
from trialogue_server._hub.texts import frame_text

_PING = Chunk(b'{"type":"ping"}', 0)


class Outlet(Protocol):
    """Both kinds raise ``trio.BrokenResourceError`` when the client is gone, or took nothing for too long."""

    @property
    def line(self) -> Line:
        """Shared by all its subscriptions."""
        ...

    @property
    def stuck(self) -> bool:
        """Whether something is on its way that the client does not take."""
        ...

    async def send(self, text: bytes) -> None:
        """One message."""
        ...

    def write_nowait(self, chunk: Chunk, prefix: bytes) -> int:
        """The events of ``chunk``, as far as that takes no time; returns what is left, in bytes of its own counting."""
        ...

    async def write_rest(self, chunk: Chunk, prefix: bytes, left: int) -> None:
        """The last ``left`` bytes of it."""
        ...

    def abort(self) -> bool:
        """Break the connection. Whether it can."""
        ...


class DirectOutlet:
    """Straight to the socket, past the app server, whose own framing keeps no state between messages."""

    def __init__(self, connection: Connection) -> None:
        self.line = Line()
        self._connection = connection
        self._writer = connection.writer

    @property
    def stuck(self) -> bool:
        return self.line.busy or self._writer.busy

    async def send(self, text: bytes) -> None:
        self._check()
        await self._writer.write(frame_text(text))

    def write_nowait(self, chunk: Chunk, prefix: bytes) -> int:
        self._check()
        frames = _frames(chunk, prefix)
        return len(frames) - self._writer.write_nowait(frames)

    async def write_rest(self, chunk: Chunk, prefix: bytes, left: int) -> None:
        frames = _frames(chunk, prefix)
        await self._writer.write_rest(memoryview(frames)[len(frames) - left :])

    def abort(self) -> bool:
        self._connection.abort()
        return True

    def _check(self) -> None:
        if self._connection.parted:  # After a Close frame there is nothing more to say.
            raise trio.BrokenResourceError("the WebSocket is closing")


class AsgiOutlet:
    """Through ``send``."""

    def __init__(self, send: Send, connection: Connection | None, deadline: float) -> None:
        self.line = Line()
        self._send = send
        self._connection = connection
        self._deadline = deadline
        # Most servers do not say what becomes of two sends at once.
        self._lock = trio.Lock()

    @property
    def stuck(self) -> bool:
        return self.line.busy or self._lock.locked()

    async def send(self, text: bytes) -> None:
        async with self._lock:
            with trio.move_on_after(self._deadline):
                try:
                    await self._send({"type": "websocket.send", "text": text.decode()})
                except Exception as error:  # Which ones a server raises when the client is gone, ASGI does not say.
                    raise trio.BrokenResourceError("the server could not send") from error
                return
        raise trio.BrokenResourceError(f"the server took nothing for {self._deadline:g} s")

    def write_nowait(self, chunk: Chunk, prefix: bytes) -> int:
        """Nothing: ``send`` waits."""
        return len(chunk.data)

    async def write_rest(self, chunk: Chunk, prefix: bytes, left: int) -> None:
        for text in chunk.texts(prefix) if prefix else [chunk.data]:
            await self.send(text)

    def abort(self) -> bool:
        if self._connection is None:
            return False
        self._connection.abort()
        return True


def outlet_for(scope: Scope, send: Send, deadline: float) -> Outlet:
    """The best one, once the WebSocket is accepted."""
    connection = connection_of(scope)
    if connection is not None and connection.takes_messages:
        return DirectOutlet(connection)
    return AsgiOutlet(send, connection, deadline)


class SocketSink:
    """The events of one subscription, each in a message that begins with ``prefix``."""

    __slots__ = ("_outlet", "_prefix", "heartbeat", "line")

    def __init__(self, outlet: Outlet, prefix: bytes) -> None:
        self.line: Line | None = outlet.line
        self.heartbeat: Chunk | None = None
        self._outlet = outlet
        self._prefix = prefix

    def write_nowait(self, chunk: Chunk) -> int:
        """One system call."""
        return self._outlet.write_nowait(chunk, self._prefix)

    async def write_rest(self, chunk: Chunk, left: int) -> None:
        """When the connection takes it."""
        await self._outlet.write_rest(chunk, self._prefix, left)

    async def write_last(self, chunk: Chunk) -> None:
        """A client that is behind is not waited for."""
        if self._outlet.stuck:
            raise trio.BrokenResourceError("the client is behind")
        await self._outlet.write_rest(chunk, self._prefix, self._outlet.write_nowait(chunk, self._prefix))

    def abort(self) -> bool:
        """All subscriptions with it."""
        return self._outlet.abort()


class PulseSink(SocketSink):
    """The WebSocket's own sign of life, which a browser's script can see; it cannot see the protocol's pings."""

    __slots__ = ()

    def __init__(self, outlet: Outlet) -> None:
        super().__init__(outlet, b"")
        self.heartbeat = _PING


def _frames(chunk: Chunk, prefix: bytes) -> bytes:
    return chunk.framed_texts(prefix) if prefix else frame_text(chunk.data)
