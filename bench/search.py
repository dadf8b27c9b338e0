"""What it costs to list, to open and to search, for somebody who has talked a great deal.

States: with 100,000 conversations and 1,000,000 messages of one user in the embedded store, over HTTP and one request at a
time, 99 of 100 lists come within 20 ms, opened conversations within 30 ms, and searches by words within 100 ms, whatever
the words. Beside each stands how many times longer it takes than the bare query, asked in turns with it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

from bench import corpus, fill
from bench.client import Account
from bench.results import Row
from bench.servers import Trialogue
from trialogue import SearchQuery
from trialogue_sqlite._driver import Connection
from trialogue_sqlite._finding import read_hits
from trialogue_sqlite._readers import open_reader
from trialogue_sqlite._reads import read_list, read_view

NAME = "search"
#: Longest allowed at the 99th percentile, in milliseconds.
LIST, OPEN, SEARCH = 20, 30, 100
#: Bytes of a page, as the server asks for.
PAGE = 1024 * 1024
_NO_FILTERS: dict[str, str | bool | None] = {
    "archived": False,
    "pinned": None,
    "folder": None,
    "text": None,
    "trashed": False,
}

#: What is looked for: a name, and what is asked over HTTP.
SEARCHES: tuple[tuple[str, dict[str, str]], ...] = (
    ("a word of half of all messages", {"q": corpus.COMMON + "."}),
    ("one of one in ten thousand", {"q": corpus.RARE + " "}),
    ("two common words", {"q": f"{corpus.COMMON} {corpus.OFTEN}"}),
    ("a common and a rare word", {"q": f"{corpus.RARE} {corpus.COMMON}"}),
    ("a common word, begun", {"q": "comm"}),
    ("two letters", {"q": "co"}),
    ("one letter", {"q": "c"}),
    ("a common word of one model", {"q": corpus.COMMON, "model": "bench:model-1"}),
    ("a common word in one month", {"q": corpus.COMMON, "from": "2025-02-01T00:00:00Z", "to": "2025-03-01T00:00:00Z"}),
    ("a rare word since a moment", {"q": corpus.RARE, "from": "2025-02-07T10:30:00Z"}),
    ("a common word in titles", {"q": corpus.COMMON, "in": "titles"}),
)


def run(quick: bool = False) -> list[Row]:
    """Fill a folder, start a server on it, and ask for each thing in turns with its bare query."""
    count, rounds = (10_000, 30) if quick else (100_000, 200)
    with TemporaryDirectory(prefix="trialogue-bench-") as folder:
        settings = {"TRIALOGUE_RATE_PER_USER": "0", "OPENAI_API_KEY": ""}
        server = Trialogue(Path(folder), settings)
        try:
            server.start()
            account = server.client().register()
            owner = server.client().me(account)
            assert server.process is not None
            server.process.stop()
            began = time.monotonic()
            ids = fill.histories(Path(folder, "data"), corpus.conversations(owner, count))
            filled = time.monotonic() - began
            server.start()
            rows = _asked(server, account, owner, ids, rounds)
        finally:
            if server.process is not None:
                server.process.stop()
    return [Row(NAME, "messages", count * corpus.MESSAGES, ""), Row(NAME, "filled in", filled, "s"), *rows]


def _asked(server: Trialogue, account: Account, owner: str, ids: list[str], rounds: int) -> list[Row]:
    connection = open_reader(server.folder / "data" / "trialogue.db")
    choose = random.Random(3)
    chosen = [choose.choice(ids) for _ in range(rounds)]

    def ask(path: str) -> None:
        server.client().must("GET", path, None, account.cookie)

    def listed(_: int) -> None:
        read_list(connection, owner, 50, None, dict(_NO_FILTERS), PAGE)

    rows = _compared("list", LIST, rounds, lambda _: ask("/api/conversations?limit=50"), listed)
    rows += _compared(
        "open a conversation",
        OPEN,
        rounds,
        lambda place: ask(f"/api/conversations/{chosen[place]}"),
        lambda place: read_view(connection, chosen[place], 50, PAGE),
    )
    rows += _compared(
        "list with a common word",
        SEARCH,
        rounds // 4,
        lambda _: ask(f"/api/conversations?q={corpus.COMMON}"),
        lambda _: read_list(connection, owner, 20, None, _NO_FILTERS | {"text": corpus.COMMON}, PAGE),
    )
    for name, parameters in SEARCHES:
        bare = partial(_bare, connection, owner, parameters)
        path = f"/api/search?{urlencode({'mode': 'text', **parameters})}"
        rows += _compared(f"search for {name}", SEARCH, rounds // 2, lambda _, path=path: ask(path), bare)  # type: ignore[misc]
    connection.close()
    return rows


def _bare(connection: Connection, owner: str, parameters: dict[str, str], _: int) -> object:
    moments = {name: datetime.fromisoformat(value) for name, value in parameters.items() if name in ("from", "to")}
    query = SearchQuery(
        parameters["q"],
        kinds=("title",) if "in" in parameters else ("message", "file", "title"),
        model=parameters.get("model"),
        since=moments.get("from"),
        until=moments.get("to"),
    )
    return read_hits(connection, owner, query, 20, None, datetime.now(UTC))


def _compared(
    name: str, most: int, rounds: int, ask: Callable[[int], object], bare: Callable[[int], object]
) -> list[Row]:
    asked: list[float] = []
    read: list[float] = []
    spent: list[float] = []
    for place in range(rounds):
        for times, function in ((asked, ask), (read, bare)):
            began, worked = time.perf_counter(), time.thread_time()
            function(place)
            times.append((time.perf_counter() - began) * 1000)
        spent.append((time.thread_time() - worked) * 1000)
    for times in (asked, read, spent):
        times.sort()
    middle, late = asked[rounds // 2], asked[min(rounds - 1, rounds * 99 // 100)]
    return [
        Row(NAME, f"{name}, p50", middle, "ms"),
        Row(NAME, f"{name}, p99", late, "ms", f"<= {most}"),
        Row(NAME, f"{name}, p50 against the bare query", middle / read[rounds // 2], "x"),
        Row(NAME, f"{name}, processor time of the bare query, p50", spent[rounds // 2], "ms"),
    ]
