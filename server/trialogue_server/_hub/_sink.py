"""Where a stream's bytes go: straight to the socket where that is possible, else through ASGI's ``send``.

Straight means one chunk of HTTP/1.1's chunked coding per write, past the app server, whose own coder keeps no state
between chunks. It needs a guarded connection without TLS in the process. Everything else (another server, a test
client, TLS, HTTP/1.0) gets the same bytes through ``send``, at the price of a task per write.
"""

from __future__ import annotations

from typing import Protocol

import trio

from trialogue_server._guard._asgi import Message, Scope, Send
from trialogue_server._guard._connection import Connection, connection_of


class Chunk:
    """Frames on their way to every stream that stands at the same place: joined once, framed once."""

    __slots__ = ("_framed", "data", "next_seq")

    def __init__(self, data: bytes, next_seq: int) -> None:
        self.data = data
        #: The number after its last frame.
        self.next_seq = next_seq
        self._framed: bytes | None = None

    @property
    def framed(self) -> bytes:
        """As one HTTP chunk."""
        if self._framed is None:
            self._framed = b"%x\r\n%b\r\n" % (len(self.data), self.data)
        return self._framed


class Sink(Protocol):
    """Both kinds raise ``trio.BrokenResourceError`` when the client is gone, or took nothing for too long."""

    def write_nowait(self, chunk: Chunk) -> int:
        """Write what can be written now; returns what is left of the chunk, in bytes of this sink's own counting."""
        ...

    async def write_rest(self, chunk: Chunk, left: int) -> None:
        """Write the last ``left`` bytes of it."""
        ...

    async def write_last(self, chunk: Chunk) -> None:
        """Write it if that takes no time, before the answer's regular end."""
        ...

    def abort(self) -> bool:
        """Break the connection, so that what was sent cannot be taken for the whole. Whether this sink can."""
        ...


class DirectSink:
    """Chunks straight to the socket."""

    __slots__ = ("_connection", "_write")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._write = connection.writer.write_nowait

    def write_nowait(self, chunk: Chunk) -> int:
        """One system call."""
        framed = chunk.framed
        return len(framed) - self._write(framed)

    async def write_rest(self, chunk: Chunk, left: int) -> None:
        """Under the connection's lock, with its own deadline."""
        framed = chunk.framed
        await self._connection.writer.write_rest(memoryview(framed)[len(framed) - left :])

    async def write_last(self, chunk: Chunk) -> None:
        """A client whose socket is full is not waited for."""
        if self.write_nowait(chunk):
            raise trio.BrokenResourceError("the client is behind")

    def abort(self) -> bool:
        """With a reset."""
        self._connection.abort()
        return True


class AsgiSink:
    """Through ``send``."""

    __slots__ = ("_connection", "_deadline", "_send")

    def __init__(self, send: Send, connection: Connection | None, deadline: float) -> None:
        self._send = send
        self._connection = connection
        self._deadline = deadline

    def write_nowait(self, chunk: Chunk) -> int:
        """Nothing: ``send`` waits."""
        return len(chunk.data)

    async def write_rest(self, chunk: Chunk, left: int) -> None:
        """All of it, within the deadline."""
        message: Message = {"type": "http.response.body", "body": chunk.data, "more_body": True}
        with trio.move_on_after(self._deadline):
            try:
                await self._send(message)
            except Exception as error:  # Which ones a server raises when the client is gone, ASGI does not say.
                raise trio.BrokenResourceError("the server could not send") from error
            return
        raise trio.BrokenResourceError(f"the server took nothing for {self._deadline:g} s")

    async def write_last(self, chunk: Chunk) -> None:
        """Like anything else."""
        await self.write_rest(chunk, len(chunk.data))

    def abort(self) -> bool:
        """Only where the connection is ours."""
        if self._connection is None:
            return False
        self._connection.abort()
        return True


def sink_for(scope: Scope, send: Send, deadline: float) -> Sink:
    """The best one, once the answer has begun."""
    connection = connection_of(scope)
    if connection is not None and connection.takes_chunks:
        return DirectSink(connection)
    return AsgiSink(send, connection, deadline)
