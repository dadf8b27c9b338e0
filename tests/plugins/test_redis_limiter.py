"""Requests counted together through a real Redis, and each process by itself while there is none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence

import pytest
import redis as independent
import trio
from redis_server import RedisServer, open_server

from trialogue import ConfigurationError, Limiter, Quota, SoftState, Taken, load_plugins
from trialogue_redis import trialogue_soft_state

TEN = Quota("user", 10, 60.0)
THREE = Quota("key", 3, 60.0)


class Fallback(Limiter):
    """Lets everything through, and says so."""

    async def take(self, asked: Sequence[tuple[Quota, str]]) -> Sequence[Taken]:
        await trio.lowlevel.checkpoint()
        return [Taken(quota, -1, 0.0) for quota, _ in asked]


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with open_server() as server:
        yield server


@pytest.fixture
async def soft(server: RedisServer) -> AsyncIterator[SoftState]:
    other = independent.Redis(port=server.port)
    other.flushall()
    other.close()
    opening = trialogue_soft_state(server.url)
    assert opening is not None
    async with opening as soft:
        yield soft


@pytest.fixture
def limiter(soft: SoftState) -> Limiter:
    return soft.limiter(Fallback())


async def test_bucket_empties_one_by_one_and_refuses_then(limiter: Limiter) -> None:
    for left in range(9, -1, -1):
        (taken,) = await limiter.take([(TEN, "ada")])
        assert (taken.left, taken.wait) == (left, 0)
    (refused,) = await limiter.take([(TEN, "ada")])
    assert refused.left == 0
    assert 5 < refused.wait <= 6
    assert 59 < refused.full_in <= 60
    (other,) = await limiter.take([(TEN, "bob")])
    assert other.left == 9


async def test_refused_by_one_takes_from_none(limiter: Limiter) -> None:
    for _ in range(3):
        await limiter.take([(TEN, "ada"), (THREE, "k")])
    ten, three = await limiter.take([(TEN, "ada"), (THREE, "k")])
    assert (ten.left, ten.wait) == (7, 0)
    assert three.wait > 0
    (ten,) = await limiter.take([(TEN, "ada")])
    assert ten.left == 6


async def test_processes_count_together_and_exactly(server: RedisServer) -> None:
    through = 0

    async def process() -> None:
        nonlocal through
        opening = trialogue_soft_state(server.url)
        assert opening is not None
        async with opening as soft:
            limiter = soft.limiter(Fallback())
            for _ in range(20):
                (taken,) = await limiter.take([(TEN, "shared")])
                through += not taken.wait

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(process)
    assert through == 10


async def test_every_key_has_an_end(limiter: Limiter, server: RedisServer) -> None:
    await limiter.take([(TEN, "ada"), (THREE, "k")])
    other = independent.Redis(port=server.port)
    keys = list(other.scan_iter("*"))
    assert len(keys) == 2
    assert all(0 < int(str(other.pttl(key))) <= 60_000 for key in keys)
    other.close()


async def test_flush_costs_nobody_anything(limiter: Limiter, server: RedisServer) -> None:
    for _ in range(11):
        await limiter.take([(TEN, "ada")])
    other = independent.Redis(port=server.port)
    other.flushall()
    other.script_flush()
    other.close()
    (taken,) = await limiter.take([(TEN, "ada")])
    assert (taken.left, taken.wait) == (9, 0)


async def test_without_redis_the_fallback_counts(limiter: Limiter, soft: SoftState, server: RedisServer) -> None:
    server.kill()
    try:
        with trio.fail_after(2):
            for _ in range(20):
                (taken,) = await limiter.take([(TEN, "ada")])
                assert taken.left == -1
        assert not soft.statistics().connected
        assert limiter.statistics()["alone"] == 20
    finally:
        server.start()


def test_setting_that_nobody_knows_is_refused() -> None:
    plugins = load_plugins()
    with pytest.raises(ConfigurationError, match=r"no plugin opens redis_url 'memcached:'"):
        plugins.open_soft_state("memcached://:s3cret@host")
    with pytest.raises(ConfigurationError, match="redis_url cannot be used"):
        plugins.open_soft_state("redis://host/nine")
