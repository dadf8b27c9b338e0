"""A store that goes backwards: a lagging replica is promoted, or a backup is put back under nodes that are up (I12).

A picture is taken, time goes by, and the store is what it was. What was written in between is lost, and was seen all the
same: it is kept as *the past* of the generation that ends, and whoever reads is held to the history that his cursor names.
"""

from __future__ import annotations

import random
from copy import copy
from typing import TYPE_CHECKING, Any

import trio
from simulation.fold import require

from trialogue import Entry
from trialogue.testing import MemoryStore
from trialogue.testing._memory_rows import Row

if TYPE_CHECKING:
    from simulation.cluster_world import ClusterWorld

#: The most that is lost, in seconds.
LOST = 4.0


async def go_back(world: ClusterWorld) -> None:
    """At some time of the world's trouble, to some time before."""
    source = world.plan.source("going back")
    await trio.sleep(source.uniform(0.1, 0.8) * world.plan.seconds)
    picture = Picture(world)
    await trio.sleep(_seconds(source))
    picture.put_back(world)


def _seconds(source: random.Random) -> float:
    # Little is lost where a replica follows closely: perhaps nothing of a conversation that goes on.
    return source.choice((source.uniform(0.0, 0.3), source.uniform(0.3, LOST)))


class Picture:
    """What is stored at one instant."""

    def __init__(self, world: ClusterWorld) -> None:
        store = world.store
        book, table = store.ledger.book, store.nodes.table
        self._rows = copy_rows(store)
        #: Dicts that are held in many places, with what is in them. ``Any``: they are of many kinds.
        held: list[Any] = [store._homes, book.open, book.settled, book.holds, table.nodes, table.kept, world.calls]
        self._dicts = [(each, copy(each)) for each in held]

    def put_back(self, world: ClusterWorld) -> None:
        """Have it be all there is, as the next generation. Requests that are on their way go nowhere."""
        store = world.store
        world.histories.past[store.generation] = copy_rows(store)
        for held, then in self._dicts:
            held.clear()
            held.update(then)
        store._rows.clear()
        store._rows.update(self._rows)
        store._late.clear()
        store.generation += 1
        for name, row in store._rows.items():
            world.auditor.go_back(name, row)
        for sent in world.ledger:
            sent.go_back(store._rows[sent.conversation].done)


def copy_rows(store: MemoryStore) -> dict[str, Row]:
    """The conversations as they are. What is in them is immutable."""
    return {name: _copy(row) for name, row in store._rows.items()}


def _copy(row: Row) -> Row:
    twin = copy(row)
    for name in ("entries", "messages", "removed", "done"):
        setattr(twin, name, copy(getattr(row, name)))
    return twin


class Histories:
    """What each generation has told, beginning with the first."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        #: Generations that are over: their conversations at the end.
        self.past: dict[int, dict[str, Row]] = {}

    def row(self, generation: int, conversation: str, seq: int) -> Row:
        """Where event ``seq`` stands, as a cursor of that generation means it.

        Who has lost nothing of a conversation goes on writing in it for a moment, and still calls it the old generation.
        """
        row = self.past.get(generation, self._store._rows)[conversation]
        while generation in self.past and row.next_seq <= seq:
            generation += 1
            newer = self.past.get(generation, self._store._rows)[conversation]
            same = newer.entries.get(row.next_seq - 1) == row.entries[row.next_seq - 1]
            require(same, "event", seq, "is of another history than", row.next_seq - 1)
            row = newer
        return row

    def entry(self, generation: int, conversation: str, seq: int) -> Entry | None:
        """Event ``seq``; ``None`` where it has not been committed."""
        return self.row(generation, conversation, seq).entries.get(seq)
