"""HTTP/1.1 for one connection: no HTTP/2, heads of bounded size, and an end for every request.

What differs from Hypercorn's:
- HTTP/2, whether by prior knowledge or by upgrade, is not spoken: there it has no backpressure and dies of a late byte.
- An answer given before the body has arrived leaves a connection that works (what is left of a small body is read away)
  or one that closes in order (``Connection: close`` in the answer), never one that hangs.
- Requests sent ahead do not stop the reading, so that a client which leaves is noticed during a silent stream.
- A head is measured as a whole, also when it comes in one piece.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import h11
from hypercorn.events import Closed, RawData
from hypercorn.protocol.events import Body, Data, EndBody, Event, Request, Response
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol, H11WSConnection
from hypercorn.protocol.http_stream import HTTPStream

from trialogue_server._guard.link import Link
from trialogue_server._guard.websocket import GuardedWSStream

_VERSIONS = frozenset({b"1.0", b"1.1"})
_CLOSE = (b"connection", b"close")


class GuardedProtocol(H11Protocol):
    """One connection's requests, one after the other."""

    def __init__(self, link: Link, *args: Any) -> None:
        super().__init__(*args)
        self._link = link
        # The next request is waiting in h11's buffer for this one's end; the connection then reads as `_receive` says.
        self.paused = False
        # What is still to come of the request's body; None when only its end will tell.
        self._outstanding: int | None = 0
        # Read away so far of a body that nobody wants.
        self._drained = 0
        # Of an answer, what is encoded and goes out with what comes next; and whether what is encoded next is such.
        self._held: bytes = b""
        self._holding: bool = False

    @property
    def chunked(self) -> bool:
        """Whether an answer is under way to which chunks can be added."""
        connection = self.connection
        return (
            isinstance(connection, h11.Connection) and connection.our_state is h11.SEND_BODY and not self._until_close
        )

    @property
    def websocket(self) -> bool:
        """Whether this is a WebSocket by now."""
        return isinstance(self.connection, H11WSConnection)

    @property
    def must_break(self) -> bool:
        """Whether closing now would look like a complete answer to a client: HTTP/1.0, whose bodies end with the
        connection."""
        connection = self.connection
        return isinstance(connection, h11.Connection) and connection.our_state is h11.SEND_BODY and self._until_close

    @property
    def buffered(self) -> int:
        """How much a client has sent ahead."""
        return len(self.connection.trailing_data[0])

    @property
    def _until_close(self) -> bool:
        return (cast("h11.Connection", self.connection).their_http_version or b"1.1") < b"1.1"

    async def proceed(self) -> None:
        """Handle what was received while the last request was being answered."""
        await self._handle_events()

    async def stream_send(self, event: Event) -> None:
        """An answer says that the connection will close when it will. A head that announces its body goes out with it."""
        if isinstance(event, Response) and event.status_code >= 200:
            if self._closes_after():
                event = replace(event, headers=[*event.headers, _CLOSE])
            self._holding = any(name == b"content-length" for name, _ in event.headers)
        await super().stream_send(event)

    async def _send_h11_event(self, event: Any) -> None:  # Any: h11 has no name for what can be sent
        try:
            # Typed, because the WebSocket stand-in for h11, which sends nothing here, has its own idea of it.
            data: bytes | None = cast("Any", self.connection).send(event)
        except h11.LocalProtocolError:
            if self.connection.their_state != h11.ERROR:
                raise
            return
        self._held += data or b""
        if not self._holding:
            await self._let_go()
        self._holding = False

    async def _let_go(self) -> None:
        held, self._held = self._held, b""
        if held:
            await self.send(RawData(data=held))

    def _closes_after(self) -> bool:
        if self._link.stopping:
            return True
        unread = self.connection.their_state is h11.SEND_BODY
        return unread and (self._outstanding is None or self._outstanding > self._link.limits.drain)

    # ------------------------------------------------------------------------------------------------ incoming

    async def _handle_events(self) -> None:
        while True:
            try:
                if self.connection.they_are_waiting_for_100_continue:
                    await self._continue()
                event = self.connection.next_event()
            except h11.RemoteProtocolError as error:
                await self._refuse(error.error_status_hint)
                return
            if event is h11.PAUSED:
                self.paused = True
                return
            if event is h11.NEED_DATA or isinstance(event, h11.ConnectionClosed):
                return
            await self._handle_event(event)

    async def _handle_event(self, event: object) -> None:
        if isinstance(event, h11.Request):
            self._link.set_busy()
            await self._begin(event)
        elif isinstance(event, h11.Data):
            await self._body(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            await self._end_of_body()
        elif isinstance(event, Data) and self.stream is not None:  # What the WebSocket stand-in for h11 passes through.
            await self.stream.handle(event)

    async def _continue(self) -> None:
        await self._send_h11_event(h11.InformationalResponse(status_code=100, headers=[]))

    async def _begin(self, request: h11.Request) -> None:
        if request.http_version not in _VERSIONS:
            await self._refuse(505)
        elif _size(request) > self.config.h11_max_incomplete_size:
            await self._refuse(431)
        elif _is_ambiguous(request):
            await self._refuse(400)
        else:
            self._outstanding = _body_length(request)
            self._drained = 0
            await self._create_stream(request)

    async def _create_stream(self, request: h11.Request) -> None:
        if _is_websocket(request):
            self.connection = H11WSConnection(cast("h11.Connection", self.connection))
            stream: HTTPStream | GuardedWSStream = GuardedWSStream(self._link, *self._stream_arguments())
        else:
            stream = HTTPStream(*self._stream_arguments())
        self.stream = stream
        await stream.handle(self._describe(request))
        self.keep_alive_requests += 1
        await self.context.mark_request()
        if stream.closed and self.stream is stream:  # Refused by the stream itself, which then leaves it lying.
            await self._maybe_recycle()

    def _stream_arguments(self) -> tuple[Any, ...]:
        return (
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self.client,
            self.server,
            self.stream_send,
            STREAM_ID,
        )

    def _describe(self, request: h11.Request) -> Request:
        raw = self.config.h11_pass_raw_headers
        return Request(
            stream_id=STREAM_ID,
            headers=request.headers.raw_items() if raw else list(request.headers),
            http_version=request.http_version.decode(),
            method=request.method.decode("ascii").upper(),
            raw_path=request.target,
            state=self.connection_state,
        )

    async def _body(self, data: bytes) -> None:
        if self._outstanding is not None:
            self._outstanding -= len(data)
        if self.stream is not None:
            await self.stream.handle(Body(stream_id=STREAM_ID, data=data))
            return
        self._drained += len(data)
        if self._drained > self._link.limits.drain:
            await self.send(Closed())

    async def _end_of_body(self) -> None:
        if self.stream is not None:
            await self.stream.handle(EndBody(stream_id=STREAM_ID))
        elif self.connection.our_state is h11.DONE:
            await self._next_cycle()

    async def _refuse(self, status: int) -> None:
        if self.connection.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            await self._send_error_response(status)
        await self.send(Closed())

    # ------------------------------------------------------------------------------------- after each answer

    async def _maybe_recycle(self) -> None:
        await self._close_stream()
        answered = self.connection.our_state is h11.DONE and not self._link.stopping
        if answered and self.connection.their_state is h11.DONE:
            await self._next_cycle()
        elif answered and self.connection.their_state is h11.SEND_BODY:
            self._link.set_idle()  # The reader drops the rest of the body; its time is that of an idle connection.
        elif self.must_break:
            self._link.abort()
        else:
            await self.send(Closed())

    async def _next_cycle(self) -> None:
        try:
            self.connection.start_next_cycle()
        except h11.LocalProtocolError:
            await self.send(Closed())
            return
        self._link.set_idle()
        if self.paused:
            self.paused = False
            self._link.wake_reader()


def _size(request: h11.Request) -> int:
    return len(request.target) + sum(len(name) + len(value) for name, value in request.headers)


def _is_ambiguous(request: h11.Request) -> bool:
    # A body with two lengths ends elsewhere for whoever believes the other one: RFC 9112, 6.1, calls it an attack.
    return {b"content-length", b"transfer-encoding"} <= {name for name, _ in request.headers}


def _body_length(request: h11.Request) -> int | None:
    # h11 has already refused what contradicts itself.
    for name, value in request.headers:
        if name == b"transfer-encoding":
            return None
        if name == b"content-length":
            return int(value)
    return 0


def _is_websocket(request: h11.Request) -> bool:
    if request.method.upper() != b"GET":
        return False
    tokens: set[bytes] = set()
    upgrade = b""
    for name, value in request.headers:
        if name == b"connection":
            tokens.update(token.strip().lower() for token in value.split(b","))
        elif name == b"upgrade":
            upgrade = value.strip().lower()
    return b"upgrade" in tokens and upgrade == b"websocket"
