"""The PostgreSQL store under the output gate: 300 streams of 60 tokens a second, every token on the disk before it is shown.

States: appends keep up with the rate, in events of five tokens as the engine makes them and with an event for every single
token; the gate, from an event's making to its commit, takes at most 10 ms at the median and 60 ms at the 99th percentile
with events of five. SQLite does the same in the same run: the processor time of this process for an entry is told as a ratio
to it. That of the database's own processes is not in it. What drives the stores is one task that makes what is due, and one
that commits all there is, as the engine's flusher does.

The server is the tests' own, with ``fsync`` on, in this machine, or the one that ``TRIALOGUE_BENCH_POSTGRES`` names: an
empty database, in which tables are made and stay.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import trio

from bench.results import Row
from trialogue import Conversation, Done, Entry, Flush, Receipt, Store, load_plugins, new_id
from trialogue.testing.memory_store import system_now

NAME = "postgres"
STREAMS, RATE = 300, 60.0
#: Entries of a flat-out commit.
BATCH = 300

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # For the server that tests use.


def run(quick: bool = False) -> list[Row]:
    """The same streams into either store."""
    seconds = 4.0 if quick else 15.0
    rows: list[Row] = []
    with open_postgres() as url, TemporaryDirectory(prefix="trialogue-bench-") as folder:
        for tokens in (5, 1):
            told = f"{tokens} token{'s' * (tokens > 1)} an event"
            ours = trio.run(partial(paced, url, Path(folder), tokens, seconds))
            other = trio.run(partial(paced, "sqlite:", Path(folder), tokens, seconds))
            rows += [
                Row(NAME, f"{told}: committed / offered", ours.committed / ours.offered, "", ">= 0.99"),
                Row(NAME, f"{told}: gate, p50", ours.gate(0.5), "ms", "<= 10" if tokens == 5 else ""),
                Row(NAME, f"{told}: gate, p99", ours.gate(0.99), "ms", "<= 60" if tokens == 5 else ""),
                Row(NAME, f"{told}: SQLite's gate, p50", other.gate(0.5), "ms"),
                Row(NAME, f"{told}: SQLite's gate, p99", other.gate(0.99), "ms"),
                Row(NAME, f"{told}: entries in a commit", ours.committed / max(ours.commits, 1), ""),
                Row(NAME, f"{told}: our CPU for an entry", ours.cpu / ours.committed * 1e6, "us"),
                Row(NAME, f"{told}: the same / SQLite's", _ratio(ours, other), ""),
            ]
        flat, other_flat = (trio.run(partial(flat_out, one, Path(folder), seconds / 2)) for one in (url, "sqlite:"))
        rows.append(Row(NAME, f"flat out, {BATCH} conversations in a commit", flat, "entries/s"))
        rows.append(Row(NAME, "the same / SQLite's", flat / other_flat, ""))
    return rows


def _ratio(ours: Figures, other: Figures) -> float:
    return (ours.cpu / ours.committed) / (other.cpu / other.committed)


@contextmanager
def open_postgres() -> Iterator[str]:
    """Where it is."""
    named = os.environ.get("TRIALOGUE_BENCH_POSTGRES")
    if named:
        yield named
        return
    from postgres_server import open_server

    with open_server("fsync=on", "full_page_writes=on", "synchronous_commit=on", "shared_buffers=128MB") as server:
        yield server.dsn


@dataclass
class Figures:
    """What became of a run."""

    offered: int = 0
    committed: int = 0
    commits: int = 0
    cpu: float = 0.0
    waits: list[float] = field(default_factory=list)

    def gate(self, share: float) -> float:
        """How long entries waited for their commit, in milliseconds."""
        return sorted(self.waits)[int(share * (len(self.waits) - 1))] * 1000


class Stream:
    """One conversation, and what of it waits to be committed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.seq = 1
        self.number = 0
        self.waiting: list[tuple[float, Entry]] = []

    def add(self, now: float, data: bytes) -> None:
        self.waiting.append((now, Entry(self.seq, 1, "part.delta", data)))
        self.seq += 1

    def take(self) -> tuple[Flush, list[float]]:
        waiting, self.waiting = self.waiting, []
        self.number += 1
        entries = tuple(entry for _, entry in waiting)
        return Flush(self.name, "bench", 1, self.number, entries), [made for made, _ in waiting]


async def open_streams(store: Store) -> list[Stream]:
    """New conversations."""
    now, streams = system_now(), []
    for _ in range(STREAMS):
        header = Conversation(new_id(), "bench", now, now)
        first = Entry(0, 1, "conversation.created", b"{}")
        await store.create(header, "bench", first, Done(header.id, b"", Receipt(0)))
        streams.append(Stream(header.id))
    return streams


async def paced(url: str, folder: Path, tokens: int, seconds: float) -> Figures:
    """Entries at the streams' rate, committed as fast as the store takes them."""
    figures = Figures()
    async with load_plugins().open_store(url, folder) as store:
        streams = await open_streams(store)
        dirty: dict[Stream, None] = {}
        async with trio.open_nursery() as nursery:
            nursery.start_soon(commit, store, dirty, figures)
            await trio.sleep(0.5)
            cpu = time.process_time()
            await make(streams, dirty, figures, RATE / tokens, seconds, b'{"text":"%b"}' % (b"token " * tokens))
            # What waits a moment after the end has not kept up.
            await trio.sleep(0.1)
            figures.cpu = time.process_time() - cpu
            nursery.cancel_scope.cancel()
    return figures


async def make(
    streams: list[Stream], dirty: dict[Stream, None], figures: Figures, rate: float, seconds: float, data: bytes
) -> None:
    """Add to each stream what is due, the streams one after the other within their period."""
    began = trio.current_time()
    done = 0
    while (elapsed := trio.current_time() - began) < seconds:
        due = int(elapsed * rate * len(streams))
        now = time.monotonic()
        for place in range(done, due):
            stream = streams[place % len(streams)]
            stream.add(now, data)
            dirty[stream] = None
        figures.offered += due - done
        done = due
        await trio.sleep(0.001)


async def commit(store: Store, dirty: dict[Stream, None], figures: Figures) -> None:
    """All that is dirty, as soon as the last commit is done."""
    while True:
        if not dirty:
            await trio.sleep(0.001)
            continue
        taken = [stream.take() for stream in dirty]
        dirty.clear()
        assert set(await store.append([flush for flush, _ in taken])) == {"committed"}
        now = time.monotonic()
        figures.commits += 1
        for _, made in taken:
            figures.committed += len(made)
            figures.waits += [now - at for at in made]


async def flat_out(url: str, folder: Path, seconds: float) -> float:
    """Entries a second when there are always as many as a commit takes."""
    async with load_plugins().open_store(url, folder) as store:
        streams = await open_streams(store)
        end, count = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            for stream in streams[:BATCH]:
                stream.add(0, b'{"text":"token token token token token "}')
            await store.append([stream.take()[0] for stream in streams[:BATCH]])
            count += BATCH
    return count / seconds
