"""How long a start and a stop take, as one installs it: with the local model and the embedder that come along.

States: from the start of the process to its first answer, two seconds at most over SQLite and three over PostgreSQL, in a
new folder and in one with data; told to stop with nothing under way, it is gone within a second.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.postgres import open_postgres
from bench.processes import SERVER_CPU
from bench.results import Row
from bench.servers import Trialogue

NAME = "starts"


def run(quick: bool = False) -> list[Row]:
    """Start and stop it over both."""
    times = 2 if quick else 7
    with open_postgres() as url:
        return [*measured("SQLite", "sqlite:", times, "<= 2"), *measured("PostgreSQL", url, times, "<= 3")]


def measured(store: str, url: str, times: int, target: str) -> list[Row]:
    """The first start, which makes everything, and the median of those after it."""
    starts: list[float] = []
    stops: list[float] = []
    with TemporaryDirectory(prefix="trialogue-starts-") as folder:
        settings = {"TRIALOGUE_EMBEDDER": "", "TRIALOGUE_STORAGE_URL": url, "OPENAI_API_KEY": ""}
        server = Trialogue(Path(folder), settings, SERVER_CPU)
        for _ in range(times + 1):
            began = time.monotonic()
            process = server.start()
            starts.append(time.monotonic() - began)
            began = time.monotonic()
            if process.stop():
                sys.exit(f"it did not stop as told: {process.said()}")
            stops.append(time.monotonic() - began)
    first, *later = starts
    return [
        Row(NAME, f"{store}: first start", first, "s", target),
        Row(NAME, f"{store}: start, median", sorted(later)[len(later) // 2], "s", target),
        Row(NAME, f"{store}: stop with nothing under way, longest", max(stops), "s", "<= 1"),
    ]
