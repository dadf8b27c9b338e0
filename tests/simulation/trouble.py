"""Trouble: nodes that die, stop, fall silent and come back, and disks that are full for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from simulation.schedule import collect_garbage

if TYPE_CHECKING:
    from simulation.world import World

KINDS = {"kill": 3, "stop": 2, "pause": 2, "full": 1, "collect": 3}


async def make_trouble(world: World, nursery: trio.Nursery) -> None:
    """One misfortune after the other, for ever. Nodes that have ended are started again."""
    source = world.plan.source("trouble")
    while True:
        await trio.sleep(source.expovariate(1 / 2.5))
        number = source.randrange(len(world.nodes))
        node = world.nodes[number]
        if node.leaving:
            await node.ended.wait()
            world.start(nursery, number)
            continue
        match source.choices(list(KINDS), list(KINDS.values()))[0]:
            case "kill":
                node.kill()
            case "stop":
                nursery.start_soon(node.stop, source.choice((0.0, 0.0, 4.0)))
            case "pause":
                node.store.pause()
                await trio.sleep(source.uniform(0.1, 6))
                node.store.unpause()
            case "full":
                world.store.faults.full = True
                await trio.sleep(source.uniform(0.1, 4))
                world.store.faults.full = False
            case _:
                collect_garbage()
