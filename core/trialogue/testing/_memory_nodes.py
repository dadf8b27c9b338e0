"""Nodes over a ``MemoryStore``, and a bus in memory that loses what it is told to. Leases are counted on Trio's clock."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import trio

from trialogue._cluster.bus import Bus, Ear
from trialogue._cluster.nodes import Kept, Load, Member, Members, NodeInfo, Nodes, Owner, Position, Renewal, Renewer
from trialogue._facts.events import Entry
from trialogue._storage.store import Claim

if TYPE_CHECKING:
    from trialogue.testing._memory_rows import Row
    from trialogue.testing._memory_sharing import Calling

#: Seconds for which nodes that are gone are remembered.
REMEMBERED = 600.0


class NodeTable:
    """What all nodes of one store see."""

    def __init__(self) -> None:
        #: id -> the node, its load, and when its lease is over.
        self.nodes: dict[str, tuple[NodeInfo, Load, float]] = {}
        #: (conversation, command) -> what was left, and what became of it.
        self.kept: dict[tuple[str, str], tuple[Kept, bytes | None]] = {}
        self.bus: MemoryBus = MemoryBus()

    def alive(self, node: str) -> bool:
        """Whether a node's lease holds."""
        return node in self.nodes and self.nodes[node][2] > trio.current_time()


class MemoryNodes(Nodes):
    """See ``trialogue.Nodes``. ``table`` is shared by all that belong together."""

    cluster: str = "memory"

    def __init__(
        self,
        call: Calling,
        rows: Callable[[], Mapping[str, Row]],
        generation: Callable[[], int],
        now: Callable[[], datetime],
    ) -> None:
        self._call = call
        self._rows = rows
        self._generation = generation
        self._now = now
        self.table: NodeTable = NodeTable()

    @property
    def bus(self) -> Bus:
        return self.table.bus

    # --- leases --------------------------------------------------------------------------------------------------

    async def renew(self, node: NodeInfo, load: Load, seconds: float) -> Renewal:
        def effect() -> Renewal:
            lapsed = not self.table.alive(node.id)
            self.table.nodes[node.id] = (node, load, trio.current_time() + seconds)
            return Renewal(self._now(), lapsed)

        return await self._call("nodes.renew", effect, writes=True)

    def renewer(self, node: NodeInfo, seconds: float) -> Renewer | None:
        return None

    async def leave(self, node: str) -> None:
        await self._call("nodes.leave", lambda: self.table.nodes.pop(node, None), writes=True)

    async def members(self) -> Members:
        def effect() -> Members:
            now, nodes = trio.current_time(), self.table.nodes
            for name in [name for name, (_, _, until) in nodes.items() if until + REMEMBERED < now]:
                del nodes[name]
            found = (Member(node, load, until - now) for node, load, until in nodes.values())
            return Members(tuple(sorted(found, key=lambda member: member.node.id)), self._generation())

        return await self._call("nodes.members", effect)

    # --- ownership -----------------------------------------------------------------------------------------------

    async def claim(self, conversation: str, node: str) -> Claim | Owner | None:
        def effect() -> Claim | Owner | None:
            row = self._rows().get(conversation)
            if row is None:
                return None
            if row.node != node and self.table.alive(row.node):
                return Owner(row.node, row.epoch)
            return row.claim(node)

        return await self._call("nodes.claim", effect, writes=True)

    async def release(self, node: str, held: Mapping[str, int]) -> None:
        def effect() -> None:
            for name, epoch in held.items():
                row = self._rows().get(name)
                if row is not None and (row.node, row.epoch) == (node, epoch):
                    row.node = ""

        await self._call("nodes.release", effect, writes=True)

    async def abandoned(self, limit: int) -> Sequence[str]:
        def effect() -> Sequence[str]:
            asked = {name for (name, _), (_, outcome) in self.table.kept.items() if outcome is None}
            busy = [name for name, row in self._rows().items() if row.unfinished or name in asked]
            return [name for name in busy if not self.table.alive(self._rows()[name].node)][: max(limit, 0)]

        return await self._call("nodes.abandoned", effect)

    async def positions(self, conversations: Sequence[str]) -> Mapping[str, Position]:
        def effect() -> Mapping[str, Position]:
            found = {name: self._rows()[name] for name in conversations if name in self._rows()}
            return {name: Position(row.node, row.epoch, row.next_seq) for name, row in found.items()}

        return await self._call("nodes.positions", effect)

    async def follow(self, starts: Mapping[str, int], limit: int) -> Mapping[str, Sequence[Entry]]:
        def effect() -> Mapping[str, Sequence[Entry]]:
            rows = self._rows()
            return {name: rows[name].events(start, limit) for name, start in starts.items() if name in rows}

        return await self._call("nodes.follow", effect)

    # --- commands ------------------------------------------------------------------------------------------------

    async def keep(self, kept: Kept) -> None:
        def effect() -> None:
            if kept.conversation in self._rows():
                self.table.kept.setdefault((kept.conversation, kept.command), (kept, None))

        await self._call("nodes.keep", effect, writes=True)

    async def kept(self, node: str, limit: int) -> Sequence[Kept]:
        def effect() -> Sequence[Kept]:
            rows, waiting = self._rows(), [kept for kept, outcome in self.table.kept.values() if outcome is None]
            found = [kept for kept in waiting if kept.conversation in rows and rows[kept.conversation].node == node]
            return found[: max(limit, 0)]

        return await self._call("nodes.kept", effect)

    async def settle(self, conversation: str, command: str, outcome: bytes) -> None:
        def effect() -> None:
            found = self.table.kept.get((conversation, command))
            if found is not None:
                self.table.kept[conversation, command] = (found[0], outcome)

        await self._call("nodes.settle", effect, writes=True)

    async def outcome(self, conversation: str, command: str) -> bytes | None:
        return await self._call("nodes.outcome", lambda: self.table.kept.get((conversation, command), (None, None))[1])

    async def drop(self, conversation: str, command: str) -> None:
        await self._call("nodes.drop", lambda: self.table.kept.pop((conversation, command), None), writes=True)


class MemoryBus(Bus):
    """A bus within one process. ``loses`` decides of each message and listener whether it is lost."""

    def __init__(self) -> None:
        self.loses: Callable[[bytes], bool] = lambda message: False
        self.open: bool = True
        # A dict for its order.
        self._ears: dict[MemoryEar, None] = {}

    def __repr__(self) -> str:
        return f"<MemoryBus ears={len(self._ears)} open={self.open}>"

    @property
    def is_open(self) -> bool:
        return self.open

    def say(self, message: bytes) -> None:
        for ear in tuple(self._ears):
            if not self.loses(message):
                ear.deliver(message)

    @contextmanager
    def listen(self) -> Generator[Ear]:
        ear = MemoryEar()
        self._ears[ear] = None
        try:
            yield ear
        finally:
            del self._ears[ear]


class MemoryEar(Ear):
    """A listener of a ``MemoryBus``. What it is too slow for is a gap."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[bytes | None](1_000)
        self._send.send_nowait(None)

    async def hear(self) -> bytes | None:
        return await self._receive.receive()

    def deliver(self, message: bytes) -> None:
        """A message came."""
        try:
            self._send.send_nowait(message)
        except trio.WouldBlock:
            while self._receive.statistics().current_buffer_used:
                self._receive.receive_nowait()
            self._send.send_nowait(None)
