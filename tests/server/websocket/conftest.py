"""A server with the default settings, somebody who is logged in, and an open WebSocket of theirs."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import httpx2
import pytest
from rest import Server, serve
from sockets import Socket, cookies_of, open_socket


@pytest.fixture
async def server() -> AsyncGenerator[Server]:
    """A server whose model says "Hello world"."""
    async with serve() as server:
        yield server


@pytest.fixture
async def ada(server: Server) -> AsyncGenerator[httpx2.AsyncClient]:
    """Somebody who is logged in to ``server``."""
    async with server.user("ada") as client:
        yield client


@pytest.fixture
async def socket(server: Server, ada: httpx2.AsyncClient) -> AsyncGenerator[Socket]:
    """An open WebSocket of ada's, past its greeting."""
    async with open_socket(server.address[1], Cookie=cookies_of(ada)) as socket:
        ready = await socket.greet()
        assert ready["type"] == "ready"
        yield socket
