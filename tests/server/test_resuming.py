"""A reader that is cut off and resumes sees what one sees that was never cut: on all three wires, over a real server.

At every event, while the answer stands; and at random bytes, while it is being written.
"""

from __future__ import annotations

import json
import os
import random
import struct
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import h11
import httpx2
import pytest
import trio
from served import Server
from sockets import Socket, cookies_of, open_socket

PATIENCE = 30.0
SEED = int(os.environ.get("TRIALOGUE_TEST_SEED", "0")) or random.SystemRandom().getrandbits(32)
ENDS = ("run.completed", "run.failed", "run.cancelled", "run.incomplete", "run.interrupted")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server in a process of its own, whose events are many and small."""
    server = Server(
        tmp_path_factory.mktemp("server"),
        stream_buffer_tokens="1",
        stream_window_seconds="0.005",
        rate_per_user="0",
        streams_per_user="1000",
    )
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
async def ada(server: Server) -> AsyncGenerator[httpx2.AsyncClient]:
    """Somebody new."""
    async with httpx2.AsyncClient(base_url=server.url, timeout=PATIENCE, trust_env=False) as client:
        name = f"ada{random.getrandbits(64)}@example.org"
        answer = await client.post(
            "/api/auth/register", json={"email": name, "password": "correct horse", "name": "Ada"}
        )
        assert answer.status_code == 201, answer.text
        yield client


class Event(NamedTuple):
    """What a reader sees of an event, whichever wire brings it."""

    cursor: str
    kind: str
    data: str


class Cut(Exception):
    """The connection's bytes are used up."""


class CutStream(trio.abc.Stream):
    """A connection that breaks after so many received bytes, in the middle of whatever is on its way."""

    def __init__(self, stream: trio.SocketStream, left: int | None) -> None:
        self._stream = stream
        self._left = left

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        if self._left is None:
            return await self._stream.receive_some(max_bytes or 65_536)
        if self._left <= 0:
            raise Cut
        data = await self._stream.receive_some(min(self._left, max_bytes or 65_536))
        self._left -= len(data)
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        if self._left is not None:
            linger = struct.pack("ii", 1, 0)  # A reset, as from a machine that has crashed.
            self._stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, linger)
        await self._stream.aclose()


@asynccontextmanager
async def connection(client: httpx2.AsyncClient, budget: int | None) -> AsyncGenerator[CutStream]:
    port = client.base_url.port
    assert port is not None
    async with CutStream(await trio.open_tcp_stream("127.0.0.1", port), budget) as stream:
        yield stream


# --- the wires: each gives the events after a cursor, until the last one or a cut -----------------------------------


async def over_sse(
    client: httpx2.AsyncClient, conversation: str | None, seen: list[Event], budget: int | None, last: Any
) -> None:
    target = "/api/events" if conversation is None else f"/api/conversations/{conversation}/events"
    http = h11.Connection(h11.CLIENT)
    headers = [("Host", "x"), ("Cookie", cookies_of(client)), ("Last-Event-ID", seen[-1].cursor)]
    rest = b""
    async with connection(client, budget) as stream:
        await stream.send_all(http.send(h11.Request(method="GET", target=target, headers=headers)) or b"")
        await stream.send_all(http.send(h11.EndOfMessage()) or b"")
        while not last(seen[-1]):
            match http.next_event():
                case h11.NEED_DATA:
                    http.receive_data(bytes(await stream.receive_some()))
                case h11.Response(status_code=status):
                    assert status == 200
                case h11.Data(data=data):
                    *blocks, rest = (rest + bytes(data)).split(b"\n\n")
                    for block in blocks:
                        if not block.startswith(b":"):
                            fields = dict(line.split(b": ", 1) for line in block.decode().encode().split(b"\n"))
                            seen.append(Event(*(fields.get(name, b"").decode() for name in (b"id", b"event", b"data"))))
                            if last(seen[-1]):
                                break
                case other:
                    raise AssertionError(other)


async def over_websocket(
    client: httpx2.AsyncClient, conversation: str | None, seen: list[Event], budget: int | None, last: Any
) -> None:
    async with connection(client, budget) as stream:
        socket = Socket(stream)
        await socket.shake_hands({"Cookie": cookies_of(client)}, ["trialogue.v1"], "/api/ws")
        await socket.say(type="hello")
        await socket.say(type="subscribe", id="s", conversation=conversation, after=seen[-1].cursor)
        while not last(seen[-1]):
            text = await socket.text()
            message = json.loads(text)
            if message["type"] == "event":
                # The data as they came, not as they could be written.
                data = text[text.index('"data":') + len('"data":') : -1]
                seen.append(Event(message["token"], message["event"], data))


WIRES = [pytest.param(over_sse, id="sse"), pytest.param(over_websocket, id="websocket")]


async def until(wire: Any, client: Any, conversation: str | None, seen: list[Event], last: Any, budgets: Any) -> int:
    """Read until the last event, resuming after each cut; returns how often it was cut."""
    cuts = 0
    with trio.fail_after(PATIENCE):
        while not last(seen[-1]):
            try:
                await wire(client, conversation, seen, next(budgets), last)
            except Cut:
                cuts += 1
    return cuts


def whole() -> Iterator[None]:
    while True:
        yield None


def random_bytes(source: random.Random) -> Iterator[int]:
    """Mostly a few events' worth, past the head of the answer; sometimes less than that."""
    while True:
        yield source.choice((source.randrange(1, 700), source.randrange(700, 4_000)))


# --- what is said ---------------------------------------------------------------------------------------------------


async def begin(client: httpx2.AsyncClient) -> tuple[str, Event]:
    """A new conversation, and a reader's place at its beginning."""
    name = (await client.post("/api/conversations", json={})).json()["id"]
    token = (await client.get(f"/api/conversations/{name}")).json()["token"]
    return name, Event(token, "snapshot", "")


async def post(client: httpx2.AsyncClient, name: str, text: str) -> None:
    answer = await client.post(f"/api/conversations/{name}/messages", json={"text": text})
    assert answer.status_code == 202, answer.text


def answered(count: int) -> Callable[[Event], bool]:
    """Whether this is the end of the ``count``-th answer; for one reader."""
    ends: set[str] = set()

    def last(event: Event) -> bool:
        if event.kind in ENDS:
            ends.add(event.cursor)
        return len(ends) >= count

    return last


def text_in(events: list[Event]) -> str:
    """The text that the deltas write, each at its place."""
    text = ""
    for event in events:
        if event.kind == "part.delta":
            delta = json.loads(event.data)
            assert delta["offset"] == len(text), "a hole or a repeat"
            text += delta["text"]
    return text


@pytest.mark.parametrize("wire", WIRES)
async def test_cut_at_every_event_changes_nothing(ada: httpx2.AsyncClient, wire: Any) -> None:
    name, start = await begin(ada)
    await post(ada, name, "[[tokens=8 rate=200]] Say something")
    reference = [start]
    await until(over_sse, ada, name, reference, answered(1), whole())
    assert len(reference) > 10
    for place in range(1, len(reference)):
        seen = reference[:1]
        await until(wire, ada, name, seen, lambda event, end=reference[place]: event == end, whole())
        assert seen == reference[: place + 1]
        await until(wire, ada, name, seen, answered(1), whole())
        assert seen == reference


@pytest.mark.parametrize("wire", WIRES)
async def test_cut_at_random_bytes_changes_nothing(ada: httpx2.AsyncClient, wire: Any) -> None:
    """While the answer is being written."""
    source = random.Random(SEED)
    name, start = await begin(ada)
    await post(ada, name, "[[tokens=100 rate=150]] Say something")
    reference, seen = [start], [start]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(until, over_sse, ada, name, reference, answered(1), whole())
        cuts = await until(wire, ada, name, seen, answered(1), random_bytes(source))
    assert seen == reference, f"TRIALOGUE_TEST_SEED={SEED} draws the same bytes"
    assert cuts > 10
    assert text_in(seen) == text_in(reference) != ""


async def change_things(client: httpx2.AsyncClient, count: int) -> str:
    """Many changes of one's list; returns the title of the last."""
    names = [(await begin(client))[0] for _ in range(3)]
    for number in range(count):
        name = names[number % 3]
        await client.patch(f"/api/conversations/{name}", json={"title": f"Title {number}", "pinned": number % 2 == 0})
        if number % 10 == 0:
            await post(client, name, "Hi")
    for name in names[:2]:
        await client.delete(f"/api/conversations/{name}?purge=true")
    await client.patch(f"/api/conversations/{names[2]}", json={"title": "The last"})
    return "The last"


@pytest.mark.parametrize("wire", WIRES)
async def test_cut_list_is_the_whole_list(ada: httpx2.AsyncClient, wire: Any) -> None:
    """While it changes: the same events, and a fold of them that is what the server lists."""
    source = random.Random(SEED)
    async with open_socket(ada.base_url.port or 0, Cookie=cookies_of(ada)) as socket:
        await socket.greet()
        await socket.say(type="subscribe", id="s", conversation=None)
        token = (await socket.hear_until("snapshot"))[-1]["token"]
    start = Event(token, "snapshot", "")
    reference, seen = [start], [start]

    def last(event: Event) -> bool:
        return '"title":"The last"' in event.data

    async with trio.open_nursery() as nursery:
        nursery.start_soon(until, over_sse, ada, None, reference, last, whole())
        nursery.start_soon(change_things, ada, 60)
        cuts = await until(wire, ada, None, seen, last, random_bytes(source))
    assert seen == reference, f"TRIALOGUE_TEST_SEED={SEED} draws the same bytes"
    assert cuts > 10
    rows: dict[str, Any] = {}
    for event in seen[1:]:
        data = json.loads(event.data)
        if event.kind == "conversation.changed":
            rows[data["conversation"]["id"]] = data["conversation"]
        else:
            del rows[data["conversation"]]
    listed = (await ada.get("/api/conversations")).json()["conversations"]
    assert {row["id"]: row["title"] for row in rows.values()} == {row["id"]: row["title"] for row in listed}


async def test_one_cut_socket_brings_everything(ada: httpx2.AsyncClient) -> None:
    """Three conversations and the list over a socket that breaks at random bytes; commands too, each takes effect once."""
    source = random.Random(SEED)
    places = dict([await begin(ada) for _ in range(3)])
    logs: dict[str, list[Event]] = {name: [place] for name, place in places.items()}
    budgets = random_bytes(source)
    keys = {name: f"key of {name}" for name in places}
    asked = set(places)
    over = {name: answered(1) for name in places}
    cuts = 0
    with trio.fail_after(PATIENCE):
        while not all(over[name](logs[name][-1]) for name in logs):
            try:
                await _over_one_socket(ada, logs, asked, keys, over, next(budgets) + 400)
            except Cut:
                cuts += 1
    assert cuts > 5
    for name, seen in logs.items():
        reference = [places[name]]
        await until(over_sse, ada, name, reference, answered(1), whole())
        assert seen == reference, f"TRIALOGUE_TEST_SEED={SEED} draws the same bytes"
        messages = (await ada.get(f"/api/conversations/{name}")).json()["messages"]
        assert [message["role"] for message in messages] == ["user", "assistant"], "a command took effect twice"


async def _over_one_socket(
    client: httpx2.AsyncClient,
    logs: dict[str, list[Event]],
    asked: set[str],
    keys: dict[str, str],
    over: dict[str, Callable[[Event], bool]],
    budget: int,
) -> None:
    async with connection(client, budget) as stream:
        socket = Socket(stream)
        await socket.shake_hands({"Cookie": cookies_of(client)}, ["trialogue.v1"], "/api/ws")
        await socket.say(type="hello")
        for name, seen in logs.items():
            await socket.say(type="subscribe", id=name, conversation=name, after=seen[-1].cursor)
        for name in sorted(asked):
            body = {"text": "[[tokens=60 rate=150]] Say something"}
            await socket.say(type="command", id=name, command="post", conversation=name, body=body, key=keys[name])
        while not all(over[name](logs[name][-1]) for name in logs):
            text = await socket.text()
            message = json.loads(text)
            assert message["type"] != "error", message
            if message["type"] == "ack" and message.get("status") == 202:
                asked.discard(message["id"])
            if message["type"] == "event":
                data = text[text.index('"data":') + len('"data":') : -1]
                logs[message["id"]].append(Event(message["token"], message["event"], data))
