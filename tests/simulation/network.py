"""What is between the nodes of a simulated cluster: calls from node to node, and what they say to each other.

A call may be slow, be lost, or lose its answer, and one that was given up may still arrive. A message may be lost, late, or
come twice, and so overtake others. A link may be cut, and what is at its end is then silent or refuses at once. Whatever
comes to a node that stands still waits until it moves again.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import trio

from trialogue import Bus, Ear, NodeInfo, Parcel, Receipt, Transport, TrialogueError, UnreachableError
from trialogue.testing import MemoryBus

if TYPE_CHECKING:
    from simulation.cluster_world import ClusterWorld
    from simulation.node import SimNode

#: Seconds after which a node takes another one for silent.
TIMEOUT = 2.0
#: Where messages go that are for all: the other end of a link, as a node is.
EXCHANGE = "exchange"


class Network:
    """All links of a world. Names are those that nodes keep over a restart."""

    def __init__(self, world: ClusterWorld) -> None:
        self.world = world
        self.source = world.plan.source("network")
        #: Links through which nothing gets, and whether that is noticed at once.
        self.cut: dict[frozenset[str], bool] = {}
        self.hub = MemoryBus()
        #: Calls that came to a node, for whoever wants to know whether there were any.
        self.delivered = 0

    def misfortune(self, *kinds: str) -> str | None:
        """What goes wrong this time, if anything does."""
        faulty = self.world.in_trouble and self.source.random() < self.world.plan.share
        return self.source.choice(kinds) if faulty else None

    async def travel(self, one: SimNode, other: SimNode | None) -> None:
        """The way between two nodes, one of which may be gone."""
        await trio.sleep(self.source.uniform(0.0, self.world.plan.latency))
        await one.store.moves()
        if other is None or other.engine is None:
            raise UnreachableError("nobody is there")
        noticed = self.cut.get(frozenset((one.host, other.host)))
        if noticed is not None:
            await trio.sleep(0.0 if noticed else TIMEOUT)
            raise UnreachableError("there is no way")
        await other.store.moves()


class SimTransport(Transport):
    """How one node reaches the others."""

    def __init__(self, network: Network, node: SimNode) -> None:
        self._network = network
        self._node = node

    async def deliver(self, node: NodeInfo, parcel: Parcel) -> Receipt:
        with trio.move_on_after(TIMEOUT):
            return await self._deliver(self._network.world.find(node.id), parcel)
        raise UnreachableError(f"{node.name} does not answer")

    async def _deliver(self, other: SimNode | None, parcel: Parcel) -> Receipt:
        network = self._network
        await network.travel(self._node, other)
        fate = network.misfortune("lost", "late", "answer", "refused")
        if fate in ("lost", "late"):
            if fate == "late":
                network.world.background(self._arrive_late, other, parcel)
            await trio.sleep_forever()
        if fate == "refused" or other is None or other.engine is None:
            raise UnreachableError("the connection was refused")
        network.delivered += 1
        receipt = await other.engine.submit_here(parcel)
        if fate == "answer":
            raise UnreachableError("the connection broke before the answer")
        await network.travel(other, self._node)
        return receipt

    async def _arrive_late(self, other: SimNode, parcel: Parcel) -> None:
        for sent in self._network.world.ledger:
            sent.astray = sent.astray or sent.id == parcel.command.id
        await trio.sleep(self._network.source.uniform(0, 2 * TIMEOUT))
        if other.engine is None:
            return
        with trio.move_on_after(TIMEOUT), suppress(TrialogueError):  # Nobody waits for it any more.
            await other.engine.submit_here(parcel)

    async def greet(self, node: NodeInfo) -> str | None:
        with trio.move_on_after(TIMEOUT):
            try:
                await self._network.travel(self._node, self._network.world.find(node.id))
            except UnreachableError as error:
                return str(error)
            return None
        return "it does not answer"


class SimBus(Bus):
    """What one node says and hears by way of the exchange."""

    def __init__(self, network: Network, node: SimNode) -> None:
        self._network = network
        self._node = node

    @property
    def _cut(self) -> bool | None:
        return self._network.cut.get(frozenset((self._node.host, EXCHANGE)))

    @property
    def is_open(self) -> bool:
        return not self._cut

    def say(self, message: bytes) -> None:
        hub = self._network.hub
        if self._node.store.stands_still:
            self._network.world.background(self._say_late, message, 0.0)
            return
        if self._cut is not None:
            return
        match self._network.misfortune("lost", "late", "twice"):
            case "lost":
                pass
            case "late":
                self._network.world.background(self._say_late, message, 1.0)
            case "twice":
                hub.say(message)
                hub.say(message)
            case _:
                hub.say(message)

    async def _say_late(self, message: bytes, longest: float) -> None:
        await trio.sleep(self._network.source.uniform(0, longest))
        await self._node.store.moves()
        if not self._node.killed:
            self._network.hub.say(message)

    @contextmanager
    def listen(self) -> Generator[Ear]:
        with self._network.hub.listen() as ear:
            yield SimEar(self, ear)

    async def hear(self, ear: Ear) -> bytes | None:
        """The next message that gets through to this node."""
        while True:
            message = await ear.hear()
            await self._node.store.moves()
            if message is None or (self._cut is None and self._network.misfortune("lost") is None):
                return message


class SimEar(Ear):
    """A listener that hears what gets through."""

    def __init__(self, bus: SimBus, ear: Ear) -> None:
        self._bus = bus
        self._ear = ear

    async def hear(self) -> bytes | None:
        return await self._bus.hear(self._ear)
