"""Leaving: how a node comes to rest, alone or among others, with as little cut short as the time allows."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from trialogue._actors.cell import Cell
from trialogue._actors.node import Node
from trialogue._cluster.cluster import Cluster
from trialogue._engine.registry import Registry
from trialogue._facts.errors import FencedError


async def quiet(cells: Registry, grace: float) -> None:
    """Wait up to ``grace`` seconds until the live runs have ended and all is committed."""
    with trio.move_on_after(grace):
        for cell in cells:
            await cell.quiet()


async def calm(cells: Registry, patience: float) -> bool:
    """Wait, with everything going on as ever, for a moment at which no run is live; whether one came in time."""
    with trio.move_on_after(patience):
        while busy := [cell for cell in cells if cell.phase == "running"]:
            await busy[0].quiet()
        return True
    return False


async def hand_over(node: Node, cells: Registry, cluster: Cluster, grace: float) -> None:
    """Let other nodes have each conversation as soon as nothing goes on in it here, and in the end the rest."""
    cluster.lease.hurry()
    node.held = True  # What waits is answered by whoever is next.
    present = tuple(cells)
    await let_go(cells, cluster, [cell for cell in present if cell.phase != "running"], grace)
    async with trio.open_nursery() as nursery:
        for cell in present:
            if cell.phase == "running":
                nursery.start_soon(let_go, cells, cluster, [cell], grace)
    await let_go(cells, cluster, tuple(cells), 0)


async def let_go(cells: Registry, cluster: Cluster, some: Sequence[Cell], grace: float) -> None:
    """Close some of the cells once they are quiet, or the time is over, and let other nodes have them."""
    with trio.move_on_after(grace):
        for cell in some:
            await cell.quiet()
    held: dict[str, int] = {}
    for cell in some:
        activation = cell.activation
        await cells.end(cell, FencedError(f"conversation {cell.id} goes to another node: send it again"))
        if activation is not None:
            held[cell.id] = activation.epoch
    await cluster.let_go(held)
