"""Streams leave through one task: whole, in order, framed, to whoever still reads; and end as they should."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import h11
import pytest
import trio
import trio.testing

from trialogue import ClosedError, StorageError
from trialogue_server._guard import Limits, make_config, serve_guarded
from trialogue_server._hub import Hub, Source, StreamBroken, Tag, open_hub

PATIENCE = 10.0


class FakeSource:
    """A log in memory, of which the last frames, from ``base`` on, are also the tail."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.base = 0
        self.floor = 0
        self.reads = 0
        self.fails: Exception | None = None
        self.is_past = False
        self._wakers: list[Callable[[], None]] = []

    @property
    def next_seq(self) -> int:
        return len(self.frames)

    @property
    def attached(self) -> int:
        return len(self._wakers)

    def publish(self, *frames: bytes) -> None:
        self.frames.extend(frames)
        for wake in tuple(self._wakers):
            wake()

    def read(self, seq: int, limit: int = 65_536) -> tuple[bytes, int] | None:
        self.reads += 1
        if self.fails is not None:
            raise self.fails
        if seq < self.base:
            return None
        return self._slice(seq, limit)

    def attach(self, wake: Callable[[], None]) -> Callable[[], None]:
        self._wakers.append(wake)
        return partial(self._wakers.remove, wake)

    async def read_log(self, seq: int, limit: int = 500) -> tuple[bytes, int]:
        await trio.lowlevel.checkpoint()
        return (b"", seq) if seq < self.floor else self._slice(seq, 65_536)

    def _slice(self, seq: int, limit: int) -> tuple[bytes, int]:
        data, end = b"", seq
        while end < len(self.frames) and (end == seq or len(data) + len(self.frames[end]) <= limit):
            data += self.frames[end]
            end += 1
        return data, end


def event(number: int, size: int = 0) -> bytes:
    return b"id: %d\ndata: %b\n\n" % (number, b"x" * size)


class Place:
    """A hub behind a guarded server on the loopback."""

    def __init__(self, hub: Hub, source: FakeSource, port: int, stop: trio.Event) -> None:
        self.hub = hub
        self.source = source
        self.port = port
        self.stop = stop

    async def settled(self, streams: int) -> None:
        """Wait until so many streams are open and none has anything left to do."""
        await until(lambda: self.hub.statistics().streams == streams and self.source.attached == streams)


async def until(true: Callable[[], bool]) -> None:
    """For what the kernel does in its own time."""
    with trio.fail_after(PATIENCE):
        while not true():  # noqa: ASYNC110 - no event tells of it
            await trio.sleep(0.005)


async def client(
    port: int, *, path: str = "/?seq=0", version: bytes = b"1.1", buffer: int | None = None
) -> trio.SocketStream:
    sock = trio.socket.socket()
    if buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    await sock.connect(("127.0.0.1", port))
    stream = trio.SocketStream(sock)
    await stream.send_all(b"GET %b HTTP/%b\r\nHost: x\r\n\r\n" % (path.encode(), version))
    return stream


class Reader:
    """Parses a stream as strictly as h11 does."""

    def __init__(self, stream: trio.abc.ReceiveStream) -> None:
        self.stream = stream
        self.head: h11.Response | None = None
        self.body = bytearray()  # Grows by thousands of pieces: bytes would be copied as often.
        self.whole = False
        self._parser = h11.Connection(h11.CLIENT)
        self._parser.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
        self._parser.send(h11.EndOfMessage())

    async def until(self, mark: bytes) -> bytes:
        """The body up to now, which contains ``mark``."""
        with trio.fail_after(PATIENCE):
            while mark not in self.body[-len(mark) - 65_536 :]:
                assert await self.more(), self.body
        return bytes(self.body)

    async def to_end(self) -> bytes:
        """The whole body; ``whole`` tells whether it ended as it should."""
        with trio.fail_after(PATIENCE):
            while await self.more():
                pass
        return bytes(self.body)

    async def more(self) -> bool:
        match event := self._parser.next_event():
            case h11.NEED_DATA:
                self._parser.receive_data(bytes(await self.stream.receive_some(65_536)))
            case h11.Response():
                self.head = event
            case h11.Data():
                self.body += event.data
            case h11.EndOfMessage():
                self.whole = True
                return False
            case _:
                return False
        return True


@contextlib.asynccontextmanager
async def place(
    *, heartbeat: float = 15.0, limits: Limits | None = None, certificate: Path | None = None
) -> AsyncGenerator[Place, None]:
    source = FakeSource()
    config = make_config("127.0.0.1", 0, fds=[], grace=1, limits=limits)
    config.errorlog = None
    if certificate is not None:
        config.certfile = config.keyfile = str(certificate)
    stop = trio.Event()
    async with open_hub(heartbeat=heartbeat, send_deadline=2) as hub:

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                seq = int(scope["query_string"].removeprefix(b"seq="))
                tag = Tag(user=scope["path"].strip("/"), session=str(seq))
                await hub.stream(scope, receive, send, source, seq, headers=[(b"x-request-id", b"r1")], tag=tag)
            else:
                await lifespan(receive, send)

        async with trio.open_nursery() as nursery:
            serve = partial(serve_guarded, app, config, shutdown_trigger=stop.wait)
            binds: list[str] = await nursery.start(serve)
            yield Place(hub, source, int(binds[0].rsplit(":", 1)[1]), stop)
            stop.set()


async def lifespan(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


# --------------------------------------------------------------------------------------------------- the way out


async def test_head_and_first_bytes_come_at_once() -> None:
    async with place() as here, await client(here.port) as stream:
        reader = Reader(stream)
        assert await reader.until(b": ok\n\n") == b": ok\n\n"
        assert reader.head is not None
        headers = dict(reader.head.headers)
        assert headers[b"content-type"] == b"text/event-stream"
        assert headers[b"cache-control"] == b"no-cache, no-transform"
        assert headers[b"x-accel-buffering"] == b"no"
        assert headers[b"x-request-id"] == b"r1"


async def test_frames_arrive_in_order_and_once() -> None:
    async with place() as here, await client(here.port) as stream:
        reader = Reader(stream)
        await reader.until(b": ok\n\n")
        for number in range(100):
            here.source.publish(event(number))
            if number % 7 == 0:
                await trio.lowlevel.checkpoint()
        assert await reader.until(event(99)) == b": ok\n\n" + b"".join(here.source.frames)


async def test_what_was_published_before_is_caught_up() -> None:
    """From the log, then from the tail, without a seam."""
    async with place() as here:
        here.source.publish(*(event(number, 500) for number in range(1000)))
        here.source.base = 700
        async with await client(here.port, path="/?seq=10") as stream:
            body = await Reader(stream).until(event(999, 500))
        assert body == b": ok\n\n" + b"".join(here.source.frames[10:])
        assert here.hub.statistics().caught_up == 1


async def test_subscribers_get_the_same_bytes_and_they_are_read_once() -> None:
    async with place() as here, await client(here.port) as one, await client(here.port) as two:
        readers = [Reader(one), Reader(two)]
        for reader in readers:
            await reader.until(b": ok\n\n")
        await here.settled(2)
        await trio.testing.wait_all_tasks_blocked()
        reads = here.source.reads
        here.source.publish(event(0), event(1))
        bodies = [await reader.until(event(1)) for reader in readers]
        assert bodies[0] == bodies[1]
        assert here.source.reads == reads + 1


async def test_many_streams_are_served_by_one_task() -> None:
    async with place() as here, trio.open_nursery() as nursery:
        streams = [await client(here.port) for _ in range(100)]
        await here.settled(100)
        bodies: list[bytes] = []

        async def read(stream: trio.SocketStream) -> None:
            async with stream:
                bodies.append(await Reader(stream).until(event(20)))

        for stream in streams:
            nursery.start_soon(read, stream)
        for number in range(21):
            here.source.publish(event(number))
            await trio.lowlevel.checkpoint()
        await until(lambda: len(bodies) == 100)
        assert set(bodies) == {b": ok\n\n" + b"".join(here.source.frames)}
        await here.settled(0)


# ------------------------------------------------------------------------------------------- readers that are slow


async def fill(here: Place, count: int = 300) -> None:
    """More than any socket takes."""
    for number in range(count):
        here.source.publish(event(number, 30_000))
        await trio.lowlevel.checkpoint()


async def test_slow_reader_harms_nobody_and_loses_nothing() -> None:
    async with place() as here, await client(here.port, buffer=4096) as slow, await client(here.port) as quick:
        await here.settled(2)
        async with trio.open_nursery() as nursery:
            reader = Reader(quick)
            nursery.start_soon(reader.until, event(299, 30_000))
            await fill(here)
        assert here.hub.statistics().busy == 1
        assert here.hub.statistics().carried >= 1
        late = await Reader(slow).until(event(299, 30_000))
        assert late == reader.body == b": ok\n\n" + b"".join(here.source.frames)


async def test_reader_that_stopped_is_dropped_at_its_deadline() -> None:
    async with place(limits=Limits(send_deadline=0.3)) as here, await client(here.port, buffer=4096) as stalled:
        await here.settled(1)
        await fill(here)
        await here.settled(0)
        assert here.hub.statistics().broken == 1
        assert not await ended_whole(stalled)


async def ended_whole(stream: trio.abc.ReceiveStream) -> bool:
    reader = Reader(stream)
    try:
        await reader.to_end()
    except (trio.BrokenResourceError, h11.RemoteProtocolError):
        assert not reader.whole
    return reader.whole


# ------------------------------------------------------------------------------------------------------ endings


def finish(stream: trio.SocketStream) -> None:
    stream.socket.close()


def reset(stream: trio.SocketStream) -> None:
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.socket.close()


def half_close(stream: trio.SocketStream) -> None:
    stream.socket.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("leave", [finish, reset, half_close])
async def test_client_that_leaves_is_noticed(leave: Callable[[trio.SocketStream], None]) -> None:
    async with place() as here:
        await trio.testing.wait_all_tasks_blocked()
        tasks = trio.lowlevel.current_statistics().tasks_living
        streams = [await client(here.port) for _ in range(10)]
        await here.settled(10)
        for stream in streams:
            leave(stream)
        await here.settled(0)
        assert here.hub.statistics().broken == 0
        for stream in streams:
            await stream.aclose()
        await until(lambda: trio.lowlevel.current_statistics().tasks_living == tasks)


async def test_source_that_fails_never_looks_like_an_end(caplog: pytest.LogCaptureFixture) -> None:
    async with place() as here, await client(here.port) as stream:
        await here.settled(1)
        here.source.fails = StorageError("the disk is full: make room")
        here.source.publish(event(0))
        assert not await ended_whole(stream)
        await here.settled(0)
    assert "the disk is full" in caplog.text


async def test_frames_that_are_gone_never_look_like_an_end(caplog: pytest.LogCaptureFixture) -> None:
    """Neither in the tail nor in the log: the client starts over, from a snapshot that its next request gets."""
    async with place() as here:
        here.source.publish(*(event(number) for number in range(10)))
        here.source.base = here.source.floor = 5
        async with await client(here.port, path="/?seq=2") as stream:
            assert not await ended_whole(stream)
    assert "frame 2" in caplog.text


async def test_draining_says_goodbye_and_ends_cleanly() -> None:
    async with place() as here:
        streams = [await client(here.port) for _ in range(10)]
        await here.settled(10)
        here.hub.drain()
        hints = set()
        for stream in streams:
            reader = Reader(stream)
            body = await reader.to_end()
            assert reader.whole
            hints.update(re.findall(rb"\nretry: (\d+)\n", body))
            await stream.aclose()
        assert len(hints) > 1, "they would all come back at once"
        with pytest.raises(ClosedError):
            await here.hub.stream({"method": "GET"}, never, ignore, here.source, 0)


async def never() -> Any:
    await trio.sleep_forever()


async def ignore(message: Any) -> None:
    pass


async def test_ended_session_ends_its_streams() -> None:
    async with (
        place() as here,
        await client(here.port, path="/ann?seq=0") as revoked,
        await client(here.port, path="/ann?seq=1") as kept,
    ):
        await here.settled(2)
        assert here.hub.count("ann") == 2
        assert here.hub.close_where(lambda tag: tag.session == "0") == 1
        reader = Reader(revoked)
        await reader.to_end()
        assert reader.whole
        await here.settled(1)
        assert here.hub.count("ann") == 1
        here.source.publish(event(0), event(1))
        assert event(1) in await Reader(kept).until(event(1))
    assert here.hub.count("ann") == 0


async def test_end_of_the_hub_breaks_what_is_open() -> None:
    async with place() as here, await client(here.port) as stream:
        await here.settled(1)
        here.hub.shut()
        assert not await ended_whole(stream)


async def test_connection_lives_on_after_a_stream_that_ended() -> None:
    async with place() as here, await client(here.port) as stream:
        await here.settled(1)
        here.hub.close_where(lambda tag: True)
        await Reader(stream).to_end()
        await stream.send_all(b"GET /?seq=0 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await Reader(stream).until(b": ok\n\n")


# --------------------------------------------------------------------------------------------------- heartbeats


async def test_silence_is_broken_by_heartbeats() -> None:
    async with place(heartbeat=0.05) as here, await client(here.port) as stream:
        assert await Reader(stream).until(b": ping\n\n" * 3) == b": ok\n\n" + b": ping\n\n" * 3
        assert here.hub.statistics().heartbeats >= 3


async def test_events_are_heartbeats_enough() -> None:
    async with place(heartbeat=0.3) as here, await client(here.port) as stream:
        await here.settled(1)
        for number in range(8):
            here.source.publish(event(number))
            await trio.sleep(0.1)
        assert b"ping" not in await Reader(stream).until(event(7))


async def test_heartbeat_notices_who_vanished() -> None:
    """Without it, a peer that left while nobody reads is noticed at the next event only."""
    async with place(heartbeat=0.05) as here:
        stream = await client(here.port)
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3000)  # More ahead than is read.
        await here.settled(1)
        reset(stream)
        await here.settled(0)


async def test_heartbeats_need_no_timer_per_stream() -> None:
    async with place() as here:
        streams = [await client(here.port) for _ in range(20)]
        await here.settled(20)
        before = trio.lowlevel.current_statistics()
        assert before.seconds_to_next_deadline <= 15
        # A connection's task, its app's call, nothing else.
        here.hub.drain()
        await here.settled(0)
        for stream in streams:
            await stream.aclose()
        await until(lambda: trio.lowlevel.current_statistics().tasks_living <= before.tasks_living - 40)


# ----------------------------------------------------------------------------------------------- the other way out


async def test_http_1_0_gets_the_same_frames() -> None:
    async with place() as here, await client(here.port, version=b"1.0") as stream:
        await here.settled(1)
        here.source.publish(event(0), event(1))
        assert (await Reader(stream).until(event(1))).endswith(event(0) + event(1))
        here.source.fails = StorageError("gone")
        here.source.publish(event(2))
        assert not await ended_by_connection(stream)


async def ended_by_connection(stream: trio.SocketStream) -> bool:
    """Where the end of the connection is the end of the body, only a reset is not one."""
    with trio.fail_after(PATIENCE):
        try:
            return await stream.receive_some(100) == b""
        except trio.BrokenResourceError:
            return False


class Messages:
    """Another server's side of ASGI."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.gone = trio.Event()
        self.arrived = trio.Event()

    async def receive(self) -> Any:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        await trio.lowlevel.checkpoint()
        self.sent.append(message)
        self.arrived.set()
        self.arrived = trio.Event()

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


@pytest.fixture
async def elsewhere(
    nursery: trio.Nursery,
) -> AsyncIterator[tuple[Hub, FakeSource, Messages, Callable[[], Awaitable[None]]]]:
    async with open_hub(heartbeat=15, send_deadline=2) as hub:
        source, messages = FakeSource(), Messages()
        scope = {"type": "http", "method": "GET", "http_version": "1.1"}
        yield hub, source, messages, partial(hub.stream, scope, messages.receive, messages.send, source, 0)


async def test_any_server_gets_frames_through_send(elsewhere: Any, nursery: trio.Nursery) -> None:
    hub, source, messages, run = elsewhere
    nursery.start_soon(run)
    await trio.testing.wait_all_tasks_blocked()
    source.publish(event(0), event(1))
    await trio.testing.wait_all_tasks_blocked()
    assert messages.body == b": ok\n\n" + event(0) + event(1)
    hub.drain()
    await trio.testing.wait_all_tasks_blocked()
    assert b"event: reconnect\nretry: " in messages.body
    assert messages.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


async def test_any_server_is_told_to_break_what_failed(elsewhere: Any) -> None:
    _, source, messages, run = elsewhere
    source.fails = StorageError("gone")
    with pytest.raises(StreamBroken):
        await run()
    assert messages.sent[-1]["more_body"] is True


async def test_heartbeat_in_virtual_time(
    elsewhere: Any, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    _, source, messages, run = elsewhere
    nursery.start_soon(run)
    await trio.sleep(10)
    source.publish(event(0))
    await trio.sleep(14)
    assert b"ping" not in messages.body
    await trio.sleep(2)
    assert messages.body.endswith(event(0) + b": ping\n\n")
    messages.gone.set()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    path = tmp_path / "pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-subj", "/CN=localhost", "-days", "1", "-keyout", str(path), "-out", str(tmp_path / "crt")]
    subprocess.run(command, check=True, capture_output=True)
    path.write_text(path.read_text() + (tmp_path / "crt").read_text())
    return path


async def test_tls_in_the_process_gets_the_same_frames(certificate: Path) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with place(certificate=certificate) as here:
        transport = await trio.open_tcp_stream("127.0.0.1", here.port)
        async with trio.SSLStream(transport, context, https_compatible=True) as stream:
            await stream.send_all(b"GET /?seq=0 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert stream.selected_alpn_protocol() == "http/1.1"
            await here.settled(1)
            here.source.publish(event(0), event(1, 100_000))
            reader = Reader(stream)
            assert (await reader.until(event(1, 100_000))).endswith(b"".join(here.source.frames))
            here.hub.drain()
            await reader.to_end()
            assert reader.whole


def test_the_cores_tail_is_a_source() -> None:
    """Checked by the type checkers."""
    from trialogue import Tail

    def accepts(source: Source) -> Source:
        return source

    assert callable(accepts)
    check: Callable[[Tail], Source] = accepts
    assert check is accepts
