"""Opening an engine: its parts are made, told of each other, and supervised until the block ends."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from random import Random

from trialogue._actors.flusher import Flusher
from trialogue._actors.housekeeping import Housekeeping
from trialogue._actors.limits import Limits
from trialogue._actors.node import Node
from trialogue._actors.pacer import Pacer
from trialogue._asking.catalog import Catalog
from trialogue._asking.provider import Provider
from trialogue._cluster.cluster import Cluster, Joining
from trialogue._engine.engine import Engine
from trialogue._facts.clock import utc_now
from trialogue._facts.errors import ConfigurationError
from trialogue._facts.ids import new_id
from trialogue._files.library import Library
from trialogue._lists.feed import Feeds
from trialogue._paying.budgets import Budgets
from trialogue._paying.ledger import SpendingBudget
from trialogue._paying.prices import PriceList
from trialogue._runs.asides import Asides
from trialogue._runs.compacting import Compaction
from trialogue._runs.titling import Titles
from trialogue._runs.turning import Turns
from trialogue._runs.turns import TurnHook
from trialogue._storage.store import Store
from trialogue._supervision.child import ChildSpec
from trialogue._supervision.shards import Shards
from trialogue._supervision.supervisor import open_supervisor
from trialogue._tools.toolbox import Toolbox
from trialogue._watching.observer import Observer, Observers


@asynccontextmanager
async def open_engine(
    store: Store,
    providers: Sequence[Provider],
    limits: Limits = Limits(),  # noqa: B008 - frozen
    *,
    default_model: str | None = None,
    prices: PriceList | None = None,
    budget: SpendingBudget = SpendingBudget(),  # noqa: B008 - frozen
    node: str | None = None,
    now: Callable[[], datetime] = utc_now,
    ids: Callable[[], str] = new_id,
    library: Library | None = None,
    observers: Sequence[Observer] = (),
    joining: Joining | None = None,
    random: Random | None = None,
    toolbox: Toolbox | None = None,
    turns: Sequence[TurnHook] = (),
) -> AsyncGenerator[Engine]:
    """Start the services, take up what an earlier process left unfinished, and stop in order when the block ends.

    ``joining`` makes the node one of several over the store. ``library`` has the files that messages name. ``observers``
    are told of what has ended. ``node`` must be new for each incarnation. ``now``, ``ids`` and ``random`` are for
    simulations. ``toolbox`` has what models may call. Leaving the block does not wait for live runs: call ``drain`` first.
    """
    feeds, looking_on = Feeds(store), Observers(observers)
    parts = Node(
        node or ids(),
        store,
        Catalog(providers, default_model, prices),
        Budgets(store, now, budget),
        limits,
        Flusher(store, limits.last_flush, feeds.committed, looking_on),
        Pacer(limits.window),
        Shards(),
        now,
        ids,
        library,
        random=random or Random(),
        toolbox=toolbox or Toolbox(),
        turns=Turns(turns),
        observers=looking_on,
    )
    engine = Engine(parts, feeds)
    if library is not None:
        engine.clearing.also.append(library.remove_all)
        library.observe(feeds.file_changed)
    if joining is not None:
        _join(engine, parts, joining)
    try:
        async with open_supervisor("engine", "rest_for_one", specs=_services(engine, parts)) as engine.services:
            yield engine
    finally:
        await _close(engine, parts)


def _join(engine: Engine, node: Node, joining: Joining) -> None:
    nodes = node.store.nodes
    if nodes is None:
        raise ConfigurationError("this store belongs to one process and has no place for other nodes")
    cluster = Cluster(node, nodes, joining, engine, engine.feeds)
    node.claiming = cluster.claim
    node.flusher.on_committed = cluster.committed
    if node.library is not None:
        node.library.observe(cluster.file_changed)
    engine.join(cluster)


def _services(engine: Engine, node: Node) -> Sequence[ChildSpec]:
    """In the order in which they start; each ends before those above it, and is begun anew with those below it."""
    housekeeping = Housekeeping(node, engine.wake, engine.rest, engine.retention)
    return [
        ChildSpec("flusher", node.flusher.run),
        ChildSpec("pacer", node.pacer.run),
        # Before the runs that use it, so that it ends after them.
        *([ChildSpec("tools", node.toolbox.serve)] if node.toolbox.has_sources else []),
        ChildSpec("shards", node.shards.run),
        *([_aside("titles", Titles, engine, node)] if node.limits.titles else []),
        *([_aside("compaction", Compaction, engine, node)] if node.limits.summaries else []),
        ChildSpec("housekeeping", housekeeping.run),
        ChildSpec("clearing", engine.clearing.run),
        *(() if engine.cluster is None else engine.cluster.specs()),
    ]


def _aside(name: str, kind: type[Asides], engine: Engine, node: Node) -> ChildSpec:
    service = kind(node, engine.settled_header, engine.submit)
    node.observers.add(service)
    return ChildSpec(name, service.run)


async def _close(engine: Engine, node: Node) -> None:
    engine.draining = True
    if engine.cluster is not None:
        await engine.cluster.leave()
    await node.toolbox.aclose()
    await node.catalog.aclose()
