"""A simulated server process: an engine with its own way to the store, to be paused, stopped, or killed."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import trio
from simulation.asking import Watched
from simulation.node_store import SLOW, NodeStore
from simulation.plan import now
from simulation.providers import PRICES, open_providers
from simulation.tools import open_tools

from trialogue import Engine, PriceList, SpendingBudget, Toolbox, open_engine
from trialogue._paying.prices import Listed
from trialogue._supervision.supervisor import SupervisionError

if TYPE_CHECKING:
    from simulation.world import World

#: Seconds in which a node that was told to stop has stopped, besides its grace: last flushes and clean-up.
CLOSING = 20.0
#: Seconds a caller may still wait for its answer after the node has stopped, and where another node may have to give it.
LEFT_WAITING, LOOKING = 1.0, 12.0
#: Ways to the store and back that this may take besides, should the store be slow.
WAYS = 20


class SimNode:
    """One incarnation of one node. ``live`` is its life."""

    def __init__(self, world: World, name: str, *, calm: bool = False) -> None:
        self.name = name
        #: What it keeps over a restart.
        self.host = name.partition(".")[0]
        #: Seconds by which its clocks are ahead of the world's.
        self.ahead = 0.0
        #: The engine, while it serves.
        self.engine: Engine | None = None
        bugs = world.plan.bugs and not calm
        self.store = NodeStore(world.store, world.auditor, world.plan.source(name, "store"), world.plan.latency, bugs)
        self.store.node = name
        #: It serves, or did.
        self.up = trio.Event()
        #: Nothing of it is left.
        self.ended = trio.Event()
        self.killed = False
        self._world = world
        self._providers = open_providers(world.plan.source(name, "providers"), world.plan.context, calm=calm)
        self._tools = open_tools(world, world.plan.source(name, "tools"), calm=calm)
        self._scope = trio.CancelScope()
        self._stop = trio.Event()
        self._grace = 0.0
        # Dicts for their order: connections are cut in the order in which they came.
        self._readers: dict[trio.CancelScope, None] = {}
        self._callers: dict[trio.CancelScope, None] = {}

    def __repr__(self) -> str:
        return f"<SimNode {self.name} killed={self.killed} {self.engine}>"

    @property
    def leaving(self) -> bool:
        """It was killed or told to stop, and another one has to be started."""
        return self.killed or self._stop.is_set()

    async def live(self) -> None:
        """Serve until stopped or killed."""
        world = self._world
        try:
            with self._scope:
                async with open_engine(
                    self.store,
                    [
                        Watched(provider, world.plan.limits, world.auditor.find, world.store._rows)
                        for provider in self._providers
                    ],
                    world.plan.limits,
                    node=self.name,
                    now=lambda: now() + timedelta(seconds=self.ahead),
                    ids=world.ids,
                    prices=PriceList(own={f"{name}:*": Listed(prices) for name, prices in PRICES.items()}),
                    random=world.plan.source(self.name, "asking"),
                    toolbox=Toolbox(self._tools),
                    budget=SpendingBudget(day_tokens=world.plan.budget),
                    joining=world.joining(self),
                ) as self.engine:
                    if self.engine.cluster is not None:
                        self.engine.cluster.sweeper.starting_over.append(lambda: _cut(self._readers))
                    self.up.set()
                    await self._stop.wait()
                    await self.engine.drain(self._grace)
                    self.engine = None
                    _cut(self._readers)
        except SupervisionError as error:
            # It fell over, as a process may whose driver has a bug; somebody starts it again.
            if not (world.plan.bugs and world.in_trouble):
                world.auditor.find(f"{self.name} fell over: {error!r} from {error.__cause__!r}")
            self.kill()
        except Exception as error:
            world.auditor.find(f"{self.name} raised out of its block: {error!r}")
        finally:
            self.engine = None
            self.ended.set()
        _cut(self._readers)
        await self._look_back()

    async def _look_back(self) -> None:
        leaks = {provider.name: provider.open_streams for provider in self._providers if provider.open_streams}
        if leaks:
            self._world.auditor.find(f"{self.name} has ended and its responses are still open: {leaks}")
        plan = self._world.plan
        await trio.sleep(LOOKING + WAYS * SLOW * plan.latency if plan.joined else LEFT_WAITING)
        if self._callers:
            self._world.auditor.find(f"{self.name} has ended and {len(self._callers)} callers still wait")
            _cut(self._callers)

    async def stop(self, grace: float) -> None:
        """Ask it to stop, as a service manager does, and see to it that it does."""
        self._grace = grace
        self.store.unpause()
        self._stop.set()
        with trio.move_on_after(grace + CLOSING) as patience:
            await self.ended.wait()
        if patience.cancelled_caught:
            self._world.auditor.find(f"{self.name} has not stopped after {grace + CLOSING:g} s")

    def kill(self) -> None:
        """End it between two instructions: what it asks for from now on never arrives, who spoke to it is cut off."""
        self.killed = True
        self.engine = None
        self.store.dead = True
        self.store.unpause()
        self._scope.cancel()
        _cut(self._readers)
        _cut(self._callers)

    def reading(self) -> AbstractContextManager[trio.CancelScope]:
        """A reader's connection: cut when the node stops or dies."""
        return _connection(self._readers)

    def calling(self) -> AbstractContextManager[trio.CancelScope]:
        """A command's connection: cut when the node dies, while one that stops has to answer."""
        return _connection(self._callers)


@contextmanager
def _connection(connections: dict[trio.CancelScope, None]) -> Generator[trio.CancelScope]:
    with trio.CancelScope() as scope:
        connections[scope] = None
        try:
            yield scope
        finally:
            del connections[scope]


def _cut(connections: dict[trio.CancelScope, None]) -> None:
    for scope in tuple(connections):
        scope.cancel()
