"""A real server on a loopback port, over the real engine and a store in memory, and clients that speak HTTP to it."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import h11
import httpx2
import trio
from truth import hold

from trialogue import (
    Embedder,
    Engine,
    Extractor,
    Library,
    Provider,
    Searcher,
    Store,
    Toolbox,
    ToolLike,
    open_engine,
    open_library,
    open_searcher,
)
from trialogue.testing import MemoryStore, ScriptedProvider
from trialogue_password._authenticator import PasswordAuthenticator
from trialogue_password._hashing import Hasher
from trialogue_server._callers.logins import Logins
from trialogue_server._cluster.opening import open_part
from trialogue_server._exchange.jobs import Importer, open_importer
from trialogue_server._guard import make_config, open_sockets, serve_guarded
from trialogue_server._hub import Hub, open_hub
from trialogue_server._seeing import Seeing
from trialogue_server._serving.parts import Parts
from trialogue_server.app import create_app
from trialogue_server.config import Config
from trialogue_server.serve import default_budget, file_limits, import_limits, limits, price_list

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
        """A client of nobody, to be used in ``async with``. It holds every answer against what the route declares."""
        hooks = {"response": [hold]}
        return httpx2.AsyncClient(base_url=self.url, timeout=10, trust_env=False, event_hooks=hooks, **options)

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

    async def quiet(self) -> None:
        """Wait until every answer is written, or waits for a person."""
        for cell in self.engine._cells:
            await cell.quiet()

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
    files: Path | None = None,
    extractors: Sequence[Extractor] = (),
    embedder: Embedder | None = None,
    logins: Logins = Logins(),  # noqa: B008 - immutable
    heartbeat: float = 60,
    seeing: Seeing | None = None,
    tools: Sequence[ToolLike] = (),
    clustered: bool = False,
    **settings: Any,
) -> AsyncGenerator[Server]:
    """A server with any settings; its model says "Hello world" unless ``provider`` says something else.

    It keeps files and takes imports if it gets a folder for them; files are read by ``extractors``.
    It searches by meaning if it gets an ``embedder``. Its models may call ``tools``. ``clustered``, it is one of several
    nodes over its store.
    """
    provider = provider or ScriptedProvider(["Hello", " world"])
    config = Config(**settings)
    hypercorn = make_config(port=0, fds=(), grace=0.2)
    sockets = open_sockets(hypercorn)
    address = sockets.insecure_sockets[0].getsockname()
    stop = trio.Event()
    store = store or MemoryStore()
    store.page_bytes = config.page_bytes
    async with (
        _library(store, files, extractors, config) as library,
        open_part(config, store, None, address[1]) as part,
        open_engine(
            store,
            [provider, *others],
            limits(config),
            library=library,
            prices=price_list(config),
            budget=default_budget(config),
            toolbox=Toolbox(tools, Searcher(store.index), config.always_ask_tools),
            node=part.node,
            joining=part.joining if clustered else None,
        ) as engine,
        open_hub(heartbeat=heartbeat) as hub,
        open_searcher(store.index, embedder, share=1.0) as searcher,
        _importer(engine, files, config) as importer,
        trio.open_nursery() as nursery,
    ):
        await engine.models()
        authenticator = PasswordAuthenticator(engine.store, Hasher(memory_kib=8, passes=1, lanes=1))
        parts = Parts(
            engine, hub, config, [authenticator], logins, searcher=searcher, importer=importer, seeing=seeing, part=part
        )
        app = create_app(parts)

        async def run(task_status: trio.TaskStatus[list[str]]) -> None:
            await serve_guarded(app, hypercorn, shutdown_trigger=stop.wait, sockets=sockets, task_status=task_status)

        await nursery.start(run)
        try:
            yield Server(address, engine, hub, provider)
        finally:
            stop.set()


@asynccontextmanager
async def _importer(engine: Engine, folder: Path | None, config: Config) -> AsyncGenerator[Importer | None]:
    if folder is None:
        yield None
        return
    async with open_importer(engine, folder / "imports", import_limits(config)) as importer:
        yield importer


@asynccontextmanager
async def _library(
    store: Store, folder: Path | None, extractors: Sequence[Extractor], config: Config
) -> AsyncGenerator[Library | None]:
    if folder is None:
        yield None
        return
    async with open_library(store.files, folder, extractors, file_limits(config)) as library:
        yield library


class EventStream:
    """One open answer, read piece by piece off the socket, so that a test leaves it whenever it likes."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        #: What arrived of the body and is not yet told as an event.
        self.rest = b""
        self._stream = stream
        self._http = h11.Connection(h11.CLIENT)

    async def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> None:
        """Send the request, and read the head of the answer."""
        sent = {"Host": "127.0.0.1", **headers, "Content-Length": str(len(body))}
        await self._send(h11.Request(method=method, target=target, headers=list(sent.items())))
        if body:
            await self._send(h11.Data(data=body))
        await self._send(h11.EndOfMessage())
        response = await self._next()
        assert isinstance(response, h11.Response)
        self.status = response.status_code
        self.headers = {name.decode(): value.decode() for name, value in response.headers}

    async def event(self) -> dict[str, Any] | None:
        """The next event, with its ``id``; ``None`` when the stream has ended as it should."""
        while b"\n\n" not in self.rest:
            if not await self._more():
                return None
        block, _, self.rest = self.rest.partition(b"\n\n")
        fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if not line.startswith(b":"))
        if b"data" not in fields:
            return await self.event()
        return {**json.loads(fields[b"data"]), "id": fields.get(b"id", b"").decode()}

    async def body(self) -> bytes:
        """All that is left until the end."""
        while await self._more():
            pass
        return self.rest

    async def _more(self) -> bool:
        match await self._next():
            case h11.Data(data=data):
                self.rest += data
                return True
            case h11.EndOfMessage():
                return False
            case other:
                raise AssertionError(f"the stream broke off: {other!r}")

    async def _send(self, event: Any) -> None:
        data = self._http.send(event)
        if data:
            await self._stream.send_all(data)

    async def _next(self) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._stream.receive_some(65_536))
        return event


@asynccontextmanager
async def open_stream(
    client: httpx2.AsyncClient, url: str, method: str = "GET", body: Any = None, **headers: str
) -> AsyncGenerator[EventStream]:
    """Ask as ``client`` would, with its cookies, on a connection that is closed when the block is left."""
    port = client.base_url.port
    assert port is not None
    with trio.fail_after(10):
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            opened = EventStream(stream)
            cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            data = b"" if body is None else json.dumps(body).encode()
            await opened.ask(method, url, {"Cookie": cookies, "Content-Type": "application/json", **sent}, data)
            yield opened


async def read_events(client: httpx2.AsyncClient, url: str, *until: str, count: int = 1) -> list[dict[str, Any]]:
    """The events of a stream, each with its ``id``, up to the ``count``-th of a type in ``until``.

    With ``count=0`` up to the moment when no run is live: a snapshot that shows none, or the end of one.
    """
    events: list[dict[str, Any]] = []
    async with open_stream(client, url) as stream:
        assert stream.status == 200, await stream.body()
        while sum(event["type"] in until for event in events) < max(count, 1):
            event = await stream.event()
            assert event is not None, "the stream ended"
            events.append(event)
            if count == 0 and event["type"] == "snapshot" and event["run"] is None:
                break
    return events
