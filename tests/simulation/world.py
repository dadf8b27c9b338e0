"""The simulated world: nodes over one faulty store, clients, readers and trouble, in virtual time and from one seed.

A seed has four ages. *Trouble*: everybody acts while nodes and store misbehave. *Calm*: nothing new is said, nothing fails;
what is under way has to come to its end by itself. *After*: all nodes are gone, one starts cleanly and takes up the rest.
*Judgement*: the log, the rows, the readers' transcripts and the ledger have to tell one story.
"""

from __future__ import annotations

import hashlib
import logging
import random
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import trio
from simulation.asking import judge_failovers
from simulation.auditor import Auditor
from simulation.bill import judge_bill, judge_budget
from simulation.client import SimClient
from simulation.commands import Sent
from simulation.fold import Impossible
from simulation.going_back import Histories
from simulation.judgement import judge
from simulation.ledger import expected
from simulation.node import SimNode
from simulation.node_store import DriverBug
from simulation.plan import Plan, draw, now, now_ms
from simulation.reader import SimReader
from simulation.schedule import run_seeded
from simulation.trouble import make_trouble

from trialogue import CreateConversation, Joining, TrialogueError
from trialogue._facts.ids import seeded_ids
from trialogue.testing import Faults, MemoryStore, RandomFaults
from trialogue.testing._memory_rows import Row

#: Virtual seconds within which what is under way ends: the longest run, its successors in the inbox, and last retries.
CALM = 120.0
#: Virtual seconds that a call may still fail for a reason from the time of trouble.
AFTERMATH = 10.0
#: Virtual seconds after which a whole seed counts as hanging.
HORIZON = 600.0


@dataclass(frozen=True)
class Outcome:
    """What a seed came to."""

    seed: int
    #: What is wrong; empty when all is well.
    found: tuple[str, ...]
    #: Of all logs, all transcripts and all answers.
    digest: str
    events: int
    shown: int
    commands: int

    def __str__(self) -> str:
        return f"seed {self.seed}: {self.events} events, {self.shown} shown, {self.commands} commands, {self.found[:3]}"


class World:
    """Everything that exists for one seed."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.store = MemoryStore(now=now)
        self.auditor = Auditor(self.store.ledger.book, plan.budget)
        self.ids = seeded_ids(plan.seed, now_ms)
        self.conversations = [f"conversation-{number}" for number in range(plan.conversations)]
        #: The newest incarnation of each node.
        self.nodes: list[SimNode] = []
        self.ledger: list[Sent] = []
        #: How often each tool call was made.
        self.calls: dict[str, int] = {}
        self.readers: list[SimReader] = []
        #: What was told by the generations of the store.
        self.histories = Histories(self.store)
        #: Nodes and store misbehave.
        self.in_trouble = True
        #: Nothing is cut off any more, and nobody walks away.
        self.calm = False
        self._calm_at = 0.0

    @property
    def at_peace(self) -> bool:
        """Calm, and long enough for what failed before to be over."""
        return self.calm and trio.current_time() > self._calm_at + AFTERMATH

    def pick(self, source: random.Random) -> SimNode | None:
        """A node that serves, if one does."""
        serving = [node for node in self.nodes if node.engine is not None]
        return source.choice(serving) if serving else None

    def row(self, conversation: str) -> Row:
        """What is stored of a conversation, at this instant."""
        return self.store._rows[conversation]

    def start(self, nursery: trio.Nursery, number: int, *, calm: bool = False) -> SimNode:
        """A new incarnation of node ``number``."""
        incarnation = sum(1 for node in self.nodes if node.name.startswith(f"node-{number}."))
        node = SimNode(self, f"node-{number}.{incarnation}.{trio.current_time():.3f}", calm=calm)
        if number < len(self.nodes):
            self.nodes[number] = node
        else:
            self.nodes.append(node)
        nursery.start_soon(node.live)
        return node

    @property
    def noticed(self) -> bool:
        """Whether all who serve know of all that became of the store."""
        return True

    def joining(self, node: SimNode) -> Joining | None:
        """How a node takes part in a cluster, where it does."""
        return None

    async def make_trouble(self, nursery: trio.Nursery) -> None:
        """For ever."""
        await make_trouble(self, nursery)

    # --- the four ages -------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """From the first node's start to the last one's end."""
        with trio.move_on_after(HORIZON) as horizon, trio.CancelScope() as scope:
            self.auditor.on_found = scope.cancel
            async with trio.open_nursery() as nursery:
                await self._live_through(nursery)
                nursery.cancel_scope.cancel()
        if horizon.cancelled_caught:
            self.auditor.found.append("the seed hangs")
        if not self.auditor.found:
            self._judge()

    async def _live_through(self, nursery: trio.Nursery) -> None:
        self.store.faults = RandomFaults(self.plan.source("faults"), self.plan.share)
        for number in range(self.plan.nodes):
            self.start(nursery, number)
        await self._create()
        self.readers = [SimReader(self, number) for number in range(self.plan.readers)]
        async with trio.open_nursery() as readers:
            for reader in self.readers:
                readers.start_soon(reader.read)
            await self._trouble(nursery)
            # A driver with bugs may have had a conversation parked, which only a restart frees.
            alone = self.plan.told and not self.plan.bugs
            await self._settle("what was under way has not ended by itself", alone=alone)
            await self._begin_anew(nursery)
            readers.cancel_scope.cancel()
        await self.nodes[0].stop(0.0)

    async def _create(self) -> None:
        for name in self.conversations:
            while name not in self.store._rows:
                node = self.pick(self.plan.source("creator", name))
                try:
                    if node is not None and node.engine is not None:
                        await node.engine.create(CreateConversation(name, "owner", now()))
                except (TrialogueError, DriverBug):
                    pass
                await trio.sleep(0.1)

    async def _trouble(self, nursery: trio.Nursery) -> None:
        """Until the time is over; then every call is answered."""
        async with trio.open_nursery() as calls:
            with trio.move_on_after(self.plan.seconds):
                async with trio.open_nursery() as people:
                    people.start_soon(self.make_trouble, nursery)
                    for number in range(self.plan.clients):
                        people.start_soon(SimClient(self, number).talk, calls)
            await self._calm_down(nursery)
            with trio.move_on_after(CALM) as patience:
                while calls.child_tasks:  # noqa: ASYNC110 - a nursery says nothing when it is empty
                    await trio.sleep(0.5)
            if patience.cancelled_caught:
                self.auditor.find(f"{len(calls.child_tasks)} callers are never answered")

    async def _calm_down(self, nursery: trio.Nursery) -> None:
        self.in_trouble, self.calm = False, True
        self._calm_at = trio.current_time()
        self.store.faults = Faults()
        for number, node in enumerate(self.nodes):
            node.store.bugs = False
            node.store.unpause()
            if node.leaving:
                await node.ended.wait()
                self.start(nursery, number)

    async def _settle(self, complaint: str, *, alone: bool) -> None:
        """Wait until nothing is unfinished and every reader has read all. Without being alone, that is only hoped for."""
        with trio.move_on_after(CALM) as patience:
            while self._restless():  # noqa: ASYNC110 - looking costs nothing in virtual time
                await trio.sleep(0.5)
        if patience.cancelled_caught and alone:
            self.auditor.find(f"{complaint}: {self._restless()}")

    def _restless(self) -> list[str]:
        rows = {name: self.row(name) for name in self.conversations}
        unfinished = [f"{name} is unfinished" for name, row in rows.items() if row.unfinished]
        behind = [
            f"{r} of {rows[r.conversation].next_seq}" for r in self.readers if r.wanted != rows[r.conversation].next_seq
        ]
        return unfinished + behind

    async def _begin_anew(self, nursery: trio.Nursery) -> None:
        for node in self.nodes:
            node.kill()
            await node.ended.wait()
        self.nodes.clear()
        node = self.start(nursery, 0, calm=True)
        await node.up.wait()
        await self._settle("a clean start has not settled everything", alone=True)
        await self._repeat(node)

    async def _repeat(self, node: SimNode) -> None:
        """Whatever was acknowledged is acknowledged again, word for word, and has no other effect."""
        for sent in self.ledger:
            told = expected(sent)
            if told is not None and node.engine is not None:
                again: object = None
                try:
                    again = await node.engine.submit(sent.conversation, sent.attempts[0])
                except TrialogueError as error:
                    again = error
                if again != told:
                    self.auditor.find(f"{sent} was answered once more with {again!r}")

    # --- judgement -----------------------------------------------------------------------------------------------

    def _judge(self) -> None:
        for name in self.conversations:
            sent = [sent for sent in self.ledger if sent.conversation == name]
            try:
                judge(self.row(name), sent)
                judge_bill(self.row(name), self.store.ledger.book)
                judge_failovers(self.row(name), self.plan.limits)
            except (Impossible, KeyError) as error:
                self.auditor.found.append(f"{name} in the end: {error!r}")
        try:
            judge_budget(self.store.ledger.book, self.plan.budget)
        except Impossible as error:
            self.auditor.found.append(f"the budget in the end: {error!r}")

    def digest(self) -> str:
        """The same for the same seed, in every process."""
        digest = hashlib.sha256()
        for name in self.conversations:
            for entry in self.store._rows[name].entries.values() if name in self.store._rows else ():
                digest.update(b"%d %d %b\n" % (entry.seq, entry.epoch, entry.data))
        told = [(reader.wanted, reader.shown) for reader in self.readers]
        digest.update(repr((told, self.ledger, self.auditor.found)).encode())
        return digest.hexdigest()


def simulate(seed: int) -> Outcome:
    """Run one seed to its end. What is wrong is in the outcome; only a broken simulator raises."""
    return see(World(draw(seed)))


def see(world: World) -> Outcome:
    """Let a world come to its end."""
    seed = world.plan.seed
    with _crashes_found(world):
        run_seeded(seed, world.run)
    events = sum(row.next_seq for row in world.store._rows.values())
    shown = sum(reader.shown for reader in world.readers)
    return Outcome(seed, tuple(world.auditor.found), world.digest(), events, shown, len(world.ledger))


@contextmanager
def _crashes_found(world: World) -> Generator[None]:
    """No cell may crash but for a bug of its driver; and the core's log lines stay out of the way."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            error = record.exc_info[1] if record.exc_info else None
            if "crashed" in record.getMessage() and not isinstance(error, DriverBug):
                world.auditor.find(f"{record.getMessage()}: {error!r}")

    log, handler = logging.getLogger("trialogue"), Handler(logging.ERROR)
    level, propagate = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.ERROR)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        log.propagate = propagate
