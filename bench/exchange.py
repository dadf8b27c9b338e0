"""What it costs to give everything out and to take it in, and how long a large history holds up what else is written.

States: an account of 20,000 conversations (100 MB as a document) leaves as JSON while the server's memory grows by at most
48 MB, and comes in as an upload within 64 MB; a conversation that begins with 10,000 messages costs the store's writer
at most 300 ms of CPU time, for which nothing else is written.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import trio

import trialogue_sqlite
from bench.client import Account
from bench.results import Row
from bench.servers import Trialogue
from trialogue import Beginning, Conversation, Done, Message, Receipt, TextPart, new_id
from trialogue._deciding.history import prepare
from trialogue_sqlite import _writes as writes
from trialogue_sqlite._driver import Connection
from trialogue_sqlite._history import rows_of
from trialogue_sqlite._store import SQLiteStore

NAME = "exchange"
AT = datetime(2026, 1, 1, tzinfo=UTC)
#: A message as people write them, some three hundred bytes.
WORDS = "The quick brown fox jumps over the lazy dog and writes about trees, graphs and actors. " * 3
#: Messages in each conversation of the account.
EACH = 10


def run(quick: bool = False) -> list[Row]:
    """Take an account in, give it out; and write a large history, past the server."""
    count = 2_000 if quick else 20_000
    with TemporaryDirectory(prefix="trialogue-bench-") as folder:
        rows = _account(Path(folder), count)
    with TemporaryDirectory(prefix="trialogue-bench-") as folder:
        return [*rows, *trio.run(_history, Path(folder), 5 if quick else 20)]


# --- an account --------------------------------------------------------------------------------------------------


def _account(folder: Path, count: int) -> list[Row]:
    server = Trialogue(folder, {})
    try:
        process = server.start()
        account = server.client().register()
        before = process.rss_bytes()
        began, spent = time.monotonic(), process.cpu_seconds()
        grown_in = _take_in(server, account, count) - before
        seconds, cpu_in = time.monotonic() - began, process.cpu_seconds() - spent
        before, spent = process.rss_bytes(), process.cpu_seconds()
        size, most = _give_out(server, account)
        cpu_out = process.cpu_seconds() - spent
    finally:
        if server.process is not None:
            server.process.stop()
    return [
        Row(NAME, "conversations", count, ""),
        Row(NAME, "taken in", count / seconds, "per s"),
        Row(NAME, "to take one in, CPU", cpu_in / count * 1e3, "ms"),
        Row(NAME, "memory grown, taking in", grown_in / 1e6, "MB", "<= 64"),
        Row(NAME, "document", size / 1e6, "MB"),
        Row(NAME, "given out, of CPU time", size / 1e6 / cpu_out, "MB/s"),
        Row(NAME, "memory grown, giving out", (most - before) / 1e6, "MB", "<= 48"),
    ]


def _document(count: int) -> Iterator[bytes]:
    """A ChatGPT export of so many conversations."""
    for number in range(count):
        mapping = {
            str(place): {
                "parent": str(place - 1),
                "message": {
                    "author": {"role": "assistant" if place % 2 else "user"},
                    "content": {"content_type": "text", "parts": [f"{number} {place} {WORDS}"]},
                },
            }
            for place in range(EACH)
        }
        one = {"title": f"Number {number}", "conversation_id": str(number), "mapping": mapping}
        yield (b"[" if number == 0 else b",") + json.dumps(one).encode()
    yield b"]"


def _take_in(server: Trialogue, account: Account, count: int) -> int:
    """The most memory that the server had."""
    assert server.process is not None
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    headers = {"Cookie": account.cookie, "Content-Type": "application/json"}
    connection.request("POST", "/api/import", _document(count), headers, encode_chunked=True)
    answer: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    most = 0
    while answer["state"] in ("waiting", "running"):
        time.sleep(0.2)
        most = max(most, server.process.rss_bytes())
        answer = server.client().must("GET", f"/api/import/{answer['id']}", None, account.cookie)
    assert answer["added"] == count, answer
    return most


def _give_out(server: Trialogue, account: Account) -> tuple[int, int]:
    """The size of the document, and the most memory that the server had."""
    assert server.process is not None
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", "/api/export", headers={"Cookie": account.cookie})
    answer = connection.getresponse()
    size = most = 0
    while piece := answer.read(1 << 20):
        size += len(piece)
        most = max(most, server.process.rss_bytes())
    connection.close()
    return size, most


# --- a large history ---------------------------------------------------------------------------------------------


async def _history(folder: Path, rounds: int) -> list[Row]:
    opening = trialogue_sqlite.trialogue_store("sqlite:", folder)
    assert opening is not None
    async with opening as store:
        assert isinstance(store, SQLiteStore)
        held = [await _held(store, 10_000) for _ in range(rounds)]
        small = [await _held(store, 10) for _ in range(rounds * 10)]
    return [
        Row(NAME, "10,000 messages, CPU of the writer, median", sorted(held)[len(held) // 2] * 1e3, "ms", "<= 300"),
        Row(NAME, "10 messages, CPU of the writer, median", sorted(small)[len(small) // 2] * 1e3, "ms"),
    ]


async def _held(store: SQLiteStore, count: int) -> float:
    """CPU seconds of the writer's thread, the commit included."""
    name = new_id()
    messages: list[Message] = []
    for place in range(count):
        parent = messages[-1].id if messages else None
        messages.append(Message(new_id(), name, "user", (TextPart(f"{place} {WORDS}"),), AT, parent))
    made = prepare(Beginning(Conversation(name, "owner", AT, AT, head=messages[-1].id), tuple(messages)))
    rows, done = rows_of(made.history, "owner"), Done(name, b"bench", Receipt(0))
    marks: list[float] = []

    def write(connection: Connection) -> None:
        marks.append(time.thread_time())
        writes.create(connection, made.header, "node", made.entry, done, rows)

    await store.writer.run(write)
    # The commit is the thread's too, and comes between the two jobs.
    await store.writer.run(lambda _: marks.append(time.thread_time()))
    return marks[1] - marks[0]
