"""What a restart of all nodes of a cluster, one after the other, may cost: nobody anything, and no second of silence.

States: three nodes over one PostgreSQL are replaced in turn under 200 streams of ten tokens a second, by a successor that
takes over the port (``reload``), or by stopping and starting again while clients go to the others (``restart``). No answer
is cut, no event is lost, doubled or missing for anybody, and no reader of an answer hears nothing for more than a second.

Each request goes to the next node of those that say they are ready, as behind a proxy that asks them and knows no sessions;
one that finds nobody is repeated at the one after that. Told is also what the clients themselves take, on the processors
that they share with nodes and database.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from http.client import HTTPException
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple, TypeAlias

import trio

from bench.client import Account
from bench.manager import Manager
from bench.postgres import open_postgres
from bench.processes import LOAD_CPU, SERVER_CPU, put_first
from bench.results import Row
from bench.servers import Trialogue
from bench.upgrades import TOKENS, Listener, Outcome, judge, replace
from bench.world import World

NAME = "rolling"
NODES = 3
#: Seconds between two nodes.
PAUSE = 0.5
#: Seconds between two times that the proxy asks a node whether it is ready.
ASKED_EVERY = 0.25
Way: TypeAlias = Literal["reload", "restart"]


class Node(NamedTuple):
    """One of them, and who hears which process it is."""

    server: Trialogue
    manager: Manager


class Visitors(World):
    """Clients, and the proxy that sends them to one node after the other."""

    def __init__(self, nodes: Sequence[Node], account: Account, words: str) -> None:
        super().__init__(nodes[0].server, account, words, random.Random(1))
        self._all = [node.server for node in nodes]
        self._turn = cycle(self._all)
        self._ready = set(self._all)

    def next_server(self) -> Trialogue:
        """The next one that was ready when it was last asked."""
        return next(server for server in self._turn if server in self._ready)

    async def ask_them(self) -> None:
        """Find out which are ready, again and again, until cancelled."""
        async with trio.open_nursery() as nursery:
            for server in self._all:
                nursery.start_soon(self._ask, server)

    async def _ask(self, server: Trialogue) -> None:
        while True:
            if await trio.to_thread.run_sync(_is_ready, server):
                self._ready.add(server)
            elif len(self._ready) > 1:
                self._ready.discard(server)
            await trio.sleep(ASKED_EVERY)


def _is_ready(server: Trialogue) -> bool:
    try:
        return server.client().call("GET", "/readyz")[0] == 200
    except (OSError, ValueError, HTTPException):
        return False


def run(quick: bool = False, streams: int = 0) -> list[Row]:
    """Both ways, under 200 streams."""
    put_first("self")  # As the nodes are: or what is heard is how long the clients wait for a processor.
    count = streams or (30 if quick else 200)
    rate = 10 if count > 50 else 50
    rows: list[Row] = []
    for way in ("restart", "reload"):
        with open_postgres() as url:
            rows += measured(way, url, count, rate)
    return rows


def measured(way: Way, url: str, count: int, rate: int) -> list[Row]:
    """What became of it one way. No answer is so long that it would have to be cut."""
    with open_nodes(url, rate=rate, grace=4 * TOKENS / rate) as nodes:
        began, used = time.monotonic(), time.process_time()
        outcome = trio.run(play, nodes, way, count)
        clients = (time.process_time() - used) / (time.monotonic() - began)
    for problem in outcome.problems[:20]:
        print(problem)
    silences = sorted(outcome.silences)
    return [
        Row(NAME, f"{way}: nodes replaced", outcome.upgrades, ""),
        Row(NAME, f"{way}: streams", count, ""),
        Row(NAME, f"{way}: answers", outcome.answers, ""),
        Row(NAME, f"{way}: answers cut, events lost or doubled, and whatever else", len(outcome.problems), "", "== 0"),
        Row(NAME, f"{way}: silence within an answer, median of the worst", silences[len(silences) // 2], "s"),
        Row(NAME, f"{way}: silence within an answer, longest", silences[-1], "s", "<= 1"),
        Row(NAME, f"{way}: a message waits for its answer to begin, longest", max(outcome.pauses), "s"),
        Row(NAME, f"{way}: a node takes, longest", max(outcome.lasted), "s"),
        Row(NAME, f"{way}: what the clients take", clients, "of one processor"),
    ]


@contextmanager
def open_nodes(url: str, *, rate: int, grace: float, count: int = NODES) -> Generator[Sequence[Node]]:
    """Nodes over that database, up; whichever processes they have become are gone at the end."""
    settings = {
        "TRIALOGUE_DEFAULT_MODEL": "echo:echo",
        "TRIALOGUE_STORAGE_URL": url,
        "TRIALOGUE_CLUSTER_SECRET": "bench-bench-bench-bench",
        "TRIALOGUE_SHUTDOWN_GRACE_SECONDS": str(grace),
        "OPENAI_API_KEY": "",
        "WORDS": f"[[tokens={TOKENS} rate={rate} numbered]]",
    }
    with ExitStack() as stack:
        nodes: list[Node] = []
        for place in range(count):
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="trialogue-rolling-")))
            manager = Manager(folder / "notify")
            environment = settings | {"NOTIFY_SOCKET": manager.address, "TRIALOGUE_NODE_NAME": f"node-{place}"}
            node = Node(Trialogue(folder, environment, (SERVER_CPU, LOAD_CPU)[place % 2]), manager)
            stack.callback(_end, node)
            _start(node)
            nodes.append(node)
        yield nodes


def _start(node: Node) -> None:
    node.manager.pid = node.server.start().pid


def _end(node: Node) -> None:
    node.manager.end()
    if node.server.process is not None:
        node.server.process.stop()


async def play(nodes: Sequence[Node], way: Way, conversations: int) -> Outcome:
    """Start clients, replace each node, let everything end, and check it all."""
    outcome, first = Outcome(), nodes[0].server
    account = await trio.to_thread.run_sync(first.client().register)
    world = Visitors(nodes, account, first.environment["WORDS"])
    ids = await trio.to_thread.run_sync(first.client().create_conversations, account, conversations)
    listeners = [Listener(one) for one in ids]
    world.talks = list(listeners)
    async with trio.open_nursery() as readers:
        readers.start_soon(world.ask_them)
        for talk in listeners:
            readers.start_soon(world.read, talk)
        async with trio.open_nursery() as posters:
            for talk in listeners:
                posters.start_soon(world.post, talk)
            await trio.sleep(4 * PAUSE)
            for node in nodes:
                await (replace if way == "reload" else _restart)(node.manager, outcome, node.server)
                await trio.sleep(PAUSE)
            world.stopping = True
        if not await world.until(lambda: all(talk.open_turns <= 0 for talk in listeners), 120):
            outcome.problems.append("not all turns ended")
        readers.cancel_scope.cancel()
    for talk in listeners:
        await judge(world, talk, outcome)
    return outcome


async def _restart(manager: Manager, outcome: Outcome, server: Trialogue) -> None:
    """Stop it, which has until the grace is over, and start it again."""
    assert server.process is not None
    began = trio.current_time()
    os.kill(manager.pid, signal.SIGTERM)
    code = await trio.to_thread.run_sync(server.process.popen.wait, 120)
    if code:
        outcome.problems.append(f"a node ended with {code}: {server.process.said()}")
    await trio.to_thread.run_sync(_start, Node(server, manager))
    outcome.lasted.append(trio.current_time() - began)
    outcome.upgrades += 1
