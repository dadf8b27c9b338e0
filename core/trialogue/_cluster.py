"""A node as one of several over one store: its lease, what it hears, whose work it takes up, and what it hands over.

    _nodes       the port to what nodes know of each other, a facet of the store
    _lease       counting as alive
    _news, _bus  telling each other at once, and noticing what was missed
    _router      commands, to the node that owns their conversation; _transport is the port to another node
    _follower    tails and lists of what is written elsewhere
    _greeter     whether nodes can ask each other
    _placement   who takes what nobody has
    _cluster     all of these, for one engine

A store that belongs to one process has none of it. There is no coordinator, and nothing is moved while its owner lives: a
conversation is claimed where a command for it comes in, and stays until it rests, its node stops, or its node dies.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import trio

from trialogue._activation import Activation
from trialogue._bus import Bus
from trialogue._child import Child, ChildSpec
from trialogue._commands import Receipt
from trialogue._errors import ElsewhereError, FencedError, StorageError, TrialogueError
from trialogue._feed import Feeds
from trialogue._files import File
from trialogue._follower import Follower
from trialogue._greeter import Greeter
from trialogue._lease import Lease
from trialogue._news import (
    Advance,
    Advanced,
    Asked,
    Beat,
    FileChanged,
    Item,
    ListUnsure,
    News,
    Purged,
)
from trialogue._node import Node
from trialogue._nodes import Load, Member, Members, NodeInfo, Nodes, Owner
from trialogue._placement import takers
from trialogue._router import Router
from trialogue._store import Claim, Flush
from trialogue._transport import Parcel, Transport

#: Seconds between two looks at the other nodes and at what they left.
EVERY = 1.0
#: Conversations taken up at a time: enough to be quick, few enough to leave room for clients.
TAKE_UP = 64
#: Conversations compared with the store in one go.
SLICE = 250
#: Seconds after which anyone takes what the one whose it is has not taken.
ANYONE = 2.5
#: Seconds that a stopping node gives the store to note what it lets go of.
RELEASING = 2.0

_log = logging.getLogger("trialogue.cluster")


class Joining(NamedTuple):
    """How a process takes part. ``name`` and ``address`` are those of ``NodeInfo``; ``buses`` in the order of preference."""

    name: str
    address: str = ""
    version: str = ""
    buses: Sequence[Bus] = ()
    #: How other nodes are asked directly; ``None``: by way of the store.
    transport: Transport | None = None


class Host(Protocol):
    """What a cluster asks of its engine."""

    def activation(self, conversation: str) -> Activation | None:
        """The conversation's activation, if it is awake here."""
        ...

    def load(self) -> Load:
        """What there is to do here."""
        ...

    def wake(self, conversation: str) -> None:
        """Take the conversation up."""
        ...

    async def submit_here(self, parcel: Parcel) -> Receipt:
        """Carry a command out here."""
        ...

    async def removed(self, conversation: str) -> None:
        """The conversation is gone for good."""
        ...

    async def start_over(self) -> None:
        """The store has gone backwards: nothing that was read of it counts."""
        ...


class Cluster:
    """One node's part in it. Made by ``open_engine``; ``specs`` are its services."""

    def __init__(self, node: Node, nodes: Nodes, joining: Joining, host: Host, feeds: Feeds) -> None:
        self.info: NodeInfo = NodeInfo(node.id, joining.name, joining.address, joining.version, node.now())
        self.nodes: Nodes = nodes
        self.transport: Transport | None = joining.transport
        #: Told of everything that other nodes say, and that something may be missing (``None``): for the server.
        self.observers: list[Callable[[Item | None], None]] = []
        self._node = node
        self._host = host
        self._feeds = feeds
        self._generation = node.store.generation
        self.lease: Lease = Lease(nodes, self.info, host.load, self._lapsed, node.now)
        self.news: News = News(node.id, (*joining.buses, nodes.bus), self._told, self._missed)
        self.follower: Follower = Follower(node.store, nodes, node.tails, feeds, self._owned)
        self.router: Router = Router(
            node.id, node.store, nodes, joining.transport, self.news, host.submit_here, self.members
        )
        self.greeter: Greeter = Greeter(self.info, joining.transport, self.members)
        #: Called when the store has gone backwards, before anything of it is read anew.
        self.starting_over: list[Callable[[], None]] = []
        #: Done with each look at the other nodes; may raise ``TrialogueError``.
        self.chores: list[Callable[[], Awaitable[None]]] = []
        self._members = Members((), node.store.generation)
        self._members_at = -float("inf")
        #: When each conversation that nobody has was first seen.
        self._abandoned: dict[str, float] = {}
        #: Conversations that rest here, with their epochs, until they are let go of.
        self._resting: dict[str, int] = {}
        #: What was heard and takes time.
        self._purged: list[str] = []
        self._asked = trio.Event()
        self._swept = trio.Event()
        self._suspect = False

    def __repr__(self) -> str:
        return f"<Cluster {self.info.name} lease={self.lease!r} {self.news!r} {self.router!r} {self.follower!r}>"

    def specs(self) -> list[ChildSpec]:
        """The services, in the order in which they start."""
        return [
            ChildSpec("lease", self.lease.run),
            ChildSpec("listener", self.news.listen),
            ChildSpec("speaker", self.news.speak),
            ChildSpec("follower", self.follower.run),
            ChildSpec("sweeper", self._sweep),
            ChildSpec("commands", self._take_up_commands),
            ChildSpec("greeter", self.greeter.run),
        ]

    # --- for the engine ------------------------------------------------------------------------------------------

    async def claim(self, conversation: str) -> Claim | None:
        """Own a conversation from here on. Raises ``ElsewhereError``, ``StorageError``."""
        if self._host.load().draining:
            raise ElsewhereError("this node is stopping and takes nothing new", "")
        if self.lease.left <= 0:
            raise StorageError("this node has lost its lease: look at its connection to the store", retry_after=1)
        claim = await self.nodes.claim(conversation, self._node.id)
        if isinstance(claim, Owner):
            raise ElsewhereError(f"conversation {conversation!r} is owned by node {claim.node}", claim.node)
        self._resting.pop(conversation, None)
        return claim

    def committed(self, activation: Activation, flush: Flush) -> None:
        """A flush of this node's is committed."""
        owner, events = "", tuple[str, ...]()
        if flush.snapshot is not None:
            owner = activation.state.header.owner
            events = tuple(dict.fromkeys(entry.type for entry in flush.entries if not entry.type.startswith("part.")))
        if flush.entries or owner:
            next_seq = flush.entries[-1].seq + 1 if flush.entries else 0
            self.news.advance(Advance(flush.conversation, flush.epoch, next_seq, owner, events))

    def advanced(self, owner: str, conversation: str, events: tuple[str, ...]) -> None:
        """A conversation changed by no flush."""
        self.news.advance(Advance(conversation, 0, 0, owner, events))

    def purged(self, owner: str, conversation: str) -> None:
        """A conversation was removed for good."""
        self.news.say(Purged(owner, conversation), everywhere=True)

    def file_changed(self, owner: str, file: str, value: File | None) -> None:
        """A file was added, learnt about, or removed."""
        del value
        self.news.say(FileChanged(owner, file))

    def unsure(self, owner: str) -> None:
        """A user's list may have changed."""
        self.news.say(ListUnsure(owner))

    def rested(self, conversation: str, epoch: int) -> None:
        """A conversation's activation was dropped here."""
        self._resting[conversation] = epoch

    async def let_go(self, held: dict[str, int]) -> None:
        """Let others have these conversations, from now on. Trouble is logged: their lease ends anyhow."""
        if not held:
            return
        with trio.move_on_after(RELEASING):
            try:
                await self.nodes.release(self._node.id, held)
            except StorageError as error:
                _log.warning("%d conversations are let go of when the lease ends: %s", len(held), error)
            else:
                self.news.say(Asked())

    async def leave(self) -> None:
        """This node is gone. Bounded, and does not fail."""
        with trio.move_on_after(RELEASING, shield=True):
            try:
                await self.nodes.leave(self._node.id)
            except TrialogueError as error:
                _log.warning("this node counts as alive until its lease ends: %s", error)

    async def members(self, anew: bool = False) -> Sequence[Member]:
        """The nodes there are, as of a second ago, or of now. Raises ``StorageError``."""
        if anew or trio.current_time() - self._members_at > 3 * EVERY:
            self._members = await self.nodes.members()
            self._members_at = trio.current_time()
            self.news.heard_by_others = sum(member.alive for member in self._members.nodes) > 1
        return self._members.nodes

    @property
    def others(self) -> list[Member]:
        """The other nodes that are alive, as of a second ago."""
        return [member for member in self._members.nodes if member.alive and member.node.id != self.info.id]

    @property
    def has_others(self) -> bool:
        """Whether another node takes new work, as of a second ago."""
        return any(not member.load.draining for member in self.others)

    def _owned(self, conversation: str) -> bool:
        activation = self._host.activation(conversation)
        return activation is not None and activation.gone is None

    def statistics(self) -> dict[str, object]:
        """Figures for whoever looks."""
        news, router, follower = self.news, self.router, self.follower
        return {
            "nodes": sum(member.alive for member in self._members.nodes),
            "lease": self.lease.left,
            "said": news.said,
            "heard": news.heard,
            "gaps": news.gaps,
            "commands": {"local": router.local, "remote": router.remote, "left": router.left},
            "followed": {"reads": follower.reads, "entries": follower.entries},
        }

    # --- what is heard -------------------------------------------------------------------------------------------

    def _told(self, item: Item) -> None:
        match item:
            case Advanced(to):
                for advance in to:
                    self._heard_of(advance)
            case Purged(owner, conversation):
                self._feeds.purged(owner, conversation)
                self._purged.append(conversation)
                self._asked.set()
            case FileChanged(owner, file):
                self.follower.file(owner, file)
            case ListUnsure(owner):
                self._feeds.lose(owner)
            case Asked():
                self._asked.set()
                self._swept.set()
            case _:
                pass
        for observer in self.observers:
            observer(item)

    def _heard_of(self, advance: Advance) -> None:
        activation = self._host.activation(advance.conversation)
        if activation is not None and activation.gone is None and activation.epoch < advance.epoch:
            activation.end(FencedError(f"conversation {advance.conversation} has a newer owner: send it again"))
        if advance.next_seq:
            self.follower.advanced(advance.conversation, advance.next_seq)
        if advance.owner:
            self.follower.listed(advance.owner, advance.conversation, advance.events)

    def _missed(self) -> None:
        """Something may have been said that was not heard here."""
        self._feeds.lose_all()
        self._asked.set()  # The next look compares all that is watched.
        for observer in self.observers:
            observer(None)

    def _lapsed(self) -> None:
        """For a while others could take what is ours."""
        self._suspect = True
        self._asked.set()

    # --- looking after what others left --------------------------------------------------------------------------

    async def _sweep(self, child: Child) -> None:
        await self._done(partial(self.members, anew=True))
        child.started()
        while True:
            self._asked = trio.Event()
            for chore in (self._look_around, self._check, self._remove, self._release, self._adopt, *self.chores):
                await self._done(chore)
            self.news.say(Beat())
            with trio.move_on_after(EVERY):
                await self._asked.wait()
                # Not more often than that, however much is asked.
                await trio.sleep(EVERY / 50)

    async def _take_up_commands(self, child: Child) -> None:
        child.started()
        while True:
            self._swept = trio.Event()
            await self._done(self.router.take_up)
            with trio.move_on_after(EVERY):
                await self._swept.wait()

    async def _done(self, chore: Callable[[], Awaitable[object]]) -> None:
        # A store in trouble is no reason for the node to fall: it is done another time.
        try:
            await chore()
        except TrialogueError as error:
            _log.warning("put off: %s", error)

    async def _look_around(self) -> None:
        members = await self.members(anew=True)
        self.news.forget([member.node.id for member in members])
        if self._members.generation != self._generation:
            _log.error("the store has gone backwards: everything is read anew, and clients begin again")
            self._generation = self._members.generation
            for callback in self.starting_over:
                callback()
            await self._host.start_over()

    async def _check(self) -> None:
        """Compare the tails that are watched, and after a lapse what is awake here, with the store."""
        suspect, self._suspect = self._suspect, False
        names = list(self._node.tails) if suspect else self.follower.known()
        for start in range(0, len(names), SLICE):
            some = [name for name in names[start : start + SLICE] if suspect or self.follower.is_watched(name)]
            found = await self.nodes.positions(some) if some else {}
            for name, position in found.items():
                self._heard_of(Advance(name, position.epoch, position.next_seq))
            await trio.lowlevel.checkpoint()

    async def _remove(self) -> None:
        while self._purged:
            await self._host.removed(self._purged.pop())

    async def _release(self) -> None:
        resting, self._resting = self._resting, {}
        if resting:
            await self.nodes.release(self._node.id, resting)

    async def _adopt(self) -> None:
        if not self.lease.may_take_over or self._host.load().draining:
            return
        found = await self.nodes.abandoned(TAKE_UP * 4)
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
