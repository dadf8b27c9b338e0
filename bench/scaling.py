"""What a second node would bring where every node has a processor of its own: an argument from processor time, on two.

States: two nodes deliver at least 1.7 times what one saturated node does, and neither the database nor the bus is in the
way. One node runs flat out on processor 0; then two nodes do, which share that processor. PostgreSQL, the provider and the
clients have the other one. What a token costs the nodes then, besides what it costs one alone, is what being two costs: with
a processor each they are twice as fast, less that. PostgreSQL's own time for a token, and that of its busiest process, say
how many processors it would need at that rate, and whether one of its processes would have to be faster than a processor is.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.load import Stub, open_stub, run_load
from bench.plan import prompt
from bench.processes import LOAD_CPU, SERVER_CPU, cpu_by_process
from bench.results import Row
from bench.servers import Trialogue

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # For the server that tests use.

NAME = "scaling"
SETTINGS = ("fsync=on", "full_page_writes=on", "synchronous_commit=on", "shared_buffers=128MB")


def run(quick: bool = False) -> list[Row]:
    """In turns, so that what the machine does meanwhile meets both; of each the one in the middle."""
    streams, tokens = (10, 400) if quick else (40, 4_000)
    with open_stub() as stub:
        found = [[saturate(stub, count, streams, tokens) for count in (1, 2)] for _ in range(1 if quick else 5)]
    one, two = (sorted(costs, key=lambda cost: cost.node)[len(costs) // 2] for costs in zip(*found, strict=True))
    faster = 2 * one.node / two.node
    rate = 2e6 / two.node
    return [
        Row(NAME, "one node: tokens", one.rate, "tokens/s"),
        Row(NAME, "one node: its CPU for a token", one.node, "us"),
        Row(NAME, "one node: PostgreSQL's CPU for a token", one.database, "us"),
        Row(NAME, "one node: the clients' CPU for a token", one.clients, "us"),
        Row(NAME, "two nodes on one processor: tokens", two.rate, "tokens/s"),
        Row(NAME, "two nodes on one processor: their CPU for a token", two.node, "us"),
        Row(NAME, "two nodes on one processor: PostgreSQL's CPU for a token", two.database, "us"),
        Row(NAME, "two nodes on one processor: the clients' CPU for a token", two.clients, "us"),
        Row(NAME, "two nodes with a processor each / one, by CPU time", faster, "", ">= 1.7"),
        Row(NAME, "at that rate: processors that PostgreSQL needs", rate * two.database / 1e6, ""),
        Row(NAME, "at that rate: of its processes, the busiest needs", rate * two.busiest / 1e6, "", "<= 1"),
    ]


@dataclass(frozen=True)
class Cost:
    """Microseconds of processor time for a token, of all nodes, of PostgreSQL and its busiest process, and of clients."""

    rate: float
    node: float
    database: float
    busiest: float
    clients: float


def saturate(stub: Stub, count: int, streams: int, tokens: int) -> Cost:
    """So many nodes on one processor, each with as many streams of a provider that holds nothing back."""
    with open_database() as (url, postmaster), open_nodes(stub, url, count) as servers:
        account = servers[0].client().register(f"{time.time_ns()}@example.org")
        plan = [
            server.stream(account, conversation, prompt(tokens, 0))
            for server in servers
            for conversation in server.client().create_conversations(account, streams)
        ]
        began, before = time.monotonic(), (_used(servers), cpu_by_process(postmaster), _waited_for())
        run_load(plan, tokens, ramp=0.1)
        seconds, after = time.monotonic() - began, (_used(servers), cpu_by_process(postmaster), _waited_for())
    spent = [after[1][pid] - before[1].get(pid, 0.0) for pid in after[1]]
    per_token = 1e6 / (len(plan) * tokens)
    return Cost(
        rate=len(plan) * tokens / seconds,
        node=(after[0] - before[0]) * per_token,
        database=sum(spent) * per_token,
        busiest=max(spent) * per_token,
        clients=(after[2] - before[2]) * per_token,
    )


@contextmanager
def open_database() -> Generator[tuple[str, int]]:
    """An empty PostgreSQL on the clients' processor: where it is, and its first process."""
    from postgres_server import open_server

    with open_server(*SETTINGS) as server:
        assert server._process is not None
        for pid in cpu_by_process(server._process.pid):
            with suppress(ProcessLookupError):  # PostgreSQL has some that live for a moment.
                os.sched_setaffinity(pid, {LOAD_CPU})
        yield server.dsn, server._process.pid


@contextmanager
def open_nodes(stub: Stub, url: str, count: int) -> Generator[list[Trialogue]]:
    """So many nodes, all on one processor."""
    settings = {
        "OPENAI_BASE_URL": stub.url,
        "TRIALOGUE_STORAGE_URL": url,
        "TRIALOGUE_CLUSTER_SECRET": "bench-bench-bench-bench",
    }
    with ExitStack() as stack:
        servers: list[Trialogue] = []
        for _ in range(count):
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="trialogue-bench-")))
            servers.append(Trialogue(folder, settings, SERVER_CPU))
            process = servers[-1].start()
            stack.callback(process.stop)
        yield servers


def _used(servers: list[Trialogue]) -> float:
    return sum(server.process.cpu_seconds() for server in servers if server.process is not None)


def _waited_for() -> float:
    """Seconds of programs that were started here and have ended, such as a load client."""
    told = resource.getrusage(resource.RUSAGE_CHILDREN)
    return told.ru_utime + told.ru_stime
