"""The proxy of the chaos tests: it passes bytes as they are, and fails as it is told."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trio
from chaos.proxy import Proxy, open_proxy

#: More than any buffer in between holds.
MUCH = bytes(range(256)) * 40_000


@asynccontextmanager
async def open_echo() -> AsyncGenerator[Proxy]:
    """A proxy before a server that says what it hears."""

    async def answer(stream: trio.SocketStream) -> None:
        try:
            async for data in stream:
                await stream.send_all(data)
            await stream.send_eof()
        except trio.BrokenResourceError:
            pass

    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery, open_proxy(listener.socket.getsockname()[1]) as proxy:
        nursery.start_soon(trio.serve_listeners, answer, [listener])
        with trio.fail_after(20):
            yield proxy
        nursery.cancel_scope.cancel()


async def exactly(stream: trio.SocketStream, count: int) -> bytes:
    data = b""
    while len(data) < count:
        got = await stream.receive_some(65_536)
        assert got, "the stream ended"
        data += bytes(got)
    return data


async def ask(proxy: Proxy) -> None:
    async with await trio.open_tcp_stream("127.0.0.1", proxy.port) as stream:
        await stream.send_all(b"one")
        await stream.receive_some(1)


async def is_silent(stream: trio.SocketStream, seconds: float = 0.1) -> bool:
    with trio.move_on_after(seconds):
        await stream.receive_some(1)
        return False
    return True


async def test_bytes_pass_as_they_are_and_the_end_too() -> None:
    async with open_echo() as proxy, await trio.open_tcp_stream("127.0.0.1", proxy.port) as stream:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, MUCH)
            assert await exactly(stream, len(MUCH)) == MUCH
        await stream.send_eof()
        assert await stream.receive_some(1) == b""


async def test_slices_are_small_and_whole_together() -> None:
    async with open_echo() as proxy, await trio.open_tcp_stream("127.0.0.1", proxy.port) as stream:
        proxy.slice = 3
        await stream.send_all(MUCH[:1000])
        assert await exactly(stream, 1000) == MUCH[:1000]


async def test_latency_delays_and_holds_up_nothing_behind() -> None:
    async with open_echo() as proxy, await trio.open_tcp_stream("127.0.0.1", proxy.port) as stream:
        proxy.latency = 0.1
        began = trio.current_time()
        for place in range(60):
            await stream.send_all(MUCH[place * 10 : place * 10 + 10])
            await trio.sleep(0.01)
        assert await exactly(stream, 600) == MUCH[:600]
        assert 0.2 <= trio.current_time() - began < 11  # One after the other it would be twelve seconds.


async def test_bandwidth_is_kept() -> None:
    async with open_echo() as proxy, await trio.open_tcp_stream("127.0.0.1", proxy.port) as stream:
        proxy.bandwidth, proxy.slice = 10_000, 500
        began = trio.current_time()
        await stream.send_all(bytes(2000))
        await exactly(stream, 2000)
        assert trio.current_time() - began >= 0.2


async def test_held_bytes_pass_later() -> None:
    async with open_echo() as proxy, await trio.open_tcp_stream("127.0.0.1", proxy.port) as stream:
        proxy.hold(up=False)
        await stream.send_all(b"one")
        assert await is_silent(stream)
        proxy.release()
        assert await exactly(stream, 3) == b"one"


async def test_nobody_answers_who_connects_to_what_is_held() -> None:
    async with open_echo() as proxy:
        proxy.hold()
        async with await trio.open_tcp_stream("127.0.0.1", proxy.port) as stream:
            await stream.send_all(b"one")
            assert await is_silent(stream)
            proxy.heal()
            assert await exactly(stream, 3) == b"one"


async def test_reset_is_told() -> None:
    async with open_echo() as proxy, await trio.open_tcp_stream("127.0.0.1", proxy.port) as stream:
        await stream.send_all(b"one")
        await exactly(stream, 3)
        assert proxy.reset() == 1
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some(1)


async def test_forgotten_client_talks_to_nobody() -> None:
    async with open_echo() as proxy, await trio.open_tcp_stream("127.0.0.1", proxy.port) as stream:
        await stream.send_all(b"one")
        await exactly(stream, 3)
        assert proxy.forget() == 1
        assert await is_silent(stream)
        await stream.send_all(b"two")
        assert await is_silent(stream)
        # A new connection is a good one.
        async with await trio.open_tcp_stream("127.0.0.1", proxy.port) as other:
            await other.send_all(b"three")
            assert await exactly(other, 5) == b"three"


async def test_refused_and_admitted() -> None:
    async with open_echo() as proxy:
        proxy.refuse()
        with pytest.raises((OSError, trio.BrokenResourceError)):
            await ask(proxy)
        proxy.admit()
        async with await trio.open_tcp_stream("127.0.0.1", proxy.port) as stream:
            await stream.send_all(b"one")
            assert await exactly(stream, 3) == b"one"


async def test_target_that_is_not_there_is_a_reset() -> None:
    async with open_proxy(1) as proxy:
        with pytest.raises((OSError, trio.BrokenResourceError)):
            await ask(proxy)
