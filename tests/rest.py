"""A real server on a loopback port, over the real engine and a store in memory, and clients that speak HTTP to it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import trio

from trialogue import Engine, Provider, Store, open_engine
from trialogue.testing import MemoryStore, ScriptedProvider
from trialogue_password._authenticator import PasswordAuthenticator
from trialogue_password._hashing import Hasher
from trialogue_server._guard import make_config, open_sockets, serve_guarded
from trialogue_server._hub import Hub, open_hub
from trialogue_server.app import create_app
from trialogue_server.config import Config

PASSWORD = "correct horse"


class Server:
    """What a test has in hand: the address, and what runs behind it."""

    def __init__(self, address: tuple[str, int], engine: Engine, hub: Hub, provider: ScriptedProvider) -> None:
        self.address = address
        self.url = f"http://127.0.0.1:{address[1]}"
        self.engine = engine
        self.hub = hub
        self.provider = provider

    def client(self, **options: Any) -> httpx2.AsyncClient:
        """A client of nobody, to be used in ``async with``."""
        return httpx2.AsyncClient(base_url=self.url, timeout=10, trust_env=False, **options)

    @asynccontextmanager
    async def user(self, name: str = "ada", **options: Any) -> AsyncGenerator[httpx2.AsyncClient]:
        """A client that is logged in as ``name@example.org``."""
        async with self.client(**options) as client:
            body = {"email": f"{name}@example.org", "password": PASSWORD, "name": name}
            answer = await client.post("/api/auth/register", json=body)
            if answer.status_code == 409:
                answer = await client.post("/api/auth/login", json={"email": body["email"], "password": PASSWORD})
            assert answer.status_code in (200, 201), answer.text
            yield client

    async def raw(self, data: bytes, *, end: bool = True) -> bytes:
        """Bytes to the port, and all that comes back until the server closes."""
        stream = await trio.open_tcp_stream(*self.address)
        async with stream:
            await stream.send_all(data)
            if end:
                await stream.send_eof()
            return b"".join([chunk async for chunk in stream])


@asynccontextmanager
async def serve(
    provider: ScriptedProvider | None = None,
    store: Store | None = None,
    others: Sequence[Provider] = (),
    **settings: Any,
) -> AsyncGenerator[Server]:
    """A server with any settings; its model says "Hello world" unless ``provider`` says something else."""
    provider = provider or ScriptedProvider(["Hello", " world"])
    config = Config(**settings)
    hypercorn = make_config(port=0, fds=(), grace=0.2)
    sockets = open_sockets(hypercorn)
    address = sockets.insecure_sockets[0].getsockname()
    stop = trio.Event()
    async with (
        open_engine(store or MemoryStore(), [provider, *others]) as engine,
        open_hub(heartbeat=60) as hub,
        trio.open_nursery() as nursery,
    ):
        await engine.models()
        authenticator = PasswordAuthenticator(engine.store, Hasher(memory_kib=8, passes=1, lanes=1))
        app = create_app(engine, [authenticator], config, hub)

        async def run(task_status: trio.TaskStatus[list[str]]) -> None:
            await serve_guarded(app, hypercorn, shutdown_trigger=stop.wait, sockets=sockets, task_status=task_status)

        await nursery.start(run)
        try:
            yield Server(address, engine, hub, provider)
        finally:
            stop.set()
