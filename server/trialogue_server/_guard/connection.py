"""One client's connection, from accept to close: it fails alone, and it always ends.

Takes the place of Hypercorn's ``TCPServer``. Hypercorn lets what one connection raises climb into the nursery of all,
closes from within the app's cancelled task, and collides with its own pings. Here ``run`` contains what goes wrong,
closing is synchronous, and every state but "an app is answering" has a deadline that the reaper keeps.
"""

from __future__ import annotations

import contextlib
import logging
import math
import socket
import struct
from collections.abc import Generator
from typing import Any, TypeAlias, cast

import h11
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData
from hypercorn.typing import AppWrapper, ConnectionState, LifespanState
from wsproto.utilities import ProtocolError as FrameError

from trialogue_server._guard.asgi import Scope
from trialogue_server._guard.context import GuardedContext
from trialogue_server._guard.protocol import GuardedProtocol
from trialogue_server._guard.tasks import EXTENSION, AppTasks
from trialogue_server._guard.writer import TLSWriter, Writer

_log = logging.getLogger("trialogue.guard")

_Stream: TypeAlias = "trio.SocketStream | trio.SSLStream[trio.SocketStream]"
_MAX_RECEIVE = 65_536
#: Pieces that are read of a client that is turned away: its request.
_FAREWELL = 4
_RESET = struct.pack("ii", 1, 0)
_BAD_REQUEST = b"HTTP/1.1 400 \r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def connection_of(scope: Scope) -> Connection | None:
    """The guarded connection that a request came over; ``None`` under other servers and in test clients."""
    found = scope.get("extensions", {}).get(EXTENSION)
    return found if isinstance(found, Connection) else None


class Connection:
    """One client's connection."""

    def __init__(
        self, app: AppWrapper, config: Config, context: GuardedContext, state: LifespanState, stream: _Stream
    ) -> None:
        self.limits = context.reaper.limits
        #: Kept by the reaper; see ``Reapable``.
        self.deadline = math.inf
        self.idle = False
        self.tls = isinstance(stream, trio.SSLStream)
        self._app, self._config, self._context, self._state = app, config, context, state
        self._stream = stream
        self._transport = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
        self._socket = self._transport.socket
        self.writer = self._make_writer()
        self._protocol: GuardedProtocol
        #: A WebSocket's Close frame was sent: after it there is nothing to say.
        self.parted = False
        # We have said our last byte and only wait for the client to hang up.
        self._closing = False
        self._lingered = 0
        # Whether anyone will notice that the client hangs up.
        self._reading = True
        # Around a read that `wake_reader` may interrupt.
        self._read_scope: trio.CancelScope | None = None

    def __repr__(self) -> str:
        return f"<Connection fd={self._socket.fileno()} idle={self.idle} closing={self._closing}>"

    def __await__(self) -> Generator[Any, None, None]:  # Hypercorn "calls" a connection by awaiting it.
        return self.run().__await__()

    @property
    def stopping(self) -> bool:
        """Whether the server is shutting down."""
        return self._context.reaper.stopping

    @property
    def takes_chunks(self) -> bool:
        """Whether chunks may be written past the app: a chunked answer under way, and no TLS in the process."""
        return not self.tls and self._protocol.chunked

    @property
    def takes_messages(self) -> bool:
        """Whether whole WebSocket frames may be written past the app: an open WebSocket, and no TLS in the process."""
        return not self.tls and self._protocol.websocket

    # ------------------------------------------------------------------------------------------------- life

    async def run(self) -> None:
        """Serve the connection. Raises nothing but cancellation."""
        try:
            with self._watched(), self._context.crowd.place(self._peer()) as has_place:
                await (self._serve() if has_place else self._turn_away())
        except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # Gone, in the midst of something.
        except* (h11.ProtocolError, FrameError) as group:
            _log.warning("a client was cut off: %s", group.exceptions[0])
        except* Exception:
            _log.exception("a connection failed; no other is concerned")

    @contextlib.contextmanager
    def _watched(self) -> Generator[None, None, None]:
        reaper = self._context.reaper
        reaper.add(self)
        try:
            yield
        finally:
            reaper.discard(self)
            self.close()

    async def _serve(self) -> None:
        if not await self._shake_hands():
            return
        self._set_peer_timeout()
        async with trio.open_nursery() as nursery:
            self._protocol = GuardedProtocol(
                self,
                self._app,
                self._config,
                self._context,
                AppTasks(nursery, self),
                ConnectionState(dict(self._state)),
                self.tls,
                self._address(self._socket.getpeername()),
                self._address(self._socket.getsockname()),
                self._protocol_send,
            )
            self.set_idle()
            await self._read()

    def _peer(self) -> str | None:
        address = self._address(self._socket.getpeername())
        return None if address is None else address[0]

    async def _turn_away(self) -> None:
        """Say that its address has too many connections; over TLS nothing, since that would cost a handshake."""
        if self.tls:
            return
        with trio.move_on_after(self.limits.linger):
            await self._stream.send_all(self.limits.crowded)
            self._shut()
            # What is unread when it closes would reset the connection, and take the answer with it.
            for _ in range(_FAREWELL):
                if not await self._stream.receive_some(_MAX_RECEIVE):
                    break

    async def _shake_hands(self) -> bool:
        if not isinstance(self._stream, trio.SSLStream):
            return True
        with trio.move_on_after(self._config.ssl_handshake_timeout):
            await self._stream.do_handshake()
            return True
        return False

    def _address(self, name: Any) -> tuple[str, int] | None:
        # What a socket calls itself depends on its family; a Unix socket has no address that ASGI could carry.
        return None if self._socket.family == socket.AF_UNIX else (name[0], name[1])

    def _set_peer_timeout(self) -> None:
        # A peer that vanished without a word would take heartbeats into its void for a quarter of an hour.
        option = getattr(socket, "TCP_USER_TIMEOUT", None)
        if option is not None and self.limits.peer_timeout and self._socket.family != socket.AF_UNIX:
            self._socket.setsockopt(socket.IPPROTO_TCP, option, int(self.limits.peer_timeout * 1000))

    def _make_writer(self) -> Writer:
        deadline, clock = self.limits.send_deadline, self._context.clock
        if isinstance(self._stream, trio.SSLStream):
            return TLSWriter(self._stream, self._socket, deadline, clock)
        return Writer(self._socket, deadline, clock)

    # --------------------------------------------------------------------------------------------- incoming

    async def _read(self) -> None:
        try:
            while (data := await self._receive()) != b"":
                if self._closing:
                    if self._linger(len(data or b"")):
                        break
                elif data is None:
                    await self._protocol.proceed()
                else:
                    await self._protocol.handle(RawData(data))
        except (trio.ClosedResourceError, trio.BrokenResourceError):
            self.close()
        self._reading = False
        if self._closing:
            self.close()
        await self._protocol.handle(Closed())

    async def _receive(self) -> bytes | None:
        """Bytes, none at the client's end, or ``None`` when the next request is already here."""
        if not self._protocol.paused:
            return bytes(await self._stream.receive_some(_MAX_RECEIVE))
        with trio.CancelScope() as self._read_scope:
            if self._protocol.buffered > self.limits.pipelined and not self._closing:
                await trio.sleep_forever()  # Until the reader is woken: by the next cycle, or by the end.
            return bytes(await self._stream.receive_some(_MAX_RECEIVE))
        return None

    def wake_reader(self) -> None:
        """Have it look again: the request before has been answered, or the connection is at its end."""
        if self._read_scope is not None:
            self._read_scope.cancel()

    def _linger(self, size: int) -> bool:
        self._lingered += size
        return self._lingered > self.limits.linger_bytes

    # --------------------------------------------------------------------------------------------- outgoing

    async def _protocol_send(self, event: Event) -> None:
        if isinstance(event, RawData):
            if event.data:
                await self._send(event.data)
        elif isinstance(event, Closed):
            await self.finish()
            await self._protocol.handle(Closed())

    async def _send(self, data: bytes) -> None:
        try:
            await self.writer.write(data)
        except trio.BrokenResourceError:
            self.abort()
            await self._protocol.handle(Closed())
            # An app that goes on writing to nobody must not keep the loop from telling it.
            await trio.lowlevel.checkpoint()

    async def refuse(self) -> None:
        """Answer 400 past the HTTP machinery, which can no longer do it, and close."""
        await self._send(_BAD_REQUEST)
        await self._protocol_send(Closed())

    # ------------------------------------------------------------------------------- deadlines and the end

    def set_busy(self) -> None:
        """A request has begun: the app is responsible for its time."""
        self.idle = False
        self.deadline = math.inf

    def set_idle(self) -> None:
        """Nothing is in progress: the next head must be complete within the keep-alive time."""
        self.idle = True
        self.deadline = trio.current_time() + self._context.reaper.keep_alive
        if self.stopping:
            self.expire()

    def expect_goodbye(self) -> None:
        """A WebSocket has sent its Close frame."""
        self.deadline = min(self.deadline, trio.current_time() + self.limits.close_handshake)

    async def finish(self) -> None:
        """Say that this was all, and close when the client has hung up or has had its time."""
        if self._closing:
            return
        self._closing = True
        self.idle = False
        self.wake_reader()
        if isinstance(self._stream, trio.SSLStream):
            with trio.move_on_after(self.limits.linger, shield=True):
                await self._stream.aclose()
            self.close()
        elif self._reading and self._shut():
            self.deadline = trio.current_time() + self.limits.linger
        else:
            self.close()

    def _shut(self) -> bool:
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            return False
        return True

    def expire(self) -> None:
        """The reaper says that time is up."""
        self.close()

    def close(self) -> None:
        """Close now; what the kernel has, it still delivers. Whoever reads or writes here is woken with an error."""
        protocol = cast("GuardedProtocol | None", getattr(self, "_protocol", None))
        if protocol is not None and protocol.must_break:
            self.abort()
        else:
            self._close()

    def abort(self) -> None:
        """Break off: the client sees a reset, and nothing is kept for it."""
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._close()

    def _close(self) -> None:
        self._closing = True
        self._socket.close()
        self.wake_reader()
