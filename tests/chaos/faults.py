"""What goes wrong: each fault happens to a fleet and is over when its function returns. A plan of them is drawn from a seed.

Several may happen at once; those that need the same process wait for each other. How long one lasts is drawn with it.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import psycopg
import redis
import trio
from chaos.fleet import Fleet, Node
from chaos.talks import Record

#: Faults that happen at once.
AT_ONCE = 4


@dataclass(frozen=True)
class Trouble:
    """One fault that is to come: how long after the one before it, which, and the seed of its details."""

    after: float
    name: str
    seed: int


@dataclass
class Scene:
    """What faults happen to."""

    fleet: Fleet
    records: Sequence[Record]
    #: The longest that a process stands still, which few do.
    longest_pause: float = 6.0


#: One fault, from its beginning to its end.
Fault: TypeAlias = Callable[[Scene, random.Random], Awaitable[None]]


def draw(source: random.Random, count: int, pace: float = 0.5) -> list[Trouble]:
    """So many troubles, one every ``pace`` seconds or so."""
    names = source.choices(list(FAULTS), [weight for weight, _ in FAULTS.values()], k=count)
    return [Trouble(source.uniform(0, 2 * pace), name, source.getrandbits(32)) for name in names]


async def bring_about(scene: Scene, plan: Sequence[Trouble], happened: Callable[[str], None]) -> None:
    """All of the plan; ``happened`` is told of each when it is over."""
    places = trio.Semaphore(AT_ONCE)

    async def one(trouble: Trouble) -> None:
        try:
            await FAULTS[trouble.name][1](scene, random.Random(trouble.seed))
            happened(trouble.name)
        finally:
            places.release()

    async with trio.open_nursery() as nursery:
        for trouble in plan:
            await trio.sleep(trouble.after)
            await places.acquire()
            nursery.start_soon(one, trouble)


# --- processes -------------------------------------------------------------------------------------------------------


async def kill(scene: Scene, source: random.Random) -> None:
    """``kill -9`` of a node."""
    node = source.choice(scene.fleet.nodes)
    async with node.hands:
        _note_own_end(node)
        await node.kill()
        await trio.sleep(source.choice([0.0, source.uniform(0.0, 3.0)]))
        await node.start()


async def pause(scene: Scene, source: random.Random) -> None:
    """A node stands still, as under a debugger or on a host that is moved, and goes on as if nothing had been."""
    node = source.choice(scene.fleet.nodes)
    async with node.hands:
        node.pause()
        await trio.sleep(source.choice([source.uniform(0.1, 1.0), source.uniform(1.0, 6.0)]))
        node.go_on()


async def stand_still(scene: Scene, source: random.Random) -> None:
    """A node stands still for long enough that all it had has been taken over, and gone on with, when it goes on."""
    node = source.choice(scene.fleet.nodes)
    async with node.hands:
        node.pause()
        await trio.sleep(source.uniform(scene.longest_pause / 2, scene.longest_pause))
        node.go_on()


async def drain(scene: Scene, source: random.Random) -> None:
    """A node is asked to end, as for an upgrade, and started again."""
    node = source.choice(scene.fleet.nodes)
    async with node.hands:
        _note_own_end(node)
        await node.drain()
        await node.start()


def _note_own_end(node: Node) -> None:
    if node.ended_by_itself():
        node.problems.append(f"{node.name} ended by itself:\n{node.log()[-3000:]}")


async def crash_database(scene: Scene, source: random.Random) -> None:
    """PostgreSQL ends in immediate mode, as if its machine had lost its power, and recovers."""
    await _restart_database(scene, scene.fleet.database.crash, source.uniform(0.0, 1.0))


async def restart_database(scene: Scene, source: random.Random) -> None:
    """PostgreSQL is restarted in order, as for an upgrade: what is under way is rolled back."""
    await _restart_database(scene, scene.fleet.database.stop, source.uniform(0.0, 1.0))


async def _restart_database(scene: Scene, end: Callable[[], None], seconds: float) -> None:
    async with scene.fleet.database_hands:
        await trio.to_thread.run_sync(end)
        await trio.sleep(seconds)
        await trio.to_thread.run_sync(scene.fleet.database.start)


async def terminate_backends(scene: Scene, source: random.Random) -> None:
    """An administrator, or a pooler, ends connections to PostgreSQL: some of them, or all."""
    share = source.choice([0.2, 1.0])
    statement = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'trialogue' AND pid <> pg_backend_pid()"
    )
    async with scene.fleet.database_hands:
        await trio.to_thread.run_sync(_execute, scene.fleet.database.dsn, f"{statement} AND random() < {share}")


def _execute(dsn: str, statement: str) -> None:
    with suppress(psycopg.OperationalError), psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement.encode())


async def flush_redis(scene: Scene, source: random.Random) -> None:
    """Redis forgets everything."""
    async with scene.fleet.redis_hands:
        await trio.to_thread.run_sync(_flush, scene.fleet.redis.url)


def _flush(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        client.flushall()


async def restart_redis(scene: Scene, source: random.Random) -> None:
    """Redis is gone, for a moment or for some seconds, and comes back empty."""
    async with scene.fleet.redis_hands:
        await trio.to_thread.run_sync(scene.fleet.redis.kill)
        await trio.sleep(source.choice([0.0, source.uniform(0.0, 4.0)]))
        await trio.to_thread.run_sync(scene.fleet.redis.start)


async def pause_redis(scene: Scene, source: random.Random) -> None:
    """Redis answers nothing, its connections open."""
    async with scene.fleet.redis_hands:
        scene.fleet.redis.pause()
        await trio.sleep(source.uniform(0.1, 3.0))
        scene.fleet.redis.unpause()


# --- the network -----------------------------------------------------------------------------------------------------


async def fail_link(kind: str, scene: Scene, source: random.Random) -> None:
    """Something between a node and the others fails for some time."""
    link = source.choice(scene.fleet.nodes).links[kind]
    how = source.choice(["hold", "hold up", "hold down", "reset", "forget", "refuse", "slow", "thin", "slices"])
    match how:
        case "hold":
            link.hold()
        case "hold up":
            link.hold(down=False)
        case "hold down":
            link.hold(up=False)
        case "reset":
            link.reset()
        case "forget":
            link.forget()
        case "refuse":
            link.refuse()
            link.reset()
        case "slow":
            link.latency = source.uniform(0.01, 0.4)
        case "thin":
            link.bandwidth = source.uniform(20_000, 200_000)
        case _:
            link.slice = source.randint(1, 40)
    if how not in ("reset", "forget"):
        await trio.sleep(source.choice([source.uniform(0.05, 0.5), source.uniform(0.5, 4.0)]))
    link.heal()


async def isolate(scene: Scene, source: random.Random) -> None:
    """A node is cut off from everything but its clients, as a partition of the network does it."""
    node = source.choice(scene.fleet.nodes)
    links = [node.links[name] for name in ("database", "redis", "peers")]
    for link in links:
        link.hold()
    await trio.sleep(source.uniform(0.5, 8.0))
    for link in links:
        link.heal()


# --- clients ---------------------------------------------------------------------------------------------------------


async def read_slowly(scene: Scene, source: random.Random) -> None:
    """A reader reads nothing for some time."""
    record, seconds = source.choice(scene.records), source.uniform(0.5, 4.0)
    record.asleep_until = trio.current_time() + seconds
    await trio.sleep(seconds)


#: By name: how often it comes, and what it is.
FAULTS: dict[str, tuple[int, Fault]] = {
    "kill": (12, kill),
    "pause": (8, pause),
    "stand still": (1, stand_still),
    "drain": (5, drain),
    "crash database": (3, crash_database),
    "restart database": (2, restart_database),
    "terminate backends": (10, terminate_backends),
    "flush redis": (8, flush_redis),
    "restart redis": (4, restart_redis),
    "pause redis": (4, pause_redis),
    "front": (14, partial(fail_link, "front")),
    "database": (14, partial(fail_link, "database")),
    "redis": (6, partial(fail_link, "redis")),
    "peers": (10, partial(fail_link, "peers")),
    "isolate": (4, isolate),
    "read slowly": (5, read_slowly),
}
