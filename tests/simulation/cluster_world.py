"""The simulated world of a cluster: two or three nodes that know of each other, and what comes between them.

It has the ages of every world, and more is demanded in calm: without any restart whatever was left by a node that is gone
is taken up by the others, commands that wait in the store are carried out, and every reader is told of everything.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio
from simulation.cluster_trouble import make_trouble
from simulation.going_back import go_back
from simulation.network import Network, SimBus, SimTransport
from simulation.node import SimNode
from simulation.plan import Plan, draw_cluster
from simulation.world import Outcome, World, see

from trialogue import Engine, Joining


class ClusterWorld(World):
    """Everything that exists for one seed."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.network = Network(self)
        self._background: trio.Nursery | None = None

    def find(self, node: str) -> SimNode | None:
        """The incarnation with this id, unless it is gone."""
        return next((each for each in self.nodes if each.name == node), None)

    def background(self, act: Callable[..., Awaitable[object]], *args: object) -> None:
        """Something is on its way that nobody waits for."""
        assert self._background is not None
        self._background.start_soon(act, *args)

    def joining(self, node: SimNode) -> Joining:
        return Joining(
            node.host,
            f"sim:{node.host}",
            buses=(SimBus(self.network, node),),
            transport=SimTransport(self.network, node),
        )

    @property
    def noticed(self) -> bool:
        return all(node.engine is None or _has_noticed(node.engine, self.store.generation) for node in self.nodes)

    async def make_trouble(self, nursery: trio.Nursery) -> None:
        async with trio.open_nursery() as troubles:
            troubles.start_soon(make_trouble, self, nursery)
            if self.plan.goes_back:
                troubles.start_soon(go_back, self)

    async def _live_through(self, nursery: trio.Nursery) -> None:
        source = self.plan.source("notifications")
        self.store.nodes.table.bus.loses = lambda _: self.in_trouble and source.random() < self.plan.share
        async with trio.open_nursery() as self._background:
            await super()._live_through(nursery)
            self._background.cancel_scope.cancel()

    async def _calm_down(self, nursery: trio.Nursery) -> None:
        self.network.cut.clear()
        for node in self.nodes:
            node.store.away = False
            node.store.latency = self.plan.latency
        await super()._calm_down(nursery)

    def _restless(self) -> list[str]:
        kept = [
            f"{name} is left for its owner" for name, (_, told) in self.store.nodes.table.kept.items() if told is None
        ]
        return super()._restless() + kept


def _has_noticed(engine: Engine, generation: int) -> bool:
    """Whether a node has started over since the store went back, and nothing from before is awake there."""
    awake = [cell.activation for cell in engine._cells if cell.activation is not None]
    old = any(activation.gone is None and activation.tail.is_past for activation in awake)
    return not old and engine.cluster is not None and engine.cluster.sweeper._generation == generation


def simulate_cluster(seed: int) -> Outcome:
    """Run one seed of a cluster to its end, as ``simulate`` does."""
    return see(ClusterWorld(draw_cluster(seed)))
