"""A cell: the actor of one conversation. A small record with a mailbox, and a task only while commands wait.

Commands are handled one after the other, each to its end: activate if need be, load what the command has to know, decide,
append, and answer once the append is committed. A run is a task beside it. A crash drops the activation, whose uncommitted
work nobody has seen, and the next command begins from the log; too many crashes park the conversation.
"""

from __future__ import annotations

import logging
from collections import deque
from contextlib import suppress

import msgspec
import trio

from trialogue._actors.activate import activate
from trialogue._actors.activation import Activation
from trialogue._actors.knowing import look_up
from trialogue._actors.letter import Letter, digest_of, used_otherwise
from trialogue._actors.node import Node
from trialogue._actors.recovering import begun_anew, taken_over
from trialogue._deciding.commands import (
    ExpireApprovals,
    Known,
    PostMessage,
    Stop,
    names,
)
from trialogue._deciding.decide import decide
from trialogue._facts.errors import (
    BrokenError,
    ClosedError,
    FaultedError,
    FencedError,
    ThrottledError,
    TrialogueError,
)
from trialogue._runs.run import Run
from trialogue._storage.store import Done
from trialogue._supervision.budget import Budget, RestartBudget

#: Seconds for a cancelled run to be gone: a provider that does not let itself be cancelled holds up nothing for longer.
CLOSING = 5.0

_log = logging.getLogger("trialogue.cell")


class Cell:
    """The owner of one conversation on this node."""

    __slots__ = (
        "__weakref__",
        "_budget",
        "_mailbox",
        "_node",
        "_working",
        "activation",
        "faulted",
        "id",
        "run",
        "used_at",
    )

    def __init__(self, node: Node, conversation: str) -> None:
        self.id: str = conversation
        self.activation: Activation | None = None
        #: The run that is being written, or the last one.
        self.run: Run | None = None
        #: Set when it crashed too often: it is parked until the process starts anew.
        self.faulted: bool = False
        self.used_at: float = trio.current_time()
        self._node = node
        self._mailbox: deque[Letter] = deque()
        self._working = False
        limits = node.limits
        self._budget = RestartBudget(Budget(limits.crashes, limits.crash_period))

    def __repr__(self) -> str:
        return f"<Cell {self.id} {self.phase} waiting={len(self._mailbox)} run={self.run}>"

    @property
    def phase(self) -> str:
        """``faulted``, ``running``, ``working``, ``active`` or ``idle``, for whoever looks."""
        if self.faulted:
            return "faulted"
        if self.run is not None and not self.run.ended.is_set():
            return "running"
        if self._working:
            return "working"
        return "active" if self.activation else "idle"

    @property
    def waiting(self) -> int:
        """Commands in the mailbox."""
        return len(self._mailbox)

    @property
    def queued(self) -> int:
        """Messages that wait in the conversation for their turn."""
        return 0 if self.activation is None else len(self.activation.state.inbox)

    def may_rest(self) -> bool:
        """Whether nothing would be lost by dropping the activation now."""
        activation = self.activation
        if self._working or self._mailbox or self.phase == "running":
            return False
        return activation is None or activation.gone is not None or (activation.settled and not activation.state.run)

    # --- the mailbox ---------------------------------------------------------------------------------------------

    def post(self, letter: Letter) -> None:
        """Put a letter into the mailbox. Raises ``ThrottledError`` when it is full, ``FaultedError``, ``ClosedError``."""
        if self.faulted:
            raise FaultedError(f"conversation {self.id} failed too often and is parked: ask the operator to restart")
        if len(self._mailbox) >= self._node.limits.mailbox:
            raise ThrottledError(f"{len(self._mailbox)} commands wait in this conversation", retry_after=1)
        self.used_at = trio.current_time()
        self._mailbox.append(letter)
        if not self._working:
            self._node.shards.spawn(self.id, self._work)
            self._working = True

    async def _work(self) -> None:
        try:
            while self._mailbox and not self.faulted:
                await self._open(self._mailbox.popleft())
        finally:
            self._working = False
            self.used_at = trio.current_time()
            self._refuse(ClosedError("the server is stopping: send it again in a moment", retry_after=1))

    async def _open(self, letter: Letter) -> None:
        try:
            await self._handle(letter)
        except TrialogueError as error:
            letter.reply.fail(error)
        except trio.Cancelled:
            letter.reply.fail(ClosedError("the server is stopping: send it again in a moment", retry_after=1))
            raise
        except Exception as error:
            letter.reply.fail(BrokenError("this failed on our side and had no effect: send it again"))
            self.crashed(error)

    def _refuse(self, error: TrialogueError) -> None:
        while self._mailbox:
            self._mailbox.popleft().reply.fail(error.again())

    # --- one command ---------------------------------------------------------------------------------------------

    async def _handle(self, letter: Letter) -> None:
        activation = await self._activated(must=letter.command is None)
        if letter.command is None:
            return
        digest = digest_of(letter.command)
        done = activation.receipts.get(letter.command.id)
        if done is None and not letter.fresh:
            done = await self._node.store.receipt(self.id, letter.command.id)
        if done is not None:
            if done.digest != digest:
                raise used_otherwise(letter.command)
            self._stops(letter)  # a stop said twice is answered twice when the run is gone
            activation.reply_when_committed(letter.reply, done.receipt)
            return
        try:
            given = () if letter.fresh else names(letter.command)
            known = await look_up(self._node, activation, letter.command, given)
            self._stops(letter)
            self._take(activation, letter, known, digest)
        except TrialogueError:
            await self._must_be_newest(activation)
            raise

    async def _must_be_newest(self, activation: Activation) -> None:
        """Refuse nothing for what another node may have changed: a refusal, unlike an append, passes no fence."""
        nodes = self._node.store.nodes
        where = (await nodes.positions([self.id])).get(self.id) if nodes is not None else None
        if where is not None and (where.node, where.epoch) != (self._node.id, activation.epoch):
            error = FencedError(f"conversation {self.id} has a newer owner: send it again")
            activation.end(error)
            raise error

    def _stops(self, letter: Letter) -> None:
        if isinstance(letter.command, Stop):
            letter.ended = self.run

    def _take(self, activation: Activation, letter: Letter, known: Known, digest: bytes) -> None:
        assert letter.command is not None
        if activation.tail.is_past:
            # What was just read is of another history than what is known here: the two say nothing together.
            replaced = FencedError("the storage was replaced: look again at what there is, and send it again")
            activation.end(replaced)
            raise replaced
        if activation.state.run is not None:
            known = msgspec.structs.replace(known, asked=activation.asked)
        if isinstance(letter.command, PostMessage):
            limits = self._node.limits
            known = msgspec.structs.replace(known, inbox=limits.inbox, inbox_bytes=limits.inbox_bytes)
        if self._node.held:
            known = msgspec.structs.replace(known, held=True)
        decision = decide(activation.state, letter.command, known)
        activation.resume_from(known)
        if letter.cause is not None and activation.watch is not None:
            activation.watch.caused(decision.receipt.run, letter.cause)
        activation.append(decision.events, Done(letter.command.id, digest, decision.receipt))
        activation.reply_when_committed(letter.reply, decision.receipt)
        self.follow()

    # --- its activation and its run ------------------------------------------------------------------------------

    async def _activated(self, *, must: bool) -> Activation:
        if self.activation is None or self.activation.gone is not None:
            activation = await activate(self._node, self.id)
            if self.faulted:
                # It was closed meanwhile, and nobody knows of it any more who would see that it writes.
                raise FencedError(f"conversation {self.id} goes on elsewhere: send it again")
            state = activation.state
            self._node.awake.woke(state.header.owner, self, must=must or state.unfinished)
            self.activation = activation
            self.activation.on_gone = self.follow
            self._recover(self.activation)
        return self.activation

    def _recover(self, activation: Activation) -> None:
        if activation.state.unfinished:
            activation.append(taken_over(self._node, activation))
            self.follow()

    def follow(self) -> None:
        """Let the running task be the one the state calls for: end one that is over, start one that is due."""
        activation = self.activation
        live = activation.state.run if activation is not None and activation.gone is None else None
        ours = self.run is not None and self.run.writes(activation, live)
        if self.run is not None and ours and (not self.run.ended.is_set() or self._node.held):
            return  # Else it was parked, and goes on as another task when it need wait no more.
        if self.run is not None:
            self.run.scope.cancel()
        if activation is not None and live is not None and not live.parked:
            run = Run(self._node, activation, live)
            # Refused while stopping: the run stays unfinished in the log, and the next process goes on with it.
            with suppress(ClosedError):
                self._node.shards.spawn(self.id, self._execute, run)
                self.run = run

    async def _execute(self, run: Run) -> None:
        self._node.runs += 1
        try:
            await run.execute()
        finally:
            self._node.runs -= 1
        self.used_at = trio.current_time()
        if run.lost and run.live is not None and self.activation is not None and self.run is run:
            self.activation.append(begun_anew(self._node, self.activation))
        self.follow()

    def expire(self) -> None:
        """Have those tool calls denied that nobody has decided about in time."""
        run = self.activation.state.run if self.activation is not None else None
        now = self._node.now()
        if run is not None and any(call.expires_at is not None and call.expires_at <= now for call in run.steps.calls):
            with suppress(TrialogueError):  # another time, then
                self.post(Letter(ExpireApprovals(self._node.new_id(), now), fresh=True))

    async def quiet(self) -> None:
        """Wait until no run is live, those of waiting messages included, and all that was appended is committed."""
        while self.run is not None and not self.run.ended.is_set():
            await self.run.ended.wait()
        if self.activation is not None and self.activation.gone is None:
            with suppress(TrialogueError):  # fenced meanwhile: then nothing of it is left to wait for
                await self.activation.wait_settled()

    async def close(self, error: TrialogueError) -> None:
        """End everything here for ``error``: what waits, the activation, the run.

        Returns when the run is gone, or does not go though it was told to.
        """
        self.faulted = True
        self._refuse(error)
        if self.activation is not None:
            self.activation.end(error)
        if self.run is not None:
            self.run.scope.cancel()
            await self._wait_ended(self.run)

    async def _wait_ended(self, run: Run) -> None:
        with trio.move_on_after(CLOSING):
            await run.ended.wait()
        if not run.ended.is_set():
            # It can write no more, and what it holds is its own: nobody else need wait for it.
            ids = {"conversation": self.id, "run": run.id}
            _log.error("%s was cancelled and does not end: its provider or tool has to be mended", run, extra=ids)

    def crashed(self, error: Exception) -> None:
        """Drop the activation, and park the conversation when this happens too often. Never escalates."""
        _log.error("conversation %s crashed", self.id, exc_info=error, extra={"conversation": self.id})
        activation, self.activation = self.activation, None
        if activation is not None:
            activation.end(BrokenError("this failed on our side and may not have had an effect: send it again"))
        if self.run is not None:
            self.run.scope.cancel()
        if not self._budget.spend():
            self.faulted = True
            self._refuse(FaultedError(f"conversation {self.id} failed too often and is parked"))
        elif activation is not None and activation.state.unfinished and not self._mailbox:
            self.post(Letter(None))  # commands that wait bring it back by themselves
