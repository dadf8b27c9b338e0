"""What Quart-Trio needs at this edge: streams without a clock, uploads with backpressure, empty messages.

Quart cuts every answer after RESPONSE_TIMEOUT without a word; the guard's own deadlines ask for progress instead. It
buffers an upload as fast as the client sends, however slowly the handler reads. And Quart-Trio takes an empty binary
WebSocket message for a text that is missing.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, cast

import trio
from hypercorn.typing import ASGIReceiveCallable
from quart import Request
from quart_trio import QuartTrio
from quart_trio.asgi import TrioASGIHTTPConnection, TrioASGIWebsocketConnection
from quart_trio.wrappers import TrioRequest
from quart_trio.wrappers.request import TrioBody

#: A handler that reads in pieces holds no more than this of what it has not yet read.
_WINDOW = 262_144


def prepare_app(app: QuartTrio) -> None:
    """Have ``app`` behave as above. Before its first request."""
    app.config["RESPONSE_TIMEOUT"] = None
    app.request_class = BoundedRequest
    app.asgi_http_class = BoundedHTTPConnection
    app.asgi_websocket_class = cast("Any", PlainWebsocketConnection)  # Typed for QuartTrio, declared for Quart.


class BoundedBody(TrioBody):
    """Says when there is room for more."""

    def __init__(self, expected_content_length: int | None, max_content_length: int | None) -> None:
        super().__init__(expected_content_length, max_content_length)
        # Awaited as a whole, a body needs room for all of it; Quart's MAX_CONTENT_LENGTH is then what bounds it.
        self._whole = False
        self._drained = trio.Event()

    async def room(self) -> None:
        """Wait until there is."""
        while len(self._data) > _WINDOW and not self._whole and self._must_raise is None:
            self._drained = trio.Event()
            await self._drained.wait()

    async def __anext__(self) -> bytes:
        data = await super().__anext__()
        self._drained.set()
        return data

    def __await__(self) -> Generator[Any, None, Any]:
        self._whole = True
        self._drained.set()
        return super().__await__()


class BoundedRequest(TrioRequest):
    """A request with such a body."""

    body_class = BoundedBody


class BoundedHTTPConnection(TrioASGIHTTPConnection):
    """Reads from the client only what the handler has room for; the client then waits."""

    # Quart-Trio's own signature differs from Quart's in the same way.
    async def handle_messages(  # type: ignore[override]
        self, nursery: trio.Nursery, request: Request, receive: ASGIReceiveCallable
    ) -> None:
        """Until the client is gone."""

        async def receive_with_room() -> Any:
            if isinstance(request.body, BoundedBody):
                await request.body.room()
            return await receive()

        await super().handle_messages(nursery, request, receive_with_room)


class PlainWebsocketConnection(TrioASGIWebsocketConnection):
    """Binary is binary, also when it is empty."""

    async def handle_messages(  # type: ignore[override]
        self, nursery: trio.Nursery, receive: ASGIReceiveCallable
    ) -> None:
        """Until the client is gone."""

        async def receive_plain() -> Any:
            event: Any = await receive()
            if event["type"] == "websocket.receive" and event.get("bytes") == b"":
                return {**event, "text": b""}  # What is read when the bytes are empty.
            return event

        await super().handle_messages(nursery, receive_plain)
