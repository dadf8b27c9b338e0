"""What it costs to read a year's usage, and to ask before each answer what is left of a budget.

States: with 1,000,000 runs of one user over a year in the embedded store, over HTTP and one request at a time, 99 of 100
readings of the year by day, by model and by key come within 30 ms, and of all its conversations within 500 ms; by day a
million runs take at most twice as long as ten thousand. The look that each answer of somebody with a budget begins with
takes half a millisecond at most, in the middle.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.client import Account
from bench.results import Row
from bench.servers import Trialogue
from trialogue import Charge, Usage, new_id, period_of
from trialogue_sqlite._driver import connect
from trialogue_sqlite._ledger import put_charges, read_standing
from trialogue_sqlite._readers import open_reader

NAME = "usage"
YEAR = datetime(2025, 1, 1, tzinfo=UTC)
#: Longest allowed at the 99th percentile, in milliseconds.
READINGS = {"day": 30, "model": 30, "key": 30, "conversation": 500}
#: Runs in one conversation, and in one transaction of filling.
EACH, AT_ONCE = 10, 20_000


def run(quick: bool = False) -> list[Row]:
    """Fill the ledger of two users, and read a year of each."""
    most, few, rounds = (100_000, 1_000, 30) if quick else (1_000_000, 10_000, 200)
    with TemporaryDirectory(prefix="trialogue-bench-") as folder:
        server = Trialogue(Path(folder), {"TRIALOGUE_RATE_PER_USER": "0", "OPENAI_API_KEY": ""})
        try:
            server.start()
            accounts = [server.client().register(f"{name}@example.org") for name in ("most", "few")]
            owners = [server.client().me(account) for account in accounts]
            assert server.process is not None
            server.process.stop()
            path = Path(folder, "data", "trialogue.db")
            began = time.monotonic()
            for owner, count in zip(owners, (most, few), strict=True):
                _fill(path, owner, count)
            filled = (time.monotonic() - began) / (most + few) * 1e6
            server.start()
            rows = _read(server, accounts, rounds)
        finally:
            if server.process is not None:
                server.process.stop()
        standing = _standing(path, owners[0], rounds)
    return [
        Row(NAME, "runs", most, ""),
        Row(NAME, "to settle one, filling", filled, "µs"),
        *rows,
        Row(NAME, "where somebody stands, p50", standing, "ms", "<= 0.5"),
    ]


def _charges(owner: str, count: int) -> Iterator[Charge]:
    draw = random.Random(count)
    conversation = ""
    for number in range(count):
        if number % EACH == 0:
            conversation = new_id()
        usage = Usage("reported", draw.randint(100, 8_000), draw.randint(10, 900), cost=draw.randint(1, 10**7))
        at = YEAR + timedelta(days=365) * number / count
        model, key = f"bench:model-{draw.randrange(4)}", draw.choice((None, None, "key-1", "key-2"))
        yield Charge(new_id(), conversation, new_id(), owner, model, at, key, "completed", at, usage, usage)


def _fill(path: Path, owner: str, count: int) -> None:
    connection = connect(path, write=True)
    charges = _charges(owner, count)
    for _ in range(0, count, AT_ONCE):
        with connection:
            put_charges(connection, (charge for charge, _ in zip(charges, range(AT_ONCE), strict=False)))
    connection.close()


def _read(server: Trialogue, accounts: list[Account], rounds: int) -> list[Row]:
    rows: list[Row] = []
    for group, most in READINGS.items():
        path = f"/api/usage?group={group}&from=2025-01-01&to=2025-12-31&limit=366"
        times: list[list[float]] = [[], []]
        for _ in range(rounds if group != "conversation" else max(rounds // 10, 10)):
            for account, spent in zip(accounts, times, strict=True):  # In turns, so that what else goes on meets both.
                began = time.perf_counter()
                server.client().must("GET", path, None, account.cookie)
                spent.append((time.perf_counter() - began) * 1000)
        many, few = (sorted(spent) for spent in times)
        middle = len(many) // 2
        rows += [
            Row(NAME, f"a year by {group}, p50", many[middle], "ms"),
            Row(NAME, f"a year by {group}, p99", many[len(many) * 99 // 100 - 1], "ms", f"<= {most}"),
            Row(
                NAME, f"{group}, against a hundredth", many[middle] / few[middle], "x", "<= 2" if group == "day" else ""
            ),
        ]
    return rows


def _standing(path: Path, owner: str, rounds: int) -> float:
    connection = open_reader(path)
    times: list[float] = []
    for place in range(rounds):
        period = period_of(YEAR + timedelta(days=place % 365))
        began = time.perf_counter()
        read_standing(connection, owner, None, period)
        times.append((time.perf_counter() - began) * 1000)
    connection.close()
    return sorted(times)[rounds // 2]
