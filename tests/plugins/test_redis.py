"""The client of Redis against a real server: storms of cancelled calls, restarts, silence, and channels across all of it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from functools import partial

import pytest
import redis as independent
import trio
from redis_server import RedisServer, open_server

from trialogue import ConfigurationError
from trialogue_redis._client import DEADLINE, Redis, open_redis
from trialogue_redis._errors import RedisDown, RedisError, RedisRefused
from trialogue_redis._script import Script
from trialogue_redis._subscription import GAP, MOST_WAITING, Subscription
from trialogue_redis._url import parse_url


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with open_server() as server:
        yield server


@pytest.fixture
async def client(server: RedisServer) -> AsyncIterator[Redis]:
    async with open_redis(parse_url(server.url)) as client:
        yield client


@pytest.fixture
async def patient(server: RedisServer) -> AsyncIterator[Redis]:
    """A client that does not mind how slow the machine is."""
    async with open_redis(parse_url(server.url), patience=10, deadline=10) as client:
        yield client


async def until_connected(client: Redis) -> None:
    with trio.fail_after(10):
        await client.wait_connected()


async def test_independent_client_sees_what_was_written(client: Redis, server: RedisServer) -> None:
    assert await client.ask("SET", "key", b"\xff\x00value", "PX", 10_000) == b"OK"
    other = independent.Redis(port=server.port)
    assert other.get("key") == b"\xff\x00value"
    assert 0 < int(str(other.pttl("key"))) <= 10_000
    other.close()


async def test_many_at_once_get_their_own_answers(patient: Redis) -> None:
    async def ask(number: int) -> None:
        assert await patient.ask("ECHO", str(number)) == str(number).encode()

    async with trio.open_nursery() as nursery:
        for number in range(2_000):
            nursery.start_soon(ask, number)
    assert patient.statistics().connections == 1


async def test_refusal_is_told_in_its_own_words(client: Redis) -> None:
    await client.ask("SET", "text", "x")
    with pytest.raises(RedisRefused, match="not an integer"):
        await client.ask("INCR", "text")
    assert await client.ask("PING") == b"PONG"


async def storm(client: Redis, source: random.Random) -> int:
    """Five hundred calls, nine of ten cancelled at some moment; returns how many of the others were not answered."""
    unanswered = 0

    async def ask(number: int, patience: float) -> None:
        nonlocal unanswered
        try:
            with trio.move_on_after(patience):
                assert await client.ask("ECHO", str(number)) == str(number).encode()
        except RedisDown:
            unanswered += 1

    async with trio.open_nursery() as nursery:
        for number in range(500):
            nursery.start_soon(ask, number, 10 if number % 10 == 0 else source.uniform(0, 0.01))
    return unanswered


async def test_storm_of_cancelled_calls_costs_nobody_an_answer(patient: Redis, server: RedisServer) -> None:
    client = patient
    source = random.Random(7)
    for _ in range(10):
        assert await storm(client, source) == 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(storm, client, source)
        server.kill()
        server.start()
    await storm(client, source)  # which tells it that the connection is gone
    await until_connected(client)
    for _ in range(10):
        assert await storm(client, source) == 0
    assert client.statistics().pending == 0


async def test_server_that_restarts_is_found_again(client: Redis, server: RedisServer) -> None:
    server.kill()
    with pytest.raises(RedisDown):
        await client.ask("PING")
    server.start()
    await until_connected(client)
    assert await client.ask("PING") == b"PONG"


async def test_server_that_falls_silent_holds_nobody_up(client: Redis, server: RedisServer) -> None:
    server.pause()
    try:
        began = trio.current_time()
        with pytest.raises(RedisDown, match="did not answer"):
            await client.ask("PING")
        # Whoever comes next is not made to wait for the same thing.
        with pytest.raises(RedisDown, match="no connection"):
            await client.ask("PING")
        assert trio.current_time() - began < DEADLINE + 10
    finally:
        server.unpause()
    await until_connected(client)
    assert await client.ask("PING") == b"PONG"


async def test_no_server_is_no_reason_to_wait() -> None:
    with trio.fail_after(20):
        async with open_redis(parse_url("redis://127.0.0.1:1/0"), patience=0.1) as client:
            with pytest.raises(RedisDown):
                await client.ask("PING")


@pytest.mark.parametrize(
    "junk", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b">3\r\n+message\r\n:1\r\n:1\r\n", b"\0" * 70_000]
)
async def test_something_else_at_its_address_is_no_reason_to_stop(
    junk: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def talk(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):
            async with stream:
                await stream.send_all(junk)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, talk, 0, host="127.0.0.1"))
        url = f"redis://127.0.0.1:{listeners[0].socket.getsockname()[1]}/0"
        async with open_redis(parse_url(url), patience=0.3) as client:
            with pytest.raises(RedisDown):
                await client.ask("PING")
        nursery.cancel_scope.cancel()
    assert "no connection to Redis" in caplog.text


async def test_script_is_sent_again_after_a_flush(client: Redis) -> None:
    script = Script("return {KEYS[1], ARGV[1]}")
    for _ in range(2):
        assert await client.run_script(script, ["k"], 5) == [b"k", b"5"]
        await client.ask("SCRIPT", "FLUSH")


async def test_password_and_database_are_used() -> None:
    with open_server("--requirepass", "s3cret") as locked:
        wrong = locked.url.replace("redis://", "redis://:wr0ng@")
        async with open_redis(parse_url(wrong), patience=0.3) as client:
            with pytest.raises(RedisDown) as caught:
                await client.ask("PING")
            assert "wr0ng" not in str(caught.value) + repr(client)
        right = locked.url.replace("redis://", "redis://:s3cret@").replace("/0", "/3")
        async with open_redis(parse_url(right)) as client:
            await client.ask("SET", "a", "1")
        other = independent.Redis(port=locked.port, password="s3cret", db=3)
        assert other.get("a") == b"1"
        other.close()


# --- channels --------------------------------------------------------------------------------------------------------


async def heard(subscription: Subscription, message: bytes) -> None:
    """Wait until it is heard, whatever comes before."""
    with trio.fail_after(5):
        while await subscription.receive() != message:
            pass


async def test_listener_hears_what_is_said(client: Redis, server: RedisServer) -> None:
    with client.subscribe("news") as subscription:
        assert await subscription.receive() is GAP  # what was said before
        assert await subscription.receive() is GAP  # until the server took note
        await client.ask("PUBLISH", "news", b"\x00one")
        with trio.fail_after(5):
            assert await subscription.receive() == b"\x00one"
    await client.ask("PING")
    assert await client.ask("PUBSUB", "NUMSUB", "news") == [b"news", 0]
    assert client.statistics().subscriptions == 0


async def test_listener_is_told_of_a_gap_and_hears_again(client: Redis, server: RedisServer) -> None:
    with client.subscribe("news") as subscription:
        await client.ask("PUBLISH", "news", b"before")
        await heard(subscription, b"before")
        server.kill()
        with trio.fail_after(5):
            assert await subscription.receive() is GAP
        server.start()
        await until_connected(client)
        await client.ask("PUBLISH", "news", b"after")
        await heard(subscription, b"after")


async def test_two_listeners_of_a_channel_do_not_disturb_each_other(client: Redis) -> None:
    with client.subscribe("news") as stays:
        with client.subscribe("news") as goes:
            await client.ask("PUBLISH", "news", b"one")
            await heard(goes, b"one")
        await heard(stays, b"one")
        await client.ask("PUBLISH", "news", b"two")
        await heard(stays, b"two")


async def test_slow_listener_is_told_to_look_for_itself() -> None:
    subscription = Subscription()
    for number in range(MOST_WAITING + 10):
        subscription.deliver(str(number).encode())
    assert await subscription.receive() is GAP
    assert await subscription.receive() == str(MOST_WAITING).encode()


# --- addresses -------------------------------------------------------------------------------------------------------


def test_address_is_read() -> None:
    address = parse_url("rediss://ada:p%40ss@cache.example:7000/2")
    assert (address.host, address.port, address.tls, address.database) == ("cache.example", 7000, True, 2)
    assert (address.user, address.password) == ("ada", "p@ss")
    assert "p@ss" not in repr(address) + str(address)
    assert parse_url("unix:///run/redis.sock?db=1").path == "/run/redis.sock"


@pytest.mark.parametrize(
    "url", ["http://a", "redis://a:b:c", "redis://a/x", "redis://a:99999", "redis://a..b", "unix:", "redis", ""]
)
def test_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="redis_url"):
        parse_url(url)


def test_errors_are_one_family() -> None:
    assert issubclass(RedisDown, RedisError)
    assert issubclass(RedisRefused, RedisError)
