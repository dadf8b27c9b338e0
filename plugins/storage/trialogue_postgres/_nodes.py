"""The facet for several nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from trialogue import Bus, Claim, Entry, Kept, Load, Member, Members, NodeInfo, Nodes, Owner, Position, Renewal, Renewer
from trialogue_postgres import _nodes_sql as sql
from trialogue_postgres._bus import PostgresBus
from trialogue_postgres._connection import TrioConnection
from trialogue_postgres._database import Database, send
from trialogue_postgres._generation import Generation
from trialogue_postgres._renewing import Renewing
from trialogue_postgres._rows import body_of, decode_header
from trialogue_postgres._url import Address

_decode_node = msgspec.json.Decoder(NodeInfo).decode
_decode_load = msgspec.json.Decoder(Load).decode


class PostgresNodes(Nodes):
    """See ``trialogue.Nodes``."""

    def __init__(self, database: Database, address: Address, cluster: str, generation: Generation) -> None:
        self.cluster = cluster
        self._database = database
        self._address = address
        self._generation = generation
        self._bus = PostgresBus(database, address, cluster)
        self._round = 0

    @property
    def bus(self) -> Bus:
        return self._bus

    # --- leases --------------------------------------------------------------------------------------------------

    async def renew(self, node: NodeInfo, load: Load, seconds: float) -> Renewal:
        ((at, lapsed),) = await self._database.execute(sql.RENEW, renewal_values(node, load, seconds))
        return Renewal(at, lapsed)

    def renewer(self, node: NodeInfo, seconds: float) -> Renewer | None:
        return Renewing(self._address.conninfo, node, seconds)

    async def leave(self, node: str) -> None:
        await self._database.execute(sql.LEAVE, {"id": node})

    async def members(self) -> Members:
        self._round += 1
        if self._round % 60 == 0:
            await self._database.execute(sql.FORGET_NODES)
            await self._database.execute(sql.FORGET_KEPT)
        generation = await self._generation.look()
        found = await self._database.read(sql.MEMBERS)
        return Members(
            tuple(Member(_decode_node(body), _decode_load(load), lease) for body, load, lease in found), generation
        )

    # --- ownership -----------------------------------------------------------------------------------------------

    async def claim(self, conversation: str, node: str) -> Claim | Owner | None:
        async def work(connection: TrioConnection) -> Claim | Owner | None:
            async with connection.pipeline(), connection.transaction():
                claimed = await send(connection, sql.CLAIM, {"id": conversation, "node": node})
                # A statement of its own: it sees what was committed while the first one waited.
                cursor = await send(connection, sql.CLAIMED, {"id": conversation})
                row = await cursor.fetchone()
                is_ours = await claimed.fetchone() is not None
            if row is None:
                return None
            owner, epoch, next_seq, flush, body, state, seq = row
            return Claim(epoch, next_seq, flush, decode_header(body), state, seq) if is_ours else Owner(owner, epoch)

        return await self._database.commit(work)

    async def release(self, node: str, held: Mapping[str, int]) -> None:
        # In the order of ids, as appends are, so that nobody waits in a circle.
        some = sorted(held.items())
        values = {"node": node, "ids": [name for name, _ in some], "epochs": [epoch for _, epoch in some]}
        await self._database.execute(sql.RELEASE, values)

    async def abandoned(self, limit: int) -> Sequence[str]:
        return [name for (name,) in await self._database.read(sql.ABANDONED, {"limit": max(limit, 0)})]

    async def positions(self, conversations: Sequence[str]) -> Mapping[str, Position]:
        found = await self._database.read(sql.POSITIONS, {"ids": list(conversations)})
        return {name: Position(node, epoch, next_seq) for name, node, epoch, next_seq in found}

    async def follow(self, starts: Mapping[str, int], limit: int) -> Mapping[str, Sequence[Entry]]:
        names = list(starts)
        values = {
            "places": list(range(len(names))),
            "ids": names,
            "starts": list(starts.values()),
            "limit": max(limit, 0),
        }
        found: dict[str, list[Entry]] = {name: [] for name in names}
        for place, seq, epoch, kind, data in await self._database.read(sql.FOLLOW, values):
            found[names[place]].append(Entry(seq, epoch, kind, data))
        return found

    # --- commands ------------------------------------------------------------------------------------------------

    async def keep(self, kept: Kept) -> None:
        values = {"id": kept.conversation, "command": kept.command, "body": kept.body}
        await self._database.execute(sql.KEEP, values)

    async def kept(self, node: str, limit: int) -> Sequence[Kept]:
        return [Kept(*row) for row in await self._database.read(sql.KEPT, {"node": node, "limit": max(limit, 0)})]

    async def settle(self, conversation: str, command: str, outcome: bytes) -> None:
        await self._database.execute(sql.SETTLE, {"id": conversation, "command": command, "outcome": outcome})

    async def outcome(self, conversation: str, command: str) -> bytes | None:
        row = await self._database.first(sql.OUTCOME, {"id": conversation, "command": command})
        return None if row is None else row[0]

    async def drop(self, conversation: str, command: str) -> None:
        await self._database.execute(sql.DROP, {"id": conversation, "command": command})


def renewal_values(node: NodeInfo, load: Load, seconds: float) -> dict[str, object]:
    """The values of ``RENEW``."""
    return {"id": node.id, "seconds": seconds, "body": body_of(node), "load": body_of(load)}
