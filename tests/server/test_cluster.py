"""Nodes that speak HTTP to each other: two servers over one store in memory, and peers that are not what they should be."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import h11
import httpx2
import pytest
import trio
from clustering import SharedProvider
from rest import Server, open_stream, serve

from trialogue import (
    ConfigurationError,
    ImportJob,
    NodeInfo,
    NotFoundError,
    Parcel,
    Receipt,
    Stop,
    UnreachableError,
    encode_outcome,
    new_id,
)
from trialogue.testing import Fault, MemoryStore, Pause
from trialogue_server._cluster.address import address_of, name_of
from trialogue_server._cluster.asking import HttpTransport
from trialogue_server._cluster.signing import Signer
from trialogue_server.config import Config

SECRET = "a-secret-of-all-the-nodes"


@asynccontextmanager
async def two() -> AsyncGenerator[tuple[Server, Server]]:
    """Two nodes over one store, with one model."""
    store, provider = MemoryStore(), SharedProvider(["Hello", Pause(0.2), " world"])

    def node(name: str) -> AbstractAsyncContextManager[Server]:
        return serve(provider, store, clustered=True, cluster_secret=SECRET, node_name=name)

    async with node("one") as one, node("two") as other:
        yield one, other


async def say(client: httpx2.AsyncClient, url: str) -> httpx2.Response:
    answer = await client.post(f"{url}/messages", json={"text": "hi"})
    assert answer.status_code == 202, answer.text
    return answer


async def test_message_goes_to_the_owner_and_its_receipt_comes_back() -> None:
    async with two() as (one, other), one.user() as ada, other.user() as same:
        url = f"/api/conversations/{(await ada.post('/api/conversations', json={})).json()['id']}"
        await say(ada, url)
        assert (await say(same, url)).json()["queued"]
        assert other.engine.cluster is not None
        assert other.engine.cluster.router.remote == 1
        wrong = await same.delete(f"/api/messages/{new_id()}?conversation={url.rpartition('/')[2]}")
        assert wrong.status_code == 404
        await one.quiet()
        nodes = (await ada.get("/api/admin/nodes")).json()
        assert [node["name"] for node in nodes["nodes"]] == ["one", "two"]
        assert {node["unreachable"] for node in nodes["nodes"]} == {None}
        ready = (await same.get("/readyz")).json()["checks"]
        assert ready["lease"]["ok"]
        assert ready["nodes"]["ok"]


@pytest.mark.parametrize("fails", [False, True], ids=["at once", "after a failed look"])
async def test_session_that_ended_unheard_is_found_out(fails: bool) -> None:
    """No word of it comes: the bus was away, which is noticed. The store may fail just when it is asked."""
    async with two() as (one, other), one.user() as ada, other.user() as same:
        store = one.engine.store
        assert isinstance(store, MemoryStore)
        me = (await same.get("/api/auth/me")).json()["id"]
        sessions = {session.id for session in await store.accounts.sessions(me)}
        async with open_stream(same, "/api/events") as stream:
            assert await stream.event() is not None
            for session in sessions:
                await store.accounts.drop_session(session)
            assert other.engine.cluster is not None
            store.faults.next("user", *[Fault("before")] * fails)
            other.engine.cluster._missed()
            with trio.fail_after(20):
                # It may begin anew first: of the list, too, something may have been missed.
                while await stream.event() is not None:
                    pass
        assert (await same.get("/api/auth/me")).status_code == 401
        del ada


async def test_streams_break_when_the_store_has_gone_backwards() -> None:
    async with two() as (one, other), one.user() as ada, other.user() as same:
        url = f"/api/conversations/{(await ada.post('/api/conversations', json={})).json()['id']}"
        await say(ada, url)
        await one.quiet()
        async with open_stream(same, f"{url}/events") as stream:
            snapshot = await stream.event()
            assert snapshot is not None
            for server in (one, other):
                server.engine.store.generation += 1
            with pytest.raises((AssertionError, OSError, trio.BrokenResourceError, h11.RemoteProtocolError)):
                await stream.event()
        async with open_stream(same, f"{url}/events", last_event_id=snapshot["id"]) as stream:
            again = await stream.event()
            assert again is not None
            assert again["type"] == "reset"


async def test_nothing_is_there_for_nodes_where_there_are_none() -> None:
    async with serve() as server, server.client() as client:
        assert (await client.post("/internal/commands", json={})).status_code == 404


# --- peers that are not what they should be --------------------------------------------------------------------------


Peer = Callable[[trio.SocketStream], Awaitable[None]]


@asynccontextmanager
async def peer(handler: Peer) -> AsyncGenerator[tuple[HttpTransport, NodeInfo]]:
    """A transport, and a node at whose address ``handler`` answers each connection."""
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, handler, [listener])
        port = listener.socket.getsockname()[1]
        transport = HttpTransport(Signer(SECRET, "one", time.time))
        yield transport, NodeInfo("two", "two", f"http://127.0.0.1:{port}", "0", datetime.now(UTC))
        transport.wires.close()
        nursery.cancel_scope.cancel()


def answering(data: bytes, *, stay: bool = True) -> Peer:
    async def handler(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):  # The other side has heard enough.
            while await stream.receive_some(65_536):
                await stream.send_all(data)
                if not stay:
                    break
        await stream.aclose()

    return handler


def http(body: bytes, status: int = 200) -> bytes:
    return b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


PARCEL = Parcel("c", Stop("id", datetime(2026, 1, 1, tzinfo=UTC)))


async def test_connection_is_kept_and_made_anew_when_it_was_closed() -> None:
    connections = 0

    async def handler(stream: trio.SocketStream) -> None:
        nonlocal connections
        connections += 1
        async with stream:
            for _ in range(3):
                if await stream.receive_some(65_536):
                    await stream.send_all(http(encode_outcome(Receipt(7))))

    async with peer(handler) as (transport, node):
        for _ in range(7):
            assert await transport.deliver(node, PARCEL) == Receipt(7)
            await trio.sleep(0.01)
        assert connections == 3


async def test_connections_to_nodes_that_are_gone_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = answering(http(encode_outcome(Receipt(7))))
    async with peer(handler) as (transport, gone), peer(handler) as (_, node):
        await transport.deliver(gone, PARCEL)
        assert repr(transport.wires) == "<Wires idle=1>"
        monkeypatch.setattr("trialogue_server._cluster.wire.IDLE", 0.0)
        await transport.deliver(node, PARCEL)
        assert repr(transport.wires) == "<Wires idle=1>"


async def test_error_of_the_other_node_is_ours() -> None:
    refused = encode_outcome(NotFoundError("there is no such thing", pointer="/parent"))
    async with peer(answering(http(refused))) as (transport, node):
        with pytest.raises(NotFoundError, match="no such thing") as told:
            await transport.deliver(node, PARCEL)
        assert told.value.pointer == "/parent"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200 x\r\nContent-Length: 100\r\n\r\n{",
        b"\x00\xff nonsense\r\n\r\n",
        b"HTTP/1.1 200 x\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 3_000_000,
        http(b"{}", 500),
        http(b'{"code":"signature","detail":"this is another node"}', 401),
        b"HTTP/1.1 302 x\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["closed", "cut", "nonsense", "endless", "broken", "refused", "elsewhere"],
)
async def test_peer_that_misbehaves_is_one_that_cannot_be_reached(data: bytes) -> None:
    async with peer(answering(data, stay=False)) as (transport, node):
        with pytest.raises(UnreachableError) as told:
            await transport.deliver(node, PARCEL)
        assert "does not answer within" not in str(told.value), "it is seen at once"
        assert await transport.greet(node) is not None


async def test_peer_that_says_nothing_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    del autojump_clock
    transport = HttpTransport(Signer(SECRET, "one", time.time))

    async def silent(*_: object) -> object:
        await trio.sleep_forever()

    transport.wires.post = silent  # type: ignore[method-assign, assignment]
    node = NodeInfo("two", "two", "http://127.0.0.1:1", "0", datetime.now(UTC))
    began = trio.current_time()
    with pytest.raises(UnreachableError, match="does not answer within 2 seconds"):
        await transport.deliver(node, PARCEL)
    assert trio.current_time() - began == pytest.approx(2.0)


async def test_answer_that_cannot_be_read_is_told_in_words() -> None:
    async with peer(answering(http(b'{"new": "thing"}'))) as (transport, node):
        assert await transport.greet(node) == "something else answers at its address"
        with pytest.raises(Exception, match="look at the versions"):
            await transport.deliver(node, PARCEL)


# --- where it is -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "port", "address"),
    [
        ({}, 4512, ""),
        ({"cluster_secret": SECRET}, 4512, "http://127.0.0.1:4512"),
        ({"cluster_secret": SECRET, "host": "::1"}, 4512, "http://[::1]:4512"),
        ({"cluster_secret": SECRET, "host": "0.0.0.0", "advertise": "https://a.example/"}, 4512, "https://a.example"),
    ],
)
def test_address_is_what_is_said_or_listened_on(settings: dict[str, str], port: int, address: str) -> None:
    assert address_of(Config(**settings), port) == address  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "settings",
    [
        {"host": "0.0.0.0"},
        {"host": "::"},
        {"host": "unix:/tmp/x"},
        {"advertise": "http://0.0.0.0:4512"},
        {"advertise": "http://a.example:99999"},
    ],
)
def test_address_that_nobody_could_reach_is_refused(settings: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="advertise"):
        address_of(Config(cluster_secret=SECRET, **settings), 4512)  # type: ignore[arg-type]


def test_name_is_the_machines_unless_it_is_given() -> None:
    assert name_of(Config(node_name="one"), 1) == "one"
    assert name_of(Config(), 4512).endswith(":4512")


# --- imports ---------------------------------------------------------------------------------------------------------


async def test_import_is_left_to_the_node_that_has_the_upload(tmp_path: Path) -> None:
    store, now = MemoryStore(), datetime.now(UTC)
    theirs = ImportJob(new_id(), "ann", now, now, 10, node="another")
    lost = ImportJob(new_id(), "ann", now, now - timedelta(days=2), 10, node="one that never came back")
    ours = ImportJob(new_id(), "ann", now, now, 10, node="one")
    for job in (theirs, lost, ours):
        await store.imports.put(job)
    async with serve(None, store, files=tmp_path, clustered=True, cluster_secret=SECRET, node_name="one"):
        with trio.fail_after(5):
            while {job.id for job in await store.imports.unfinished()} != {theirs.id}:  # noqa: ASYNC110 - it tells nobody
                await trio.sleep(0.01)
        for job in (lost, ours):
            ended = await store.imports.get(job.id)
            assert ended is not None
            assert ended.state == "cut_off", "its file is not here"
