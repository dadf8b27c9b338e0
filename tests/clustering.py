"""Several nodes in one process, for tests: engines over one store in memory, a bus and a network that can be cut.

Everything is injected and on Trio's clock, so that a virtual one serves as well.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import trio

from trialogue import (
    Engine,
    Joining,
    Limits,
    NodeInfo,
    Parcel,
    Provider,
    Receipt,
    StorageError,
    Tool,
    Toolbox,
    Transport,
    UnreachableError,
    open_engine,
)
from trialogue.testing import MemoryStore, ScriptedProvider

T = TypeVar("T")


class SharedProvider(ScriptedProvider):
    """One script for all nodes, as of one upstream: it does not go when one of them does."""

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


class Network(dict[str, Engine]):
    """Engines by the ids of their nodes, and what keeps them apart."""

    def __init__(self) -> None:
        super().__init__()
        #: Pairs of names between which nothing gets through.
        self.cut: set[frozenset[str]] = set()
        #: So many of the next answers get lost.
        self.answers_to_lose = 0
        #: Parcels that were delivered.
        self.delivered = 0

    def transport(self, name: str) -> Transport:
        """The way out of the node with this name."""
        return MemoryTransport(self, name)


class MemoryTransport(Transport):
    """Calls the other engine directly."""

    def __init__(self, network: Network, name: str) -> None:
        self._network = network
        self._name = name

    def _reach(self, node: NodeInfo) -> Engine:
        engine = self._network.get(node.id)
        if engine is None or frozenset((self._name, node.name)) in self._network.cut:
            raise UnreachableError(f"{node.name} is not there")
        return engine

    async def deliver(self, node: NodeInfo, parcel: Parcel) -> Receipt:
        await trio.lowlevel.checkpoint()
        with trio.move_on_after(2.0):
            receipt = await self._reach(node).submit_here(parcel)
            self._network.delivered += 1
            self._reach(node)  # The answer comes the same way back.
            if self._network.answers_to_lose:
                self._network.answers_to_lose -= 1
                raise UnreachableError(f"{node.name} has gone silent")
            return receipt
        raise UnreachableError(f"{node.name} does not answer")

    async def greet(self, node: NodeInfo) -> str | None:
        await trio.lowlevel.checkpoint()
        try:
            self._reach(node)
        except UnreachableError as error:
            return str(error)
        return None


class Node:
    """A node of the test's. ``kill`` ends it between two instructions: it neither says goodbye nor lets go of anything."""

    def __init__(self, network: Network, name: str, store: MemoryStore) -> None:
        self.name = name
        self.store = NodeStore(store)
        self.engine: Engine
        self._network = network
        self._scope = trio.CancelScope()
        self._stop = trio.Event()
        self.ended = trio.Event()

    async def live(
        self,
        providers: Sequence[Provider],
        limits: Limits,
        tools: Sequence[Tool],
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        try:
            with self._scope:
                joining = Joining(self.name, f"memory:{self.name}", transport=self._network.transport(self.name))
                toolbox = Toolbox(tools)
                async with open_engine(self.store, providers, limits, joining=joining, toolbox=toolbox) as self.engine:
                    assert self.engine.cluster is not None
                    self._network[self.engine.cluster.info.id] = self.engine
                    task_status.started()
                    await self._stop.wait()
        finally:
            self.ended.set()

    async def stop(self, grace: float = 30.0) -> None:
        """As on SIGTERM."""
        await self.engine.drain(grace)
        self._leave_network()
        self._stop.set()
        await self.ended.wait()

    async def kill(self) -> None:
        """As on SIGKILL: what it asks the store for from now on never arrives."""
        self._leave_network()
        self.store.dead = True
        self._scope.cancel()
        await self.ended.wait()

    def _leave_network(self) -> None:
        assert self.engine.cluster is not None
        self._network.pop(self.engine.cluster.info.id, None)


class NodeStore(MemoryStore):
    """One node's way to the store that all share: cut for good when the node dies, for a while when it is paused."""

    def __init__(self, shared: MemoryStore) -> None:
        super().__init__(generation=shared.generation)
        self._rows, self._homes = shared._rows, shared._homes
        self._ledger.book = shared.ledger.book
        self._nodes.table = shared.nodes.table
        self._shared = shared
        self.dead = False
        #: Nothing gets through while it is set: the database, or the way to it, is down.
        self.down = False

    async def _call(self, name: str, effect: Callable[[], T], *, writes: bool = False) -> T:
        await trio.lowlevel.checkpoint()
        if self.dead or self.down:
            raise StorageError("the store is out of reach", retry_after=1)
        result = await self._shared._call(name, effect, writes=writes)
        self.generation = self._shared.generation
        if self.dead:
            raise StorageError("this process is gone")
        return result


@asynccontextmanager
async def open_nodes(
    names: Sequence[str],
    providers: Sequence[Provider],
    store: MemoryStore | None = None,
    limits: Limits | None = None,
    tools: Sequence[Tool] = (),
) -> AsyncGenerator[tuple[Network, list[Node]]]:
    """Nodes with these names over one store."""
    network, shared = Network(), store or MemoryStore()
    nodes = [Node(network, name, shared) for name in names]
    async with trio.open_nursery() as nursery:
        for node in nodes:
            await nursery.start(node.live, providers, limits or Limits(), tools)
        yield network, nodes
        nursery.cancel_scope.cancel()
