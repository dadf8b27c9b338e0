"""Trouble in a cluster: nodes that die, stop, or stand still, links that are cut, clocks that jump, a store that is away."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import trio
from simulation.network import EXCHANGE
from simulation.node import SimNode
from simulation.node_store import SLOW
from simulation.schedule import collect_garbage

if TYPE_CHECKING:
    from simulation.cluster_world import ClusterWorld

KINDS = {
    "kill": 3,
    "stop": 3,
    "freeze": 3,
    "part": 3,
    "silence": 2,
    "lose the store": 2,
    "store away": 1,
    "slow": 1,
    "clock": 1,
    "collect": 2,
}
#: Seconds for which something may last: half of the times longer than a lease holds.
LONGEST = 11.0


async def make_trouble(world: ClusterWorld, nursery: trio.Nursery) -> None:
    """One misfortune after the other, for ever; those that last go on while others come."""
    source = world.plan.source("trouble")
    async with trio.open_nursery() as lasting:
        while True:
            await trio.sleep(source.expovariate(1 / 2.0))
            number = source.randrange(len(world.nodes))
            node = world.nodes[number]
            if node.leaving:
                if node.ended.is_set():
                    world.start(nursery, number)
                continue
            kind = source.choices(list(KINDS), list(KINDS.values()))[0]
            seconds, noticed = source.uniform(0.1, LONGEST), source.random() < 0.5
            match kind:
                case "kill":
                    node.kill()
                case "stop":
                    nursery.start_soon(node.stop, source.choice((0.0, 0.0, 4.0)))
                case "freeze":
                    lasting.start_soon(_freeze, node, seconds)
                case "part":
                    pair = source.choice(list(combinations([each.host for each in world.nodes], 2)))
                    lasting.start_soon(_cut, world, frozenset(pair), noticed, seconds)
                case "silence":
                    lasting.start_soon(_cut, world, frozenset((node.host, EXCHANGE)), noticed, seconds)
                case "lose the store":
                    lasting.start_soon(_lose_store, [node], seconds)
                case "store away":
                    lasting.start_soon(_lose_store, list(world.nodes), seconds)
                case "slow":
                    lasting.start_soon(_slow, node, seconds)
                case "clock":
                    _jump(node, 20 + source.choice((-1, 1)) * source.uniform(0, 20))
                case _:
                    collect_garbage()


async def _freeze(node: SimNode, seconds: float) -> None:
    node.store.pause()
    await trio.sleep(seconds)
    node.store.unpause()


async def _cut(world: ClusterWorld, link: frozenset[str], noticed: bool, seconds: float) -> None:
    world.network.cut[link] = noticed
    await trio.sleep(seconds)
    world.network.cut.pop(link, None)


async def _lose_store(nodes: list[SimNode], seconds: float) -> None:
    for node in nodes:
        node.store.away = True
    await trio.sleep(seconds)
    for node in nodes:
        node.store.away = False


async def _slow(node: SimNode, seconds: float) -> None:
    if node.store.is_slow:
        return
    node.store.is_slow = True
    node.store.latency *= SLOW
    await trio.sleep(seconds)
    node.store.latency /= SLOW
    node.store.is_slow = False


def _jump(node: SimNode, seconds: float) -> None:
    """Both clocks of a process, forwards or back: the one for people, and the one by which it believes in its lease.

    Neither is ever before the world's beginning: that is the day before, with a budget of its own.
    """
    node.ahead = seconds
    if node.engine is not None and node.engine.cluster is not None:
        node.engine.cluster.lease._clock = lambda: trio.current_time() + node.ahead
