"""The greeter: finds out now and then whether nodes can ask each other, this one included, before somebody waits for it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence

import trio

from trialogue._cluster.nodes import Member, NodeInfo
from trialogue._cluster.transport import Transport
from trialogue._facts.errors import TrialogueError
from trialogue._supervision.child import Child

#: Seconds between two rounds; the first ones come sooner, as nodes start together.
EVERY, AT_FIRST = 5.0, 0.5
#: Rounds until what cannot be asked is worth a word.
SETTLED = 4

_log = logging.getLogger("trialogue.cluster")


class Greeter:
    """Greets on behalf of one node."""

    def __init__(
        self, node: NodeInfo, transport: Transport | None, members: Callable[[], Awaitable[Sequence[Member]]]
    ) -> None:
        self._node = node
        self._transport = transport
        self._members = members
        #: Ids of nodes that cannot be asked, and why.
        self.unreachable: dict[str, str] = {}
        #: Whether this node was reached at its own address, once at least.
        self.reached_itself: bool = False
        self._rounds = 0

    def __repr__(self) -> str:
        return f"<Greeter rounds={self._rounds} unreachable={len(self.unreachable)}>"

    async def run(self, child: Child) -> None:
        """Greet until cancelled."""
        child.started()
        while True:
            try:
                await self._round([member.node for member in await self._members() if member.alive])
            except TrialogueError as error:
                _log.debug("nobody is greeted: %s", error)
            await trio.sleep(EVERY if self._rounds > SETTLED else AT_FIRST)

    async def _round(self, nodes: Sequence[NodeInfo]) -> None:
        self._rounds += 1
        found: dict[str, str] = {}
        async with trio.open_nursery() as nursery:
            for node in nodes:
                nursery.start_soon(self._greet, node, found)
        for node in nodes:
            self._tell(node, found.get(node.id), self.unreachable.get(node.id))
        self.unreachable = found
        self.reached_itself = self.reached_itself or self._node.id not in found

    async def _greet(self, node: NodeInfo, found: dict[str, str]) -> None:
        if self._transport is None:
            found[node.id] = "this node has no cluster_secret, and asks by way of the store"
        elif not node.address:
            found[node.id] = "it has no cluster_secret, and is asked by way of the store"
        elif (why := await self._transport.greet(node)) is not None:
            found[node.id] = why

    def _tell(self, node: NodeInfo, now: str | None, before: str | None) -> None:
        # A server that is just starting takes no connections yet, and nodes start together.
        if self._rounds < SETTLED or self._transport is None or (now == before and self._rounds > SETTLED):
            return
        itself = (
            "this node itself, under its advertised address," if node.id == self._node.id else f"node {node.name!r}"
        )
        if now is not None:
            _log.warning("%s cannot be asked: %s", itself, now)
        elif before is not None and self._rounds > SETTLED:
            _log.warning("%s can be asked again", itself)
