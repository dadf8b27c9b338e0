"""Whether sessions are worth a cache in Redis, on PostgreSQL: what looking one up costs there, here, and in a whole request.

States: each process remembers a session for ten seconds, so a caller costs the database a look-up in ten seconds and node;
Redis would answer that look-up sooner, and no other. The figures say how much sooner, and what that is of the requests of
a caller who asks once a second: too little for one more place where a session that has ended lives on.

The server and the database are the tests' own, on this machine; over a network both look-ups take a round trip more.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import trio

from bench.client import Account
from bench.postgres import open_postgres
from bench.results import Row
from bench.servers import Trialogue
from trialogue import Session, User, load_plugins, new_id
from trialogue.testing.memory_store import system_now

NAME = "sessions"
#: Seconds for which a process remembers a session (``trialogue_server._callers.tokens.FRESH``).
FRESH = 10.0

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # For the servers that tests use.


def run(quick: bool = False) -> list[Row]:
    """Look-ups alone, and requests."""
    from redis_server import open_server as open_redis_server

    count = 300 if quick else 3000
    with ExitStack() as stack:
        url = stack.enter_context(open_postgres())
        redis = stack.enter_context(open_redis_server())
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="trialogue-bench-")))
        server = Trialogue(folder, {"TRIALOGUE_STORAGE_URL": url, "TRIALOGUE_DEFAULT_MODEL": "echo:echo"})
        server.start()
        stack.callback(lambda: server.process and server.process.stop())
        request = _requests(server, server.client().register(), count)
        database, cached = trio.run(partial(_look_ups, url, redis.url, folder, count))
    spared = (database - cached) / FRESH
    return [
        Row(NAME, "request of an account, session remembered, median", request, "ms"),
        Row(NAME, "session out of PostgreSQL, median", database, "ms"),
        Row(NAME, "the same out of Redis, median", cached, "ms"),
        Row(NAME, "spared by Redis, for a request a second", spared, "ms"),
        Row(NAME, "that, of a request", spared / request, "", "<= 0.02"),
    ]


def _requests(server: Trialogue, account: Account, count: int) -> float:
    client = server.client()
    client.must("GET", "/api/auth/me", None, account.cookie)
    return _median(
        [_timed(lambda: client.must("GET", "/api/auth/me", None, account.cookie)) for _ in range(count // 3)]
    )


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


async def _look_ups(url: str, redis_url: str, folder: Path, count: int) -> tuple[float, float]:
    from trialogue_redis._client import open_redis
    from trialogue_redis._url import parse_url

    async with load_plugins().open_store(url, folder) as store, open_redis(parse_url(redis_url)) as redis:
        now = system_now()
        user = await store.accounts.add_user(User(new_id(), "bench2@example.org", "Bench", "user", now), None)
        session = Session(new_id(), user.id, b"x" * 32, now, now.replace(year=now.year + 1), now)
        await store.accounts.add_session(session, 100, ())
        assert await store.accounts.session(session.token_hash) is not None
        await redis.ask("SET", "session", msgspec.msgpack.encode((session, user)))

        async def out_of_redis() -> None:
            msgspec.msgpack.decode(await redis.ask("GET", "session"), type=tuple[Session, User])

        return (
            await _each(lambda: store.accounts.session(session.token_hash), count),
            await _each(out_of_redis, count),
        )


async def _each(work: Callable[[], Awaitable[object]], count: int) -> float:
    times: list[float] = []
    for _ in range(count):
        began = time.perf_counter()
        await work()
        times.append(time.perf_counter() - began)
    return _median(times)


def _median(times: list[float]) -> float:
    return sorted(times)[len(times) // 2] * 1000
