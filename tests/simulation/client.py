"""A client: sends commands to any node, repeats some of them anywhere, walks away from some, and notes what it was told."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import msgspec
import trio
from simulation.commands import Composer, Sent
from simulation.fold import Impossible
from simulation.ledger import check_acknowledged
from simulation.node import SimNode
from simulation.plan import now

from trialogue import (
    AnswerApproval,
    BudgetError,
    Command,
    ConflictError,
    Engine,
    FaultedError,
    InvalidError,
    NotFoundError,
    Receipt,
    Stop,
    ThrottledError,
    TrialogueError,
)

if TYPE_CHECKING:
    from simulation.world import World

#: What says that this attempt had no effect. Anything else leaves it open.
REFUSALS = (BudgetError, ConflictError, FaultedError, InvalidError, NotFoundError, ThrottledError)


class SimClient:
    """Client ``number`` of a world; it knows what it was shown in snapshots, and no more."""

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self._source: random.Random = world.plan.source("client", number)
        self._composers = {name: Composer(self._source, world.ids, now) for name in world.conversations}

    async def talk(self, nursery: trio.Nursery) -> None:
        """Say things, for ever; each call is a task of its own in ``nursery``."""
        while True:
            await trio.sleep(self._source.expovariate(1 / self._world.plan.pace))
            node = self._world.pick(self._source)
            if node is None:
                continue
            sent = self._choose()
            if sent is not None:
                nursery.start_soon(self.send, node, sent)
            if sent is not None and self._source.random() < 0.1:  # a double click, which may go elsewhere
                sent.attempts.append(sent.attempts[-1])
                nursery.start_soon(self.send, self._world.pick(self._source) or node, sent)

    def _choose(self) -> Sent | None:
        """Something new, or something said before, acknowledged or not."""
        ledger = self._world.ledger
        if ledger and self._source.random() < 0.25:
            sent = self._source.choice(ledger[-8:])
            sent.attempts.append(self._composers[sent.conversation].again(sent.attempts[-1]))
            return sent
        conversation = self._source.choice(self._world.conversations)
        command = self._composers[conversation].compose()
        if command is None:
            return None
        sent = Sent(conversation, [command])
        ledger.append(sent)
        return sent

    async def send(self, node: SimNode, sent: Sent) -> None:
        """The last attempt, with what comes of it; then have a look at the conversation."""
        command = sent.attempts[-1]
        with node.calling() as scope:
            if not self._world.calm and self._source.random() < 0.1:
                scope.deadline = trio.current_time() + self._source.expovariate(1 / 0.1)
            if node.engine is None:
                return
            await self._call(node.engine, sent, command)
        with node.reading() as scope:
            scope.deadline = trio.current_time() + 5
            if node.engine is not None:
                await self._look(node.engine, sent.conversation)

    async def _call(self, engine: Engine, sent: Sent, command: Command) -> None:
        generation = self._world.store.generation if self._world.noticed else None
        try:
            receipt = await engine.submit(sent.conversation, command)
            if generation == self._world.store.generation or self._holds(sent, receipt):
                self._answered(engine, sent, receipt)
        except REFUSALS as error:
            sent.refused.append(error)
            self._refused(sent, error)
        except TrialogueError:
            pass  # It may have taken effect, or not: only a repeat can tell.

    def _holds(self, sent: Sent, receipt: Receipt) -> bool:
        """Whether the store has what was acknowledged while it went backwards, or by one who did not know of that yet."""
        done = self._world.row(sent.conversation).done.get(sent.id)
        return done is not None and done.receipt == receipt

    def _refused(self, sent: Sent, error: Exception) -> None:
        if isinstance(error, ConflictError) and "another command" in str(error):
            self._world.auditor.find(f"a repeat was taken for another command: {sent}")
        # Where there are two nodes, one that has been replaced may refuse what it does not know of.
        knows = self._world.plan.nodes == 1 and not isinstance(error, ThrottledError | FaultedError)
        knows = knows and not isinstance(
            sent.attempts[0], AnswerApproval
        )  # Somebody else may have decided, under its id.
        if knows and sent.id in self._world.row(sent.conversation).done:
            self._world.auditor.find(f"refused with {error!r} though it took effect: {sent}")

    def _answered(self, engine: Engine, sent: Sent, receipt: Receipt) -> None:
        try:
            check_acknowledged(self._world.row(sent.conversation), sent, receipt)
        except Impossible as error:
            self._world.auditor.find(str(error))
        sent.receipts.append(receipt)
        cell = engine._cells.get(sent.conversation)
        run = None if cell is None else cell.run
        if isinstance(sent.attempts[0], Stop) and run is not None and run.id == receipt.run and not run.ended.is_set():
            self._world.auditor.find(f"a stop was acknowledged while its run still goes on: {run}")

    async def _look(self, engine: Engine, conversation: str) -> None:
        try:
            snapshot = await engine.snapshot(conversation, 1000)
        except TrialogueError:
            return
        except Exception as error:
            if not self._world.plan.bugs:
                self._world.auditor.find(f"no snapshot of {conversation}: {error!r}")
            return
        self._composers[conversation].look([msgspec.json.decode(message) for message in snapshot.messages])
