"""The server for tests over Streamable HTTP, on a port of its own, which it prints; asks for a key in a header."""

from __future__ import annotations

import os
import socket
import sys
from typing import Any

import uvicorn
from stdio_server import note, server  # type: ignore[import-not-found]  # beside it, when it is run as a script

app = server.streamable_http_app()


async def guarded(scope: Any, receive: Any, send: Any) -> None:  # Any: ASGI.
    """The app, for whoever has the key."""
    if scope["type"] == "http" and dict(scope["headers"]).get(b"authorization") != b"Bearer key-of-the-tests":
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body", "body": b"who are you?"})
        return
    await app(scope, receive, send)


if __name__ == "__main__":
    listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    note(f"started {os.getpid()} {listening.getsockname()[1]}")
    uvicorn.Server(uvicorn.Config(guarded, log_level="error")).run(sockets=[listening])
