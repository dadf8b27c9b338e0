"""A reader: follows one conversation over any number of connections to any nodes, and believes nothing.

Each frame is held against the store at the instant of its arrival: it must be there, committed, byte for byte (I5), and be
the one after the last (I7). A snapshot must be what the log says at its number. So what a reader has seen over all its
connections is a piece of the log without a gap, and two readers never saw different things.
"""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import trio
from simulation.auditor import fold_row
from simulation.fold import Fold, Impossible, Json, require, same_message

from trialogue import Engine, Entry, Tail, TrialogueError
from trialogue.testing._memory_rows import Row

if TYPE_CHECKING:
    from simulation.world import World

#: Seconds after which a reader on a node that knows nothing of the owner looks into the log by itself.
POSITIONING = 1.0
#: Bytes a tail keeps for readers who want to fall behind.
SHORT_TAIL = 1_500


class SimReader:
    """Reader ``number`` of a world."""

    def __init__(self, world: World, number: int) -> None:
        self.conversation = world.plan.source("reader", number).choice(world.conversations)
        #: Number of the event it wants next; ``None`` before its first snapshot.
        self.wanted: int | None = None
        #: Events it was shown, over all connections.
        self.shown = 0
        self._cursor: str | None = None
        #: The generation of the store that its cursor is of.
        self._generation = 0
        self._world = world
        self._source: random.Random = world.plan.source("reader", number, "manners")
        self._slow = self._source.random() < 0.3

    def __repr__(self) -> str:
        return f"<SimReader of {self.conversation} wanted={self.wanted}>"

    async def read(self) -> None:
        """Connect, read, be cut off or walk away, and come back, for ever."""
        while True:
            node = self._world.pick(self._source)
            if node is not None and node.engine is not None:
                with node.reading() as scope:
                    if not self._world.calm:
                        scope.deadline = trio.current_time() + self._source.expovariate(1 / 5)
                    await self._connect(node.engine)
            await trio.sleep(self._source.uniform(0.05, 0.5))
            if self._source.random() < 0.1:
                self._cursor = None

    async def _connect(self, engine: Engine) -> None:
        try:
            await self._follow(engine)
        except TrialogueError as error:
            if self._world.at_peace:
                self._world.auditor.find(f"{self} was turned away in calm: {error!r}")
        except (Impossible, KeyError, ValueError) as error:
            self._world.auditor.find(f"{self}: {error!r}")
        except Exception as error:
            if not self._world.plan.bugs:
                self._world.auditor.find(f"{self} was turned away without a reason: {error!r}")

    async def _follow(self, engine: Engine) -> None:
        tail, head, seq = await engine.follow(self.conversation, self._cursor, 1000)
        if self._slow:
            tail.limit = SHORT_TAIL
        # A change since the last look; renewed by the one who waits for it.
        news = [trio.Event()]
        detach = tail.attach(lambda: news[0].set())
        try:
            self._begin(head, seq)
            while True:
                before, changed = seq, news[0]
                seq = await self._read_once(tail, seq)
                if seq == before:
                    await self._wait(changed)
                    news[0] = trio.Event()
                    seq = await self._position(tail, seq)
        finally:
            detach()

    async def _read_once(self, tail: Tail, seq: int) -> int:
        found = tail.read(seq, 400 if self._slow else 65_536)
        data, after = found if found is not None else await tail.read_log(seq, 7)
        require(after - seq == self._take(data), "told that", seq, "to", after, "was given")
        if self._slow and data:
            await trio.sleep(self._source.uniform(0, 0.5))
        return after

    async def _wait(self, changed: trio.Event) -> None:
        # Where its tail knows everything, a reader waits for it alone.
        with trio.move_on_after(float("inf") if self._world.plan.told else POSITIONING):
            await changed.wait()

    async def _position(self, tail: Tail, seq: int) -> int:
        if self._world.plan.told:
            return seq
        data, after = await tail.read_log(seq)
        self._take(data)
        return after

    # --- what it is shown ----------------------------------------------------------------------------------------

    def _row(self, seq: int) -> Row:
        """Where event ``seq`` of what it is being told stands."""
        return self._world.histories.row(self._generation, self.conversation, seq)

    def _begin(self, head: bytes, seq: int) -> None:
        """The first bytes of a connection: nothing after a cursor, or a snapshot, if need be behind a reset."""
        if head.startswith(b"event: reset\n"):
            lost = self._cursor is not None and self._generation < self._world.store.generation
            require(lost, "a reset at", self._cursor, head[:80])
            self._cursor, head = None, head.partition(b"\n\n")[2]
        require((head == b"") == (self._cursor is not None), "resuming at", self._cursor, "began with", head[:80])
        if head:
            token, kind, data = _parse(head.removesuffix(b"\n\n"))
            require(kind == "snapshot", "began with", kind)
            self._generation = int(token[:4])
            self._look_at(json.loads(data))
            self._cursor, self.wanted = token, seq
        require(seq == self.wanted, "a stream goes on at", seq, "where", self.wanted, "was wanted")

    def _look_at(self, snapshot: Json) -> None:
        seq = snapshot["seq"]
        row = self._row(seq)
        require(seq < row.next_seq, "a snapshot at", seq, "of a log that ends at", row.next_seq)
        require(snapshot["token"] == self._token(row.entries[seq]), "token", snapshot["token"])
        fold = fold_row(row, seq + 1)
        require(snapshot["conversation"] == fold.header, "a snapshot's header at", seq)
        require(snapshot["inbox"] == fold.inbox, "a snapshot's inbox at", seq)
        require((snapshot["run"] or {}).get("run") == (fold.run and fold.run["run"]), "a snapshot's run at", seq)
        branch = _branch(fold)
        require(len(branch) == len(snapshot["messages"]), "a snapshot's branch at", seq)
        for told, shown in zip(branch, snapshot["messages"], strict=True):
            require(same_message(told, shown), "a snapshot at", seq, "shows", shown, "where the log says", told)
            siblings = [m["id"] for m in fold.messages.values() if m["parent"] == told["parent"]]
            require(shown["siblings"] == siblings, "siblings", shown["siblings"], "not", siblings)

    def _take(self, data: bytes) -> int:
        """Frames, one or many; returns how many."""
        frames = data.split(b"\n\n")[:-1]
        for frame in frames:
            assert self.wanted is not None
            row = self._row(self.wanted)
            require(self.wanted < row.next_seq, self.wanted, "was shown before it was committed:", frame)
            entry = row.entries[self.wanted]
            require(frame == self._framed(entry), "shown", frame, "where the log has", entry)
            self._cursor = self._token(entry)
            self.wanted += 1
            self.shown += 1
        return len(frames)

    def _token(self, entry: Entry) -> str:
        return f"{self._generation:04d}.{entry.epoch:010d}.{entry.seq:012d}"

    def _framed(self, entry: Entry) -> bytes:
        return f"id: {self._token(entry)}\nevent: {entry.type}\ndata: {entry.data.decode()}".encode()


def _branch(fold: Fold) -> list[Json]:
    branch: list[Json] = []
    name = fold.header["head"]
    while name is not None:
        branch.append(fold.messages[name])
        name = fold.messages[name]["parent"]
    return branch[::-1]


def _parse(frame: bytes) -> tuple[str, str, bytes]:
    head, kind, data = frame.split(b"\n")
    return head.removeprefix(b"id: ").decode(), kind.removeprefix(b"event: ").decode(), data.removeprefix(b"data: ")
