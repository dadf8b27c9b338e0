"""A WebSocket that measures before it inflates, notices a dead peer and does not wait for ever for a goodbye.

Frames may be as small as two bytes, and there may be thirty thousand in one read: they are taken in turns with others.
Hypercorn always agrees to compression and unpacks a message before it looks at its size (100 KB become 100 MB); it sends
pings and never misses the pongs; it waits without end for the answer to its Close frame; and it hangs up without one on a
peer that breaks the rules.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import trio
from hypercorn.protocol.events import Body, Data, Event, Request, StreamClosed
from hypercorn.protocol.ws_stream import FrameTooLargeError, WSStream
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection, Message, Ping
from wsproto.events import Event as FrameEvent
from wsproto.frame_protocol import CloseReason

from trialogue_server._guard.link import Link

#: Bytes that are taken apart before others have their turn: they may hold hundreds of frames, a ping each.
_TURN = 2_048
#: So many intervals without a sign of life, and the peer is gone.
_MISSES = 2


class GuardedWSStream(WSStream):
    """One WebSocket."""

    def __init__(self, link: Link, *args: Any) -> None:
        super().__init__(*args)
        self._link = link
        self._heard = trio.current_time()
        # While the app is behind, nothing more is read: a pong may well be waiting.
        self._behind = False
        # Ends the pings at once, so that they do not keep the connection's nursery open.
        self._over = trio.Event()

    async def handle(self, event: Event) -> None:
        """As Hypercorn does, with the above."""
        if isinstance(event, Request):
            event = replace(event, headers=[item for item in event.headers if not _offers_extensions(item[0])])
        elif isinstance(event, StreamClosed):
            self._over.set()
        elif isinstance(event, Body | Data):
            await self._hear(event)
            return
        await super().handle(event)

    async def _hear(self, event: Body | Data) -> None:
        if not self.closed and not self.handshake.accepted:
            # Frames before the handshake's end: RFC 6455 has none. Refusing inside h11 is what kills the process.
            await self._link.refuse()
            return
        self._behind = True
        for start in range(0, len(event.data), _TURN):
            if start:
                await trio.lowlevel.checkpoint()
            await super().handle(replace(event, data=event.data[start : start + _TURN]))
        self._behind = False
        self._heard = trio.current_time()

    async def _handle_events(self) -> None:
        """As Hypercorn does, and with a word for a peer that breaks the rules: wsproto then says the code."""
        for event in self.connection.events():
            if isinstance(event, Message):
                await self._take(event)  # pyright: ignore[reportUnknownArgumentType]
            elif isinstance(event, Ping):
                await self._send_wsproto_event(event.response())
            elif isinstance(event, CloseConnection):
                theirs = self.connection.state is ConnectionState.REMOTE_CLOSING
                await self._send_wsproto_event(event.response() if theirs else event)
                await self.send(StreamClosed(stream_id=self.stream_id))
                return

    async def _take(self, event: Message[Any]) -> None:
        if self.connection.state is not ConnectionState.OPEN:
            return  # We have said goodbye: what was still on its way is not wanted.
        # Any: hypercorn leaves out the parameters of these types.
        buffer, put = cast("Any", self.buffer), cast("Any", self.app_put)  # pyright: ignore[reportUnknownMemberType]
        try:
            buffer.extend(event)
        except FrameTooLargeError:
            buffer.clear()
            await self._send_wsproto_event(CloseConnection(code=CloseReason.MESSAGE_TOO_BIG))
            return
        if event.message_finished:
            assert put is not None, "a WebSocket that was accepted has an app"
            await put(buffer.to_message())
            buffer.clear()

    async def _send_wsproto_event(self, event: FrameEvent) -> None:
        if isinstance(event, CloseConnection):
            self._link.parted = True
        await super()._send_wsproto_event(event)
        if isinstance(event, CloseConnection):
            self._link.expect_goodbye()

    async def _send_pings(self) -> None:
        interval = self.config.websocket_ping_interval or 0.0
        while not self.closed:
            if trio.current_time() - self._heard > _MISSES * interval and not self._behind:
                self._link.abort()
                return
            await self._send_wsproto_event(Ping())
            with trio.move_on_after(interval):
                await self._over.wait()


def _offers_extensions(name: bytes) -> bool:
    return name.lower() == b"sec-websocket-extensions"
