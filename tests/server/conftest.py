"""A server with the default settings, and people who are logged in to it."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import httpx2
import pytest
from rest import Server, serve


@pytest.fixture
async def server() -> AsyncGenerator[Server]:
    """A server with the default settings, whose model says "Hello world"."""
    async with serve() as server:
        yield server


@pytest.fixture
async def ada(server: Server) -> AsyncGenerator[httpx2.AsyncClient]:
    """Somebody who is logged in to ``server``; the first account, hence its administrator."""
    async with server.user("ada") as client:
        yield client


@pytest.fixture
async def eve(server: Server, ada: httpx2.AsyncClient) -> AsyncGenerator[httpx2.AsyncClient]:
    """Somebody else."""
    async with server.user("eve") as client:
        yield client
