"""Where a stream's bytes go: straight to the socket where that is possible, else through ASGI's ``send``.

The sinks here are for an answer with server-sent events; those for a WebSocket stand in ``socket_sink``.

Straight means one chunk of HTTP/1.1's chunked coding per write, past the app server, whose own coder keeps no state
between chunks. It needs a guarded connection without TLS in the process. Everything else (another server, a test
client, TLS, HTTP/1.0) gets the same bytes through ``send``, at the price of a task per write.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import trio

from trialogue_server._guard.asgi import Message, Scope, Send
from trialogue_server._guard.connection import Connection, connection_of
from trialogue_server._hub.texts import frame_text, message_ends

if TYPE_CHECKING:
    from trialogue_server._hub.stream import Stream


class Chunk:
    """Frames on their way to every stream that stands at the same place: joined once, framed once."""

    __slots__ = ("_ends", "_framed", "_prefix", "_texts", "data", "next_seq")

    def __init__(self, data: bytes, next_seq: int) -> None:
        self.data = data
        #: The number after its last frame.
        self.next_seq = next_seq
        self._framed: bytes | None = None
        self._ends: Sequence[bytes] | None = None
        # As text messages, for whoever asked last.
        self._prefix = b""
        self._texts = b""

    @property
    def framed(self) -> bytes:
        """As one HTTP chunk."""
        if self._framed is None:
            self._framed = b"%x\r\n%b\r\n" % (len(self.data), self.data)
        return self._framed

    def texts(self, prefix: bytes) -> Sequence[bytes]:
        """Its events as text messages, each beginning with ``prefix``."""
        if self._ends is None:
            self._ends = message_ends(self.data)
        return [prefix + end for end in self._ends]

    def framed_texts(self, prefix: bytes) -> bytes:
        """The same as WebSocket frames. Many clients name their subscriptions alike: the last answer is kept."""
        if prefix != self._prefix:
            self._prefix, self._texts = prefix, b"".join(map(frame_text, self.texts(prefix)))
        return self._texts


PING = Chunk(b": ping\n\n", 0)


class Line:
    """A connection that several streams share. One at a time has a rest on its way, the others wait for their turn."""

    __slots__ = ("busy", "waiting")

    def __init__(self) -> None:
        self.busy = False
        #: Streams that have something to send, in the order in which they asked.
        self.waiting: dict[Stream, None] = {}


class Sink(Protocol):
    """All kinds raise ``trio.BrokenResourceError`` when the client is gone, or took nothing for too long."""

    @property
    def line(self) -> Line | None:
        """What it shares with other streams; ``None`` where a stream has its connection to itself."""
        ...

    @property
    def heartbeat(self) -> Chunk | None:
        """What it sends when there was silence; ``None`` where somebody else sees to that."""
        ...

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
    line = None
    heartbeat = PING

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
    line = None
    heartbeat = PING

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
