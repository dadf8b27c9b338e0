"""A bare endpoint that holds readers, on the same libraries as they come: ``python -m bench.bare PORT``."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from quart import Response, websocket
from quart_trio import QuartTrio

app = QuartTrio(__name__)


@app.get("/events")
async def events() -> Response:
    """One event, and then silence."""

    async def body() -> AsyncIterator[bytes]:
        yield b"event: snapshot\ndata: {}\n\n"
        await trio.sleep_forever()

    response = Response(body(), content_type="text/event-stream")
    response.timeout = None
    return response


@app.websocket("/ws")
async def socket() -> None:
    """One message, and then whatever comes is read and forgotten."""
    await websocket.send('{"type":"event"}')
    while True:
        await websocket.receive()


def main() -> None:
    """Until it is ended."""
    config = Config()
    config.bind = [f"127.0.0.1:{sys.argv[1]}"]
    config.backlog = 2048
    config.websocket_ping_interval = 25.0
    trio.run(serve, app, config)


if __name__ == "__main__":
    main()
