"""Two nodes over one PostgreSQL, against one: what being a node costs, and how long anybody waits when a node goes.

States: after ``kill -9`` of a conversation's owner another node takes a message for it within 7 s; a stream that goes on at
another node has its first event within 50 ms at the 99th percentile, and a stop asked of another node is done within 250 ms;
a node that is told to stop, with answers that do not end within its grace, leaves nobody without a word for a second. Told
is also the processor time for a token that is read at its owner, with and without another node there, and at the other node.
Nodes, database and clients share this machine.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import trio

from bench.client import Account
from bench.load import Stub, open_stub, run_load
from bench.plan import prompt
from bench.postgres import open_postgres
from bench.processes import LOAD_CPU, SERVER_CPU
from bench.results import Row
from bench.servers import MODEL, Trialogue
from bench.sse import Frame, open_events

NAME = "cluster"
#: Tokens a second of one stream.
RATE = 50.0
#: How a run ends; the stub's model cannot go on from a prefix, so that a run that is cut stays so.
ENDS = {"run.completed", "run.failed", "run.incomplete", "run.interrupted"}
FROM_THE_START = "0001.0000000001.000000000000"


def run(quick: bool = False) -> list[Row]:
    """All of it."""
    rounds, streams, seconds = (2, 10, 4) if quick else (10, 40, 15)
    rows: list[Row] = []
    with open_stub() as stub, open_postgres() as url:
        with open_nodes(stub, url, 1) as nodes:
            alone, rate = cpu_per_token(nodes, 0, streams, seconds), throughput(nodes, streams, seconds * 100)
        with open_nodes(stub, url, 2) as nodes:
            here, there = (cpu_per_token(nodes, place, streams, seconds) for place in (0, 1))
            both = throughput(nodes, streams, seconds * 100)
            resumed = resuming(nodes, 20 if quick else 200)
            stopped = stopping(nodes, 10 if quick else 50)
            silent = draining(nodes, rounds)
            waited = killing(nodes, rounds)
    rows += [
        Row(NAME, "server's CPU for a token, one node", alone, "us"),
        Row(NAME, "with another node there, read at the owner / one node", here / alone, ""),
        Row(NAME, "with another node there, read at the other (both) / one node", there / alone, ""),
        Row(NAME, "as fast as it goes, one node", rate, "tokens/s"),
        Row(NAME, "as fast as it goes, two nodes, the second on the clients' processor / one node", both / rate, ""),
        Row(NAME, "resumed at the other node, first event, p50", _at(resumed, 0.5), "ms"),
        Row(NAME, "resumed at the other node, first event, p99", _at(resumed, 0.99), "ms", "<= 50"),
        Row(NAME, "stopped from the other node, p50", _at(stopped, 0.5), "ms"),
        Row(NAME, "stopped from the other node, p99", _at(stopped, 0.99), "ms", "<= 250"),
        Row(NAME, "handed over by a node that stops, silence, p50", _at(silent, 0.5), "ms"),
        Row(NAME, "handed over by a node that stops, silence, most", max(silent), "ms", "<= 1000"),
        Row(NAME, "after kill -9, written elsewhere, p50", _at(waited, 0.5), "ms"),
        Row(NAME, "after kill -9, written elsewhere, most", max(waited), "ms", "<= 7000"),
    ]
    return rows


class Nodes:
    """Nodes over one database, each with a folder of its own, and an account that is logged in everywhere."""

    def __init__(self, servers: Sequence[Trialogue]) -> None:
        self.servers = servers
        self.account: Account

    def begin(self, place: int, text: str) -> str:
        """A new conversation in which an answer to ``text`` is being written by the node at this place; its address."""
        client = self.servers[place].client()
        (name,) = client.create_conversations(self.account, 1)
        path = f"/api/conversations/{name}"
        client.must("POST", f"{path}/messages", {"text": text, "model": MODEL}, self.account.cookie)
        return path

    def cpu_seconds(self) -> float:
        """What all of them have used."""
        return sum(server.process.cpu_seconds() for server in self.servers if server.process is not None)


@contextmanager
def open_nodes(stub: Stub, url: str, count: int) -> Generator[Nodes]:
    """So many nodes."""
    settings = {
        "OPENAI_BASE_URL": stub.url,
        "TRIALOGUE_STORAGE_URL": url,
        "TRIALOGUE_CLUSTER_SECRET": "bench-bench-bench-bench",
        "TRIALOGUE_SHUTDOWN_GRACE_SECONDS": "0.5",
    }
    with ExitStack() as stack:
        servers: list[Trialogue] = []
        for place in range(count):
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="trialogue-bench-")))
            servers.append(Trialogue(folder, settings, (SERVER_CPU, LOAD_CPU)[place % 2]))
            stack.callback(_stop, servers[-1])
            servers[-1].start()
        nodes = Nodes(servers)
        nodes.account = servers[0].client().register(f"{time.time_ns()}@example.org")
        yield nodes


def cpu_per_token(nodes: Nodes, place: int, streams: int, seconds: int) -> float:
    """Microseconds of all nodes for a token of streams that node 0 writes and the node at ``place`` is asked for."""
    tokens = int(RATE * seconds)
    paths = [nodes.begin(0, prompt(tokens, RATE)) for _ in range(streams)]
    began = nodes.cpu_seconds()
    trio.run(_read_all, nodes.servers[place].port, nodes.account, paths)
    return (nodes.cpu_seconds() - began) / (streams * tokens) * 1e6


def throughput(nodes: Nodes, streams: int, tokens: int) -> float:
    """Tokens a second that clients get of all nodes, of providers that hold nothing back."""
    plan = [
        server.stream(nodes.account, conversation, prompt(tokens, 0))
        for server in nodes.servers
        for conversation in server.client().create_conversations(nodes.account, streams // len(nodes.servers))
    ]
    began = time.monotonic()
    run_load(plan, tokens, ramp=0.1)
    return len(plan) * tokens / (time.monotonic() - began)


async def _read_all(port: int, account: Account, paths: Sequence[str]) -> None:
    async with trio.open_nursery() as nursery:
        for path in paths:
            nursery.start_soon(_read, port, account, path, FROM_THE_START)


async def _read(port: int, account: Account, path: str, cursor: str) -> list[tuple[float, Frame]]:
    """All frames up to the end of a run, with the time at which each came."""
    seen: list[tuple[float, Frame]] = []
    with trio.fail_after(120):
        while True:
            async with open_events(port, f"{path}/events", account.cookie, cursor) as events:
                while frames := await events.receive():
                    seen += [(time.monotonic(), frame) for frame in frames]
                    if any(frame.type in ENDS for frame in frames):
                        return seen
            cursor = seen[-1][1].cursor or cursor


def resuming(nodes: Nodes, count: int) -> list[float]:
    """Milliseconds from asking node 1 to go on, to the first event, for cursors in conversations that node 0 has."""
    path = nodes.begin(0, prompt(400, 200))
    frames = [frame for _, frame in trio.run(_read, nodes.servers[0].port, nodes.account, path, FROM_THE_START)]
    cursors = [frame.cursor for frame in frames if frame.cursor][:-1]

    async def first(cursor: str) -> float:
        began = time.monotonic()
        async with open_events(nodes.servers[1].port, f"{path}/events", nodes.account.cookie, cursor) as events:
            await events.receive()
        return (time.monotonic() - began) * 1e3

    return [trio.run(first, cursors[number * len(cursors) // count]) for number in range(count)]


def stopping(nodes: Nodes, count: int) -> list[float]:
    """Milliseconds until node 1 says that nothing is left of an answer that node 0 was writing."""
    found: list[float] = []
    for _ in range(count):
        path = nodes.begin(0, prompt(2_000, RATE))
        time.sleep(0.1)
        began = time.monotonic()
        nodes.servers[1].client().must("POST", f"{path}/stop", {}, nodes.account.cookie)
        found.append((time.monotonic() - began) * 1e3)
    return found


def draining(nodes: Nodes, rounds: int) -> list[float]:
    """Milliseconds of silence for a reader at node 1, while node 0 stops and its answer goes on elsewhere."""
    found: list[float] = []
    for _ in range(rounds):
        path = nodes.begin(0, prompt(200, RATE))
        seen = trio.run(_read_over, nodes, path, signal.SIGTERM)
        found.append(max(after[0] - before[0] for before, after in pairwise(seen)) * 1e3)
        _again(nodes.servers[0])
    return found


async def _read_over(nodes: Nodes, path: str, number: int) -> list[tuple[float, Frame]]:
    seen: list[tuple[float, Frame]] = []

    async def read() -> None:
        seen.extend(await _read(nodes.servers[1].port, nodes.account, path, FROM_THE_START))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.sleep(1.0)
        assert nodes.servers[0].process is not None
        nodes.servers[0].process.popen.send_signal(number)
    return seen


def killing(nodes: Nodes, rounds: int) -> list[float]:
    """Milliseconds from ``kill -9`` of node 0 to a receipt by node 1 for a message in a conversation that node 0 had."""
    found: list[float] = []
    for number in range(rounds):
        path = nodes.begin(0, prompt(2_000, RATE))
        time.sleep(0.3 + number / rounds)  # At any place between two renewals.
        assert nodes.servers[0].process is not None
        nodes.servers[0].process.kill()
        began = time.monotonic()
        body = {"text": prompt(1, 0), "model": MODEL, "policy": "interrupt"}
        nodes.servers[1].client().must("POST", f"{path}/messages", body, nodes.account.cookie)
        found.append((time.monotonic() - began) * 1e3)
        _again(nodes.servers[0])
    return found


def _stop(server: Trialogue) -> None:
    if server.process is not None:
        server.process.stop()


def _again(server: Trialogue) -> None:
    assert server.process is not None
    server.process.popen.wait(30)
    server.start()


def _at(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
