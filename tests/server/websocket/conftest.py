"""An open WebSocket of somebody who is logged in."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import httpx2
import pytest
from rest import Server
from sockets import Socket, cookies_of, open_socket


@pytest.fixture
async def socket(server: Server, ada: httpx2.AsyncClient) -> AsyncGenerator[Socket]:
    """An open WebSocket of ada's, past its greeting."""
    async with open_socket(server.address[1], Cookie=cookies_of(ada)) as socket:
        ready = await socket.greet()
        assert ready["type"] == "ready"
        yield socket
