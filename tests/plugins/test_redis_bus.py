"""What nodes tell each other through Redis: heard by their own cluster alone, and missed knowingly when it is away."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trio
from redis_server import RedisServer, open_server

from trialogue import Ear
from trialogue_redis._soft import open_soft_state
from trialogue_redis._url import parse_url


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with open_server() as server:
        yield server


async def until(ear: Ear, wanted: bytes | None) -> list[bytes | None]:
    """What is heard up to this."""
    heard: list[bytes | None] = []
    with trio.fail_after(10):
        while not heard or heard[-1] != wanted:
            heard.append(await ear.hear())
    return heard


async def test_two_clusters_share_one_redis_and_hear_nothing_of_each_other(server: RedisServer) -> None:
    async with open_soft_state(parse_url(server.url)) as one, open_soft_state(parse_url(server.url)) as other:
        ours, theirs, same = one.bus("ours"), other.bus("theirs"), other.bus("ours")
        assert ours.is_open
        with ours.listen() as here, theirs.listen() as there:
            for ear in (here, there):  # As it begins, and as it is subscribed.
                await until(ear, None)
            await trio.sleep(0.1)
            same.say(b"for us")
            theirs.say(b"for them")
            assert (await until(here, b"for us"))[-1] == b"for us"
            assert b"for us" not in await until(there, b"for them")


async def test_redis_that_goes_away_leaves_a_gap_and_comes_back(server: RedisServer) -> None:
    async with open_soft_state(parse_url(server.url)) as soft:
        bus = soft.bus("ours")
        with bus.listen() as ear:
            await until(ear, None)
            server.kill()
            await until(ear, None)
            with trio.fail_after(5):
                while bus.is_open:  # noqa: ASYNC110 - the port tells nobody
                    await trio.sleep(0.01)
            bus.say(b"lost")
            server.start()
            with trio.fail_after(10):
                while not bus.is_open:  # noqa: ASYNC110 - as above
                    await trio.sleep(0.01)
            await trio.sleep(0.1)
            bus.say(b"heard")
            heard = await until(ear, b"heard")
            assert None in heard
            assert b"lost" not in heard
