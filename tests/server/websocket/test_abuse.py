"""What a stranger, or a broken client, can do to a WebSocket: it ends, with the code that says why, and nothing is left."""

from __future__ import annotations

import json
import random
import socket as sockets_of_the_system
import struct
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import httpx2
import pytest
import rest
import trio
from rest import Server, serve
from sockets import cookies_of, open_socket

from trialogue_server._guard import Limits, make_config

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(opcode: int, payload: bytes, *, last: bool = True, masked: bool = True, reserved: int = 0) -> bytes:
    """A client's frame, masked with something else than zeros."""
    head = bytes([(0x80 if last else 0) | reserved << 4 | opcode])
    size, bit = len(payload), 0x80 if masked else 0
    if size < 126:
        head += bytes([bit | size])
    elif size < 65_536:
        head += bytes([bit | 126]) + struct.pack("!H", size)
    else:
        head += bytes([bit | 127]) + struct.pack("!Q", size)
    if not masked:
        return head + payload
    mask = b"\x37\xfa\x21\x3d"
    return head + mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))


def says(**message: Any) -> bytes:
    return frame(TEXT, json.dumps(message).encode())


HELLO = says(type="hello")
SUBSCRIBE = says(type="subscribe", id="1", conversation=None)


class Stranger:
    """A connection past the handshake, of which we write the bytes ourselves."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.received = b""

    async def send(self, data: bytes) -> None:
        """All of it, unless the server has had enough."""
        with suppress(trio.BrokenResourceError):
            await self.stream.send_all(data)

    async def flood(self, data: bytes) -> None:
        """The same again and again, until the server breaks the connection."""
        with suppress(trio.BrokenResourceError):
            while True:
                await self.stream.send_all(data)

    async def until(self, mark: bytes) -> None:
        with trio.fail_after(10):
            while mark not in self.received:
                data = await self.stream.receive_some(65_536)
                assert data, self.received
                self.received += data

    async def code(self) -> int | None:
        """The code of the server's Close frame; ``None`` when it just broke off. What came before is skipped."""
        with trio.fail_after(10):
            try:
                while data := await self.stream.receive_some(65_536):
                    self.received += data
            except trio.BrokenResourceError:
                pass
        return _code_in(self.received.partition(b"\r\n\r\n")[2])

    def reset(self) -> None:
        self.stream.setsockopt(
            sockets_of_the_system.SOL_SOCKET, sockets_of_the_system.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.stream.socket.close()


def _code_in(data: bytes) -> int | None:
    """Frame by frame; nothing may come after a Close."""
    code = None
    while len(data) >= 2:
        assert code is None, "something came after the Close frame"
        size, start = data[1], 2
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
        elif size == 127:
            size, start = int.from_bytes(data[2:10], "big"), 10
        assert not data[1] & 0x80, "a server does not mask"
        if data[0] & 0x0F == CLOSE:
            code = int.from_bytes(data[start : start + 2], "big") if size >= 2 else 1005
        data = data[start + size :]
    return code


@asynccontextmanager
async def stranger(server: Server, client: httpx2.AsyncClient, buffer: int | None = None) -> AsyncGenerator[Stranger]:
    sock = trio.socket.socket()
    if buffer is not None:
        sock.setsockopt(sockets_of_the_system.SOL_SOCKET, sockets_of_the_system.SO_RCVBUF, buffer)
    await sock.connect(server.address)
    async with trio.SocketStream(sock) as stream:
        who = Stranger(stream)
        await who.send(
            b"GET /api/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nCookie: %b\r\n\r\n"
            % cookies_of(client).encode()
        )
        await who.until(b"\r\n\r\n")
        assert who.received.startswith(b"HTTP/1.1 101 ")
        yield who


@asynccontextmanager
async def nothing_left(server: Server, client: httpx2.AsyncClient) -> AsyncGenerator[None]:
    """After the block there are no more tasks, streams, WebSockets or feeds' readers than before; the server answers."""
    await client.get("/api/auth/me")
    before = trio.lowlevel.current_statistics().tasks_living
    yield

    def left() -> bool:
        services = server.engine.feeds.statistics()["watched"], server.hub.statistics().streams
        return any(services) or trio.lowlevel.current_statistics().tasks_living > before

    with trio.fail_after(10):
        while left():  # noqa: ASYNC110 - the kernel tells nobody
            await trio.sleep(0.005)
    assert server.hub.statistics().busy == 0
    assert (await client.get("/api/auth/me")).status_code == 200


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Server]:
    """One that does not wait long for a goodbye, nor for a client that takes nothing."""
    limits = Limits(close_handshake=0.2, send_deadline=0.5)
    monkeypatch.setattr(rest, "make_config", partial(make_config, limits=limits))
    async with serve() as server:
        yield server


@pytest.mark.parametrize(
    ("bytes_", "code"),
    [
        pytest.param(frame(TEXT, b"\xff\xfe"), 1007, id="not UTF-8"),
        pytest.param(frame(TEXT, b'{"type":"ping","id":"\xc3', last=False) + frame(0, b'"}'), 1007, id="cut UTF-8"),
        pytest.param(frame(TEXT, b"\xed\xa0\x80"), 1007, id="a surrogate"),
        pytest.param(frame(TEXT, b"{}", masked=False), 1002, id="no mask"),
        pytest.param(frame(TEXT, b"{}", reserved=4), 1002, id="compressed, which nobody agreed to"),
        pytest.param(frame(3, b"{}"), 1002, id="unknown opcode"),
        pytest.param(frame(11, b"{}"), 1002, id="unknown control opcode"),
        pytest.param(frame(PING, bytes(126)), 1002, id="long ping"),
        pytest.param(frame(PING, b"", last=False), 1002, id="ping in pieces"),
        pytest.param(frame(0, b"{}"), 1002, id="continuation of nothing"),
        pytest.param(frame(TEXT, b"{", last=False) + frame(TEXT, b"}"), 1002, id="message within a message"),
        pytest.param(frame(BINARY, b'{"type":"ping"}'), 4400, id="binary"),
        pytest.param(frame(TEXT, b""), 4400, id="empty"),
        pytest.param(frame(TEXT, b"{}" * 700_000), 1009, id="too large"),
        pytest.param(b"\x81\xff" + (2**62).to_bytes(8, "big") + bytes(4) + b"x" * 1_200_000, 1009, id="endless"),
        pytest.param((frame(TEXT, b"{", last=False) + frame(0, b"{" * 100, last=False) * 12_000), 1009, id="in pieces"),
        pytest.param(frame(CLOSE, b"\x03\xe8bye"), 1000, id="goodbye"),
        pytest.param(frame(CLOSE, b""), 1005, id="goodbye without a code"),
        pytest.param(frame(CLOSE, b"\x03"), 1002, id="half a code"),
        pytest.param(frame(CLOSE, b"\x03\xed"), 1002, id="a code that is never sent"),
        pytest.param(frame(CLOSE, b"\x03\xe8\xff"), 1007, id="goodbye not in UTF-8"),
        pytest.param(frame(CLOSE, b"\x03\xe8") * 3 + frame(TEXT, b"{}"), 1000, id="goodbye thrice"),
    ],
)
async def test_bad_frames_are_answered_by_a_code(
    server: Server, ada: httpx2.AsyncClient, bytes_: bytes, code: int
) -> None:
    async with nothing_left(server, ada), stranger(server, ada) as who:
        await who.send(HELLO + SUBSCRIBE)
        await who.until(b'"event":"snapshot"')
        await who.send(bytes_)
        assert await who.code() == code


@pytest.mark.parametrize("leave", ["reset", "finish"])
async def test_connection_cut_at_any_byte_leaves_nothing(server: Server, ada: httpx2.AsyncClient, leave: str) -> None:
    said = HELLO + SUBSCRIBE + says(type="command", id="2", command="create", body={}) + frame(CLOSE, b"\x03\xe8")
    source = random.Random(7)
    async with nothing_left(server, ada):
        for place in sorted(source.sample(range(len(said)), 40)):
            async with stranger(server, ada) as who:
                await who.send(said[:place])
                if leave == "reset":
                    who.reset()
                else:
                    await who.stream.send_eof()
                    await who.code()


async def test_garbage_ends_the_connection(server: Server, ada: httpx2.AsyncClient) -> None:
    source = random.Random(11)
    async with nothing_left(server, ada):
        for _ in range(30):
            async with stranger(server, ada) as who:
                await who.send(source.randbytes(source.randrange(1, 5_000)))
                await who.stream.send_eof()
                await who.code()


async def test_garbage_in_json_ends_the_connection_or_is_answered(server: Server, ada: httpx2.AsyncClient) -> None:
    """Messages that are nearly right: any byte of a good one replaced."""
    source = random.Random(13)
    good = [
        b'{"type":"subscribe","id":"1","conversation":null}',
        b'{"type":"command","id":"2","command":"create","body":{}}',
    ]
    async with nothing_left(server, ada):
        for _ in range(60):
            text = bytearray(source.choice(good))
            text[source.randrange(len(text))] = source.randrange(32, 127)
            async with stranger(server, ada) as who:
                await who.send(HELLO + frame(TEXT, bytes(text)) + frame(CLOSE, b"\x03\xe8"))
                assert await who.code() in (1000, 4400, 4409)


async def test_half_open_connection_ends(server: Server, ada: httpx2.AsyncClient) -> None:
    async with nothing_left(server, ada), stranger(server, ada) as who:
        await who.send(HELLO + SUBSCRIBE)
        await who.until(b'"event":"snapshot"')
        await who.stream.send_eof()
        await who.code()


async def test_goodbye_during_a_stream_is_answered_and_nothing_follows(server: Server, ada: httpx2.AsyncClient) -> None:
    name = (await ada.post("/api/conversations", json={})).json()["id"]
    async with nothing_left(server, ada):
        for _ in range(20):
            async with stranger(server, ada) as who:
                await who.send(HELLO + says(type="subscribe", id="1", conversation=name))
                await who.until(b'"event":"snapshot"')
                await who.send(says(type="command", id="2", command="post", conversation=name, body={"text": "Hi"}))
                await who.send(frame(CLOSE, b"\x03\xe8"))
                assert await who.code() in (1000, None)


# --- floods: the flood's own connection may suffer, nobody else ------------------------------------------------------


async def slowest(ada: httpx2.AsyncClient, over: trio.Event) -> float:
    """The most work that the loop did during another's request until ``over``: whatever else the machine does."""
    longest = 0.0
    while not over.is_set():
        began = time.thread_time()
        assert (await ada.get("/api/auth/me")).status_code == 200
        longest = max(longest, time.thread_time() - began)
    return longest


@pytest.mark.parametrize(
    "flood",
    [
        pytest.param(frame(PING, b"x") * 30_000, id="pings"),
        pytest.param(frame(PONG, b"") * 30_000, id="pongs"),
        pytest.param(frame(TEXT, b"", last=False) + frame(0, b"", last=False) * 30_000, id="empty pieces"),
        pytest.param(says(type="ping", id="x") * 3_000, id="our pings"),
        pytest.param(says(type="unsubscribe", id="x") * 3_000, id="unsubscribing"),
    ],
)
async def test_flood_delays_nobody_else(server: Server, ada: httpx2.AsyncClient, flood: bytes) -> None:
    async with nothing_left(server, ada), stranger(server, ada) as who:
        await who.send(HELLO)
        await who.until(b'"type":"ready"')
        over = trio.Event()
        longest = 0.0

        async def watch() -> None:
            nonlocal longest
            longest = await slowest(ada, over)

        async def drain() -> None:
            with trio.CancelScope() as self_scope:
                scopes.append(self_scope)
                while await who.stream.receive_some(65_536):
                    pass

        scopes: list[trio.CancelScope] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            nursery.start_soon(drain)
            await who.send(flood)
            over.set()
            await trio.lowlevel.checkpoint()
            scopes[0].cancel()
        # Far beyond what it takes alone, below what one read of the flood takes: it is taken in turns.
        assert longest < 0.1


async def test_reader_that_takes_nothing_is_broken_off(server: Server, ada: httpx2.AsyncClient) -> None:
    """However much it asks for: nothing is kept for it, and others on the server do not notice."""
    port, cookie = server.address[1], cookies_of(ada)
    async with (
        nothing_left(server, ada),
        stranger(server, ada, buffer=4096) as who,
        open_socket(port, Cookie=cookie) as other,
    ):
        await other.greet()
        await who.send(HELLO)
        with trio.fail_after(10):
            # The server does not read on while it cannot answer: the sending gets stuck, and then is broken off.
            await who.flood(says(type="ping") * 200)
        await other.say(type="ping", id="1")
        assert await other.hear() == {"type": "pong", "id": "1"}


async def test_slow_subscription_does_not_starve_its_neighbour(server: Server, ada: httpx2.AsyncClient) -> None:
    """Two conversations on one slow socket: while one has megabytes to send, the other gets its turns."""
    names = [(await ada.post("/api/conversations", json={})).json()["id"] for _ in range(2)]
    big, small = names
    body = {"text": "x" * 200_000, "respond": False}
    async with open_socket(server.address[1], Cookie=cookies_of(ada)) as socket:
        await socket.greet()
        tokens = [(await ada.get(f"/api/conversations/{name}")).json()["token"] for name in names]
        for _ in range(40):
            assert (await ada.post(f"/api/conversations/{big}/messages", json=body)).status_code == 202
        await ada.patch(f"/api/conversations/{small}", json={"title": "Small"})
        await socket.say(type="subscribe", id="big", conversation=big, after=tokens[0])
        await socket.say(type="subscribe", id="small", conversation=small, after=tokens[1])
        before = 0
        while True:
            message = await socket.hear()
            if message["id"] == "small" and message["type"] == "event":
                break
            before += message["type"] == "event"
        assert before < 40, "it came only after everything of its neighbour"
        while before < 40:
            before += (await socket.hear())["id"] == "big"


def test_frames_are_built_as_the_standard_says() -> None:
    """The helper above, held against the standard's own examples (RFC 6455, 5.7)."""
    assert frame(TEXT, b"Hello", masked=False) == b"\x81\x05Hello"
    unmasked: Callable[[bytes], bytes] = partial(frame, BINARY, masked=False)
    assert unmasked(bytes(256))[:4] == b"\x82\x7e\x01\x00"
    assert unmasked(bytes(65_536))[:10] == b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"
    assert frame(TEXT, b"Hello") == b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
