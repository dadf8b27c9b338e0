"""The port to what nodes over one store know of each other: who is alive, who owns what, and what was left for whom.

A facet of ``Store``, for stores that several processes may have open. Leases are counted by the store's own clock and
decide who is taken to be alive; what is true, the fence in ``append`` decides, so that a node which was taken for dead by
mistake harms nobody. Every method may raise ``StorageError``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from trialogue._facts.events import Entry

if TYPE_CHECKING:
    from trialogue._cluster.bus import Bus
    from trialogue._storage.store import Claim


class NodeInfo(msgspec.Struct, frozen=True):
    """A node, as it presents itself."""

    #: Of this incarnation: new at every start.
    id: str
    #: For people; stays over a restart.
    name: str
    #: Where other nodes reach it, as a URL without a path; '' when they cannot.
    address: str
    version: str
    started_at: datetime


class Load(msgspec.Struct, frozen=True):
    """What a node has to do, told with each renewal."""

    #: It takes nothing new, and is about to stop.
    draining: bool = False
    #: Conversations that are awake there, and runs among them.
    active: int = 0
    running: int = 0


class Member(msgspec.Struct, frozen=True):
    """A node, and how it stands. ``lease`` is how many seconds it still counts as alive; 0 or less: it does not."""

    node: NodeInfo
    load: Load
    lease: float

    @property
    def alive(self) -> bool:
        """Whether its conversations are to be left to it."""
        return self.lease > 0


class Members(msgspec.Struct, frozen=True):
    """All nodes that are alive or were lately, as of one moment, and the store's generation then."""

    nodes: tuple[Member, ...]
    generation: int


class Renewal(msgspec.Struct, frozen=True):
    """What a renewal found: the store's clock, and whether the lease was over before, or there was none."""

    at: datetime
    lapsed: bool


class Owner(msgspec.Struct, frozen=True):
    """The living node that owns a conversation."""

    node: str
    epoch: int


class Position(msgspec.Struct, frozen=True):
    """Where a conversation stands: its owner's id ('' for nobody), its epoch, and the number of its next event."""

    node: str
    epoch: int
    next_seq: int


class Kept(msgspec.Struct, frozen=True):
    """A command that was left for whoever owns the conversation, because its owner could not be reached.

    ``command`` is what it is kept under: of two under one name in a conversation, the first is kept.
    """

    conversation: str
    command: str
    body: bytes


class Renewer(ABC):
    """``Nodes.renew`` as blocking calls on a connection of its own, made when it is wanted. For one thread at a time."""

    @abstractmethod
    def renew(self, load: Load) -> Renewal:
        """Renew. Raises ``StorageError``."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the connection; the next call makes another one."""


class Nodes(ABC):
    """The nodes of one store."""

    #: The store's id, which all its nodes have in common.
    cluster: str

    @property
    @abstractmethod
    def bus(self) -> Bus:
        """What nodes can say to each other through the store itself."""

    # --- leases --------------------------------------------------------------------------------------------------

    @abstractmethod
    async def renew(self, node: NodeInfo, load: Load, seconds: float) -> Renewal:
        """Have ``node`` count as alive for ``seconds`` from now on, whether or not it did before."""

    @abstractmethod
    def renewer(self, node: NodeInfo, seconds: float) -> Renewer | None:
        """What renews from a thread; ``None`` where there is nothing to block on."""

    @abstractmethod
    async def leave(self, node: str) -> None:
        """The node is gone: whatever it owns is free at once. One that is not there is no error."""

    @abstractmethod
    async def members(self) -> Members:
        """The nodes there are. Forgets those whose lease was over long ago."""

    # --- ownership -----------------------------------------------------------------------------------------------

    @abstractmethod
    async def claim(self, conversation: str, node: str) -> Claim | Owner | None:
        """As ``Store.claim``, unless another node that is alive owns the conversation: then that is returned instead."""

    @abstractmethod
    async def release(self, node: str, held: Mapping[str, int]) -> None:
        """Let go of conversations that ``node`` still owns at these epochs, so that any node may claim them. Epochs stay."""

    @abstractmethod
    async def abandoned(self, limit: int) -> Sequence[str]:
        """Conversations that no living node owns and in which something waits to be done: a run, a message, a command."""

    @abstractmethod
    async def positions(self, conversations: Sequence[str]) -> Mapping[str, Position]:
        """Where those of ``conversations`` stand that there are."""

    @abstractmethod
    async def follow(self, starts: Mapping[str, int], limit: int) -> Mapping[str, Sequence[Entry]]:
        """For each conversation its entries from a number on, in order, at most ``limit`` of each."""

    # --- commands that could not be handed over ------------------------------------------------------------------

    @abstractmethod
    async def keep(self, kept: Kept) -> None:
        """Leave a command for whoever owns its conversation. Again is no error; one of no conversation is forgotten."""

    @abstractmethod
    async def kept(self, node: str, limit: int) -> Sequence[Kept]:
        """Commands that wait in conversations that ``node`` owns, oldest first."""

    @abstractmethod
    async def settle(self, conversation: str, command: str, outcome: bytes) -> None:
        """A command that was kept was carried out, or refused: for whoever left it, for some minutes."""

    @abstractmethod
    async def outcome(self, conversation: str, command: str) -> bytes | None:
        """What ``settle`` said of a command; ``None`` while it waits, or when it is not kept."""

    @abstractmethod
    async def drop(self, conversation: str, command: str) -> None:
        """Keep the command no longer; one that is not there is no error."""
