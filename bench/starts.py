"""How long a start and a stop take, as one installs it: with the local model and the embedder that come along.

States: from the start of the process to its first answer, two seconds at most over SQLite and three over PostgreSQL, in a
new folder and in one with data, and with providers that have SDKs as without; told to stop with nothing under way, it is
gone within a second.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.postgres import open_postgres
from bench.processes import SERVER_CPU
from bench.results import Row
from bench.servers import Trialogue

NAME = "starts"
#: Both providers that have an SDK. Nobody is there, so their lists are not waited for, however they are asked for.
ASKED = {
    "OPENAI_API_KEY": "bench",
    "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
    "ANTHROPIC_API_KEY": "bench",
    "ANTHROPIC_BASE_URL": "http://127.0.0.1:9",
}


def run(quick: bool = False) -> list[Row]:
    """Start and stop it over both."""
    times = 2 if quick else 7
    with open_postgres() as url:
        return [
            *measured("SQLite", "sqlite:", times, "<= 2"),
            *measured("SQLite, two SDKs", "sqlite:", times, "<= 2", ASKED),
            *measured("PostgreSQL", url, times, "<= 3"),
        ]


def measured(store: str, url: str, times: int, target: str, asked: Mapping[str, str] | None = None) -> list[Row]:
    """The first start, which makes everything, and the median of those after it."""
    starts: list[float] = []
    spent: list[float] = []
    stops: list[float] = []
    with TemporaryDirectory(prefix="trialogue-starts-") as folder:
        settings = {"TRIALOGUE_EMBEDDER": "", "TRIALOGUE_STORAGE_URL": url, "OPENAI_API_KEY": "", **(asked or {})}
        server = Trialogue(Path(folder), settings, SERVER_CPU)
        for _ in range(times + 1):
            began = time.monotonic()
            process = server.start()
            starts.append(time.monotonic() - began)
            spent.append(process.cpu_seconds())
            began = time.monotonic()
            if process.stop():
                sys.exit(f"it did not stop as told: {process.said()}")
            stops.append(time.monotonic() - began)
    first, *later = starts
    return [
        Row(NAME, f"{store}: first start", first, "s", target),
        Row(NAME, f"{store}: start, median", sorted(later)[len(later) // 2], "s", target),
        Row(NAME, f"{store}: CPU of a start, median", sorted(spent[1:])[times // 2], "s", target),
        Row(NAME, f"{store}: stop with nothing under way, longest", max(stops), "s", "<= 1"),
    ]
