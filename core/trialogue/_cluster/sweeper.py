"""The sweeper: looks now and then at the other nodes, and after what they left.

It finds who is alive, compares what is watched here with the store, lets go of what rests, and takes up what nobody has,
each node its share. Nothing depends on when it looks: a word of another node only makes it look sooner.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol

import trio

from trialogue._actors.node import Node
from trialogue._cluster.follower import Follower
from trialogue._cluster.lease import Lease
from trialogue._cluster.news import Advance, Beat, News
from trialogue._cluster.nodes import Load, Member, Members, Nodes
from trialogue._cluster.placement import takers
from trialogue._facts.errors import TrialogueError
from trialogue._supervision.child import Child

#: Seconds between two looks, and between two that were asked for.
EVERY, SOON = 1.0, 0.02
#: Conversations taken up at a time: enough to be quick, few enough to leave room for clients.
TAKE_UP = 64
#: Conversations compared with the store in one go.
SLICE = 250
#: Seconds after which anyone takes what the one whose it is has not taken.
ANYONE = 2.5

_log = logging.getLogger("trialogue.cluster")


class Looked(Protocol):
    """What is asked of the engine."""

    def load(self) -> Load:
        """What there is to do here."""
        ...

    def wake(self, conversation: str) -> None:
        """Take the conversation up."""
        ...

    async def removed(self, conversation: str) -> None:
        """The conversation is gone for good."""
        ...

    async def start_over(self) -> None:
        """The store has gone backwards: nothing that was read of it counts."""
        ...


class Sweeper:
    """Looks around on behalf of one node. ``found`` is told how far each conversation is that is watched here."""

    def __init__(
        self,
        node: Node,
        nodes: Nodes,
        host: Looked,
        lease: Lease,
        news: News,
        follower: Follower,
        found: Callable[[Advance], None],
    ) -> None:
        self._node = node
        self._nodes = nodes
        self._host = host
        self._lease = lease
        self._news = news
        self._follower = follower
        self._found = found
        #: Called when the store has gone backwards, before anything of it is read anew.
        self.starting_over: list[Callable[[], None]] = []
        #: Done with each look; may raise ``TrialogueError``.
        self.chores: list[Callable[[], Awaitable[None]]] = []
        self._generation = node.store.generation
        self._members = Members((), node.store.generation)
        self._members_at = -math.inf
        #: When each conversation that nobody has was first seen.
        self._abandoned: dict[str, float] = {}
        #: Conversations that rest here, with their epochs, until they are let go of.
        self._resting: dict[str, int] = {}
        #: Conversations that other nodes have removed.
        self._purged: list[str] = []
        #: For a while others could take what is awake here.
        self._suspect = False
        self._asked = trio.Event()

    def __repr__(self) -> str:
        return (
            f"<Sweeper nodes={len(self._members.nodes)} resting={len(self._resting)} abandoned={len(self._abandoned)}>"
        )

    # --- who there is --------------------------------------------------------------------------------------------

    async def members(self, anew: bool = False) -> Sequence[Member]:
        """The nodes there are, as of a second ago, or of now. Raises ``StorageError``."""
        if anew or trio.current_time() - self._members_at > 3 * EVERY:
            self._members = await self._nodes.members()
            self._members_at = trio.current_time()
            self._news.heard_by_others = bool(self.others)
        return self._members.nodes

    @property
    def others(self) -> list[Member]:
        """The other nodes that are alive, as of a second ago."""
        return [member for member in self._members.nodes if member.alive and member.node.id != self._node.id]

    @property
    def is_alone(self) -> bool:
        """Whether nobody else has been there in the last minutes."""
        return len(self._members.nodes) <= 1

    # --- what it is told -----------------------------------------------------------------------------------------

    def hurry(self) -> None:
        """There may be something to be seen."""
        self._asked.set()

    def suspect(self) -> None:
        """For a while others could take what is ours."""
        self._suspect = True
        self._asked.set()

    def removed(self, conversation: str) -> None:
        """Another node has removed a conversation for good."""
        self._purged.append(conversation)
        self._asked.set()

    def rested(self, conversation: str, epoch: int) -> None:
        """A conversation's activation was dropped here."""
        self._resting[conversation] = epoch

    def claimed(self, conversation: str) -> None:
        """It is awake again."""
        self._resting.pop(conversation, None)

    # --- what it does --------------------------------------------------------------------------------------------

    async def run(self, child: Child) -> None:
        """Look until cancelled."""
        await self._done(partial(self.members, anew=True))
        child.started()
        while True:
            self._asked = trio.Event()
            for chore in (self._look_around, self._compare, self._remove, self._let_go, self._adopt, *self.chores):
                await self._done(chore)
            self._news.say(Beat())
            with trio.move_on_after(EVERY):
                await self._asked.wait()
                await trio.sleep(SOON)

    async def _done(self, chore: Callable[[], Awaitable[object]]) -> None:
        # A store in trouble is no reason for the node to fall: it is done another time.
        try:
            await chore()
        except TrialogueError as error:
            _log.warning("put off: %s", error)

    async def _look_around(self) -> None:
        members = await self.members(anew=True)
        self._news.forget([member.node.id for member in members])
        if self._members.generation != self._generation:
            _log.error("the store has gone backwards: everything is read anew, and clients begin again")
            self._generation = self._members.generation
            for callback in self.starting_over:
                callback()
            await self._host.start_over()

    async def _compare(self) -> None:
        """Compare the tails that are watched with the store, and after a lapse all that is awake here."""
        suspect = self._suspect
        names = list(self._node.tails) if suspect else self._follower.known()
        for start in range(0, len(names), SLICE):
            some = [name for name in names[start : start + SLICE] if suspect or self._follower.is_watched(name)]
            if some:
                for name, position in (await self._nodes.positions(some)).items():
                    self._found(Advance(name, position.epoch, position.next_seq))
            await trio.lowlevel.checkpoint()
        self._suspect = self._suspect and not suspect

    async def _remove(self) -> None:
        while self._purged:
            await self._host.removed(self._purged.pop())

    async def _let_go(self) -> None:
        if self._resting:
            resting = dict(self._resting)
            await self._nodes.release(self._node.id, resting)
            self._resting = {name: epoch for name, epoch in self._resting.items() if resting.get(name) != epoch}

    async def _adopt(self) -> None:
        if not self._lease.may_take_over or self._host.load().draining:
            return
        found = await self._nodes.abandoned(TAKE_UP * 4)
        now = trio.current_time()
        self._abandoned = {name: self._abandoned.get(name, now) for name in found}
        mine = [name for name, since in self._abandoned.items() if self._is_mine(name, now - since)]
        if mine:
            _log.info("taking up %d conversations that nobody has", len(mine))
        for name in mine[:TAKE_UP]:
            try:
                self._host.wake(name)
            except TrialogueError as error:
                _log.warning("cannot take up conversation %s: %s", name, error)
            await trio.lowlevel.checkpoint()
        if len(mine) > TAKE_UP:
            self._asked.set()  # The others in a moment.

    def _is_mine(self, conversation: str, seconds: float) -> bool:
        taker = next(iter(takers(self._members.nodes, conversation)), None)
        return taker is None or taker.node.id == self._node.id or seconds > ANYONE
