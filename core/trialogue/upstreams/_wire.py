"""A connection to an upstream: HTTP/1.1, one request at a time, in reads as large as possible.

A whole HTTP client takes 0.9 ms for a request, and for a token several times what its bytes cost. Here a request is written
as it stands, h11 judges the head of the answer, and a body in chunks is decoded a read at a time. What goes wrong is told
in httpx2's words, because the SDK understands them. Making connections and keeping them is ``_wires``' business.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple, TypeAlias

import h11
import httpx2
import trio

from trialogue.upstreams._chunked import ChunkedDecoder

#: One read takes everything that has arrived; a socket's receive buffer seldom holds more.
_READ_SIZE = 65536
#: More than this is not the head of an answer.
_LONGEST_HEAD = 100 * 1024
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
#: What h11 is told that we asked: how it reads an answer depends on no more of a request than this.
_ASKED = h11.Request(method="POST", target="/", headers=[("host", "upstream")])

Transport: TypeAlias = "trio.SocketStream | trio.SSLStream[trio.SocketStream]"


class Origin(NamedTuple):
    """Where a connection leads."""

    scheme: str
    host: str
    port: int


class Wire:
    """One connection: ``ask``, and ``read`` to the end; then, if it is ``reusable``, ``prepare`` it to be asked again."""

    def __init__(self, origin: Origin, stream: Transport) -> None:
        self.origin = origin
        self._stream = stream
        #: The socket, when no TLS stands between it and the bytes.
        self._socket = stream.socket if isinstance(stream, trio.SocketStream) else None
        self._parser = _parser()
        #: Decodes a body in chunks; h11, which decodes the others, makes a step of each chunk.
        self._chunked: ChunkedDecoder | None = None
        #: What was read and is not decoded.
        self._held = b""
        self._ended = False
        #: Whether it has served a request before, and whether anything has come of an answer to the present one.
        self.kept: bool = False
        self.heard: bool = False
        #: The answer's head.
        self.status: int = 0
        self.headers: list[tuple[bytes, bytes]] = []

    def __repr__(self) -> str:
        return f"<Wire {self.origin.host} status={self.status} ended={self._ended}>"

    @property
    def encoded(self) -> bool:
        """Whether the body is in a content coding, though we ask for none."""
        return any(name.lower() == b"content-encoding" and value != b"identity" for name, value in self.headers)

    @property
    def reusable(self) -> bool:
        """Whether the answer was read to its end, nothing came behind it, and neither side wants to close."""
        behind = self._chunked.rest if self._chunked is not None else self._parser.trailing_data[0]
        return self._ended and not behind and self._parser.their_state is h11.DONE

    @property
    def stale(self) -> bool:
        """Whether something has come since the last answer: nearly always that the upstream has closed."""
        stream = self._stream if isinstance(self._stream, trio.SocketStream) else self._stream.transport_stream
        try:
            os.read(stream.socket.fileno(), 1)
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    # --- asking --------------------------------------------------------------------------------------------------

    async def ask(self, request: bytes, patience: float | None) -> None:
        """Send a whole request, and wait for the head of its answer: ``patience`` seconds, or as long as the caller does.

        Raises ``httpx2.TransportError``. The connection is then closed, as it is when this is cancelled.
        """
        try:
            if patience is None:
                await self._exchange(request)
            else:
                with trio.fail_after(patience):
                    await self._exchange(request)
        except BaseException as error:
            await self.aclose()
            if isinstance(error, TROUBLE):
                raise told(error) from error
            raise

    def prepare(self) -> None:
        """Forget the last answer, so that it can be asked again: done beforehand, it keeps no request waiting."""
        self._parser = _parser()
        self._chunked, self._held, self._ended = None, b"", False
        self.kept, self.heard = True, False

    async def _exchange(self, request: bytes) -> None:
        await self._send(request)
        await self._receive_head()

    async def _send(self, request: bytes) -> None:
        try:
            # At once, as the kernel nearly always takes it.
            sent = os.write(self._socket.fileno(), request) if self._socket is not None else 0
            if sent < len(request):
                await self._stream.send_all(memoryview(request)[sent:])
        except BlockingIOError:
            await self._stream.send_all(request)
        except (BrokenPipeError, ConnectionResetError, trio.BrokenResourceError):
            pass  # An upstream may say why it refuses a request before it has taken all of it.

    async def _receive_head(self) -> None:
        while not self._take_head():
            data = await (self._socket.recv(_READ_SIZE) if self._socket else self._stream.receive_some(_READ_SIZE))
            if not data:
                raise httpx2.RemoteProtocolError("the upstream hung up without an answer")
            self.heard = True
            self._held += data
            if len(self._held) > _LONGEST_HEAD and not _END_OF_HEAD.search(self._held):
                raise httpx2.RemoteProtocolError("the head of the answer has no end")

    def _take_head(self) -> bool:
        """Whether the head of the answer is in; what follows it is held. Heads that only inform are passed over."""
        while end := _END_OF_HEAD.search(self._held):
            self._parser.receive_data(self._held[: end.end()])
            self._held = self._held[end.end() :]
            head = self._parser.next_event()
            if isinstance(head, h11.Response):
                self.status, self.headers = head.status_code, head.headers.raw_items()
                if (b"transfer-encoding", b"chunked") in head.headers:
                    self._chunked = ChunkedDecoder()
                return True
        return False

    # --- reading -------------------------------------------------------------------------------------------------

    async def read(self) -> bytes:
        """Some of the body; ``b""`` at its end. Waits without a limit.

        Raises ``httpx2.TransportError``, and ``httpx2.DecodingError`` when it is in no coding of HTTP's.
        """
        try:
            while not self._ended:
                body = self._take_plain() if self._chunked is None else self._take_chunks(self._chunked)
                if body:
                    return body
                if not self._ended:
                    await self._receive()
        except TROUBLE as error:
            raise told(error) from error
        return b""

    async def _receive(self) -> None:
        if self._socket is None:
            data = bytes(await self._stream.receive_some(_READ_SIZE))
        else:
            # Straight from the socket: what is there is taken without a trip through the scheduler. Who reads paces itself.
            try:
                data = os.read(self._socket.fileno(), _READ_SIZE)
            except BlockingIOError:
                data = await self._socket.recv(_READ_SIZE)
        if not data:
            self._take_end()
        self._held = data

    def _take_end(self) -> None:
        if self._chunked is not None:
            raise httpx2.RemoteProtocolError("the upstream hung up in the middle of its answer")
        self._parser.receive_data(b"")  # Which is how some bodies end; h11 knows.

    def _take_chunks(self, chunked: ChunkedDecoder) -> bytes:
        held, self._held = self._held, b""
        try:
            body = chunked.feed(held)
        except ValueError as error:
            raise httpx2.DecodingError(f"the upstream's HTTP cannot be read: {error}") from error
        if chunked.ended:
            self._ended = True
            # h11 knows whether the connection is to be kept; it is shown an empty body in the place of the real one.
            self._parser.receive_data(b"0\r\n\r\n")
            self._parser.next_event()
        return body

    def _take_plain(self) -> bytes:
        held, self._held = self._held, b""
        if held:
            self._parser.receive_data(held)
        event = self._parser.next_event()
        self._ended = isinstance(event, h11.EndOfMessage)
        return bytes(event.data) if isinstance(event, h11.Data) else b""

    async def aclose(self) -> None:
        """Close the connection, without waiting for the other side."""
        await trio.aclose_forcefully(self._stream)


def _parser() -> h11.Connection:
    """What reads the answer to a request."""
    parser = h11.Connection(h11.CLIENT)
    parser.send(_ASKED)
    parser.send(h11.EndOfMessage())
    return parser


#: What can go wrong on a connection.
TROUBLE = (
    OSError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    trio.BusyResourceError,
    trio.TooSlowError,
    h11.ProtocolError,
)


def told(error: Exception) -> httpx2.TransportError:
    """The same in httpx2's words; the caller raises it ``from`` the original."""
    match error:
        case trio.TooSlowError():
            return httpx2.ReadTimeout("the upstream did not answer in time")
        case h11.ProtocolError():
            return httpx2.RemoteProtocolError(f"the upstream's HTTP cannot be read: {error}")
        case _:
            return httpx2.ReadError(f"the connection broke: {error}")
