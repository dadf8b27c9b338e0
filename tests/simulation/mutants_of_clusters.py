"""Mutants of what nodes do together: who owns what, commands from node to node, what is heard, and what is handed over."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

import trio
from msgspec.structs import replace
from simulation.mutant import CLUSTER_MUTANTS, Mutant, both

from trialogue import (
    Claim,
    ClosedError,
    Entry,
    FencedError,
    Kept,
    Owner,
    Parcel,
    Receipt,
    StorageError,
    ThrottledError,
    TrialogueError,
    UnreachableError,
)
from trialogue._cluster import router
from trialogue._cluster.cluster import Cluster
from trialogue._cluster.follower import Follower
from trialogue._cluster.news import News
from trialogue._cluster.outcomes import encode_outcome
from trialogue._cluster.router import Router
from trialogue._cluster.sweeper import Sweeper
from trialogue._deciding.commands import PostMessage
from trialogue._engine import leaving
from trialogue._engine.registry import Registry
from trialogue._facts.cursor import frame
from trialogue.testing._memory_nodes import MemoryNodes
from trialogue.testing._memory_rows import Row


def mutant(mutant: Mutant) -> Mutant:
    """Add one to the collection of those that need several nodes."""
    CLUSTER_MUTANTS[mutant.__name__] = mutant
    return mutant


# --- who owns a conversation -----------------------------------------------------------------------------------------


@mutant
def lease_ignored() -> AbstractContextManager[object]:
    """A conversation is taken from whoever has it."""

    async def claim(nodes: MemoryNodes, conversation: str, node: str) -> Claim | None:
        def effect() -> Claim | None:
            row = nodes._rows().get(conversation)
            return None if row is None else row.claim(node)

        return await nodes._call("nodes.claim", effect, writes=True)

    return patch.object(MemoryNodes, "claim", claim)


@mutant
def lease_taken_for_over_too_early() -> AbstractContextManager[object]:
    """A node counts as dead one renewal after the last."""

    async def claim(nodes: MemoryNodes, conversation: str, node: str) -> Claim | Owner | None:
        def effect() -> Claim | Owner | None:
            row, soon = nodes._rows().get(conversation), trio.current_time() + 4.0
            if row is not None and row.node in nodes.table.nodes and nodes.table.nodes[row.node][2] > soon:
                return Owner(row.node, row.epoch)
            return None if row is None else row.claim(node)

        return await nodes._call("nodes.claim", effect, writes=True)

    return patch.object(MemoryNodes, "claim", claim)


@mutant
def epoch_not_raised() -> AbstractContextManager[object]:
    """A claim changes the owner and nothing else."""

    def claim(row: Row, node: str) -> Claim:
        row.node = node
        return Claim(row.epoch, row.next_seq, row.flush, row.header, row.snapshot, row.snapshot_seq)

    return patch.object(Row, "claim", claim)


@mutant
def append_without_fence() -> AbstractContextManager[object]:
    """Whoever comes is let in who has the right numbers."""
    return patch.object(Row, "accepts", lambda row, flush: row.flush < flush.number)


@mutant
def released_without_looking() -> AbstractContextManager[object]:
    """A node lets go of what another has by now."""

    async def release(nodes: MemoryNodes, node: str, held: Mapping[str, int]) -> None:
        def effect() -> None:
            for name in held:
                nodes._rows()[name].node = ""

        await nodes._call("nodes.release", effect, writes=True)

    return patch.object(MemoryNodes, "release", release)


@mutant
def nobody_takes_up() -> AbstractContextManager[object]:
    """What a dead node left waits for somebody to ask for it."""

    async def nothing(sweeper: Sweeper) -> None:
        return None

    return patch.object(Sweeper, "_adopt", nothing)


# --- commands --------------------------------------------------------------------------------------------------------


@mutant
def acknowledged_when_left() -> AbstractContextManager[object]:
    """A command that was left in the store is acknowledged, as if it could not be refused."""

    async def keep(self: Router, parcel: Parcel) -> None:
        await original(self, parcel)
        raise _Acknowledged

    async def submit(self: Router, parcel: Parcel) -> Receipt:
        try:
            return await ask(self, parcel)
        except _Acknowledged:
            return Receipt(0)

    original, ask = Router._keep, Router.submit
    return both(patch.object(Router, "_keep", keep), patch.object(Router, "submit", submit))


class _Acknowledged(Exception):
    pass


@mutant
def left_commands_are_new_ones() -> AbstractContextManager[object]:
    """What is found in the store is carried out whether or not it took effect before."""

    async def carry_out(self: Router, kept: Kept) -> None:
        parcel = router._decode(kept.body)
        if isinstance(parcel.command, PostMessage):
            command = replace(parcel.command, id=f"{kept.command}-again", message=f"{parcel.command.message}-again")
            parcel = replace(parcel, command=command)
        await original(self, replace(kept, body=router._encode(parcel)))

    original = Router._carry_out
    return patch.object(Router, "_carry_out", carry_out)


@mutant
def left_commands_are_forgotten() -> AbstractContextManager[object]:
    """Nobody looks for what was left in the store."""

    async def nothing(self: Router, nursery: trio.Nursery) -> None:
        return None

    return patch.object(Router, "_take_up", nothing)


@mutant
def lost_answer_taken_for_a_refusal() -> AbstractContextManager[object]:
    """Who does not answer has not done it."""

    async def attempt(self: Router, parcel: Parcel, kept: bool, told: str) -> Receipt:
        try:
            return await original(self, parcel, kept, told)
        except UnreachableError as error:
            raise ThrottledError("the node is busy") from error

    original = Router._attempt
    return patch.object(Router, "_attempt", attempt)


@mutant
def another_id_with_each_attempt() -> AbstractContextManager[object]:
    """A command that is handed on has an id of its own, so that its repeats are not known for what they are."""

    async def attempt(self: Router, parcel: Parcel, kept: bool, told: str) -> Receipt:
        if not parcel.fresh and isinstance(parcel.command, PostMessage):
            numbers = random.getrandbits(64)
            command = replace(
                parcel.command, id=f"{parcel.command.id}-{numbers}", message=f"{parcel.command.message}-{numbers}"
            )
            parcel = replace(parcel, command=command)
        return await original(self, parcel, kept, told)

    original = Router._attempt
    return patch.object(Router, "_attempt", attempt)


@mutant
def full_mailbox_is_an_outcome() -> AbstractContextManager[object]:
    """A command that is left for a busy owner is refused for ever."""

    async def carry_out(self: Router, kept: Kept) -> None:
        try:
            outcome = encode_outcome(await self._here(router._decode(kept.body)))
        except (FencedError, ClosedError, StorageError):
            return
        except TrialogueError as error:
            outcome = encode_outcome(error)
        await self._nodes.settle(kept.conversation, kept.command, outcome)

    return patch.object(Router, "_carry_out", carry_out)


@mutant
def refused_but_still_left() -> AbstractContextManager[object]:
    """A command that is refused while it is left in the store is called refused, and is carried out when it can be."""

    async def attempt(self: Router, parcel: Parcel, kept: bool, told: str) -> Receipt:
        try:
            return await original(self, parcel, kept, told)
        except (FencedError, StorageError, ClosedError):
            raise
        except TrialogueError as error:
            raise _Refused(error) from error

    async def submit(self: Router, parcel: Parcel) -> Receipt:
        try:
            return await ask(self, parcel)
        except _Refused as refused:
            raise refused.args[0] from None

    original, ask = Router._attempt, Router.submit
    return both(patch.object(Router, "_attempt", attempt), patch.object(Router, "submit", submit))


class _Refused(Exception):
    pass


# --- what is heard of others -----------------------------------------------------------------------------------------


@mutant
def hints_believed() -> AbstractContextManager[object]:
    """A tail goes on where a hint says that the log ends, and what came before is not looked for."""

    def advanced(self: Follower, conversation: str, next_seq: int) -> None:
        tail = self._tails.get(conversation)
        if tail is not None and tail.next_seq < next_seq - 1 and not self._owned(conversation):
            tail.next_seq = next_seq - 1
        original(self, conversation, next_seq)

    original = Follower.advanced
    return patch.object(Follower, "advanced", advanced)


@mutant
def read_twice_shown_twice() -> AbstractContextManager[object]:
    """What a read brings goes into the tail though another has brought it."""

    def publish(self: Follower, conversation: str, entries: Sequence[Entry]) -> None:
        tail = self._tails.get(conversation)
        if tail is not None and entries:
            tail.publish([frame(self._store.generation, entry) for entry in entries])

    return patch.object(Follower, "_publish", publish)


@mutant
def followed_while_owned() -> AbstractContextManager[object]:
    """A node reads its own log back into the tail that its flusher fills."""

    def committed(self: Cluster, activation: Any, flush: Any) -> None:
        original(self, activation, flush)
        tail = activation.tail
        tail.publish([frame(self._node.store.generation, entry) for entry in flush.entries])

    original = Cluster.committed
    return patch.object(Cluster, "committed", committed)


@mutant
def deaf() -> AbstractContextManager[object]:
    """Readers of a conversation that is written elsewhere are told of nothing at all."""
    return both(
        patch.object(News, "_take", lambda news, data: None),
        patch.object(Sweeper, "_compare", _no_look),
    )


async def _no_look(sweeper: Sweeper) -> None:
    return None


# --- handing over ----------------------------------------------------------------------------------------------------


@mutant
def drain_loses_the_inbox() -> AbstractContextManager[object]:
    """What a node lets go of counts as finished, whatever waits in it."""

    async def release(nodes: MemoryNodes, node: str, held: Mapping[str, int]) -> None:
        await original(nodes, node, held)
        for name in held:
            if name in nodes._rows():
                nodes._rows()[name].unfinished = False

    original = MemoryNodes.release
    return patch.object(MemoryNodes, "release", release)


@mutant
def handed_over_while_written() -> AbstractContextManager[object]:
    """A node that stops lets go of its conversations first, and takes for written what it writes after that."""

    async def let_go(cells: Registry, cluster: Cluster, some: Sequence[Any], grace: float) -> None:
        await cluster.let_go({cell.id: cell.activation.epoch for cell in some if cell.activation is not None})
        await original(cells, cluster, some, grace)

    original = leaving.let_go
    return both(patch.object(leaving, "let_go", let_go), patch.object(Row, "holds", lambda row, flush: True))
