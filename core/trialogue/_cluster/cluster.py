"""A node as one of several over one store: its lease, what it hears, whose work it takes up, and what it hands over.

    nodes        the port to what nodes know of each other, a facet of the store
    lease        counting as alive
    news, bus    telling each other at once, and noticing what was missed
    router       commands, to the node that owns their conversation; transport is the port to another node
    follower     tails and lists of what is written elsewhere
    sweeper      looking at the other nodes, and after what they left
    greeter      whether nodes can ask each other
    placement    who takes what nobody has
    cluster      all of these, for one engine

A store that belongs to one process has none of it. There is no coordinator, and nothing is moved while its owner lives: a
conversation is claimed where a command for it comes in, and stays until it rests, its node stops, or its node dies.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import trio

from trialogue._actors.activation import Activation
from trialogue._actors.node import Node
from trialogue._cluster.bus import Bus
from trialogue._cluster.follower import Follower
from trialogue._cluster.greeter import Greeter
from trialogue._cluster.lease import Lease
from trialogue._cluster.news import (
    Advance,
    Advanced,
    Asked,
    FileChanged,
    Item,
    ListUnsure,
    News,
    Purged,
)
from trialogue._cluster.nodes import NodeInfo, Nodes, Owner
from trialogue._cluster.router import Router
from trialogue._cluster.sweeper import Looked, Sweeper
from trialogue._cluster.transport import Parcel, Transport
from trialogue._deciding.commands import Receipt
from trialogue._facts.errors import ElsewhereError, FencedError, StorageError, TrialogueError
from trialogue._files.files import File
from trialogue._lists.feed import Feeds
from trialogue._storage.store import Claim, Flush
from trialogue._supervision.child import ChildSpec

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


class Host(Looked, Protocol):
    """What a cluster asks of its engine."""

    def activation(self, conversation: str) -> Activation | None:
        """The conversation's activation, if it is awake here."""
        ...

    async def submit_here(self, parcel: Parcel) -> Receipt:
        """Carry a command out here."""
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
        self.lease: Lease = Lease(nodes, self.info, host.load, self._lapsed, node.now)
        self.news: News = News(node.id, (*joining.buses, nodes.bus), self._told, self._missed)
        self.follower: Follower = Follower(node.store, nodes, node.tails, feeds, self._owned)
        self.sweeper: Sweeper = Sweeper(node, nodes, host, self.lease, self.news, self.follower, self._heard_of)
        members = self.sweeper.members
        self.router: Router = Router(node.id, nodes, joining.transport, self.news, host.submit_here, members)
        self.greeter: Greeter = Greeter(self.info, joining.transport, members)

    def __repr__(self) -> str:
        return f"<Cluster {self.info.name} lease={self.lease!r} {self.news!r} {self.router!r} {self.follower!r}>"

    def specs(self) -> list[ChildSpec]:
        """The services, in the order in which they start."""
        return [
            ChildSpec("lease", self.lease.run),
            ChildSpec("listener", self.news.listen),
            ChildSpec("speaker", self.news.speak),
            ChildSpec("follower", self.follower.run),
            ChildSpec("sweeper", self.sweeper.run),
            ChildSpec("commands", self.router.run),
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
        self.sweeper.claimed(conversation)
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

    def _owned(self, conversation: str) -> bool:
        activation = self._host.activation(conversation)
        return activation is not None and activation.gone is None

    def statistics(self) -> dict[str, object]:
        """Figures for whoever looks."""
        news, router, follower = self.news, self.router, self.follower
        return {
            "nodes": 1 + len(self.sweeper.others),
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
                self.sweeper.removed(conversation)
            case FileChanged(owner, file):
                self.follower.file(owner, file)
            case ListUnsure(owner):
                self._feeds.lose(owner)
            case Asked():
                self.sweeper.hurry()
                self.router.hurry()
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
        self.sweeper.hurry()  # It compares what is watched with the store.
        if self.sweeper.is_alone:
            return
        self._feeds.lose_all()
        for observer in self.observers:
            observer(None)

    def _lapsed(self) -> None:
        self.sweeper.suspect()
