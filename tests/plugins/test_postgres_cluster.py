"""Two real servers over one real PostgreSQL: any of them serves any client, and either may be killed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from postgres_stores import open_dsn, open_schema
from served import Server

ENDS = {"run.completed", "run.failed", "run.cancelled", "run.incomplete"}
SECRET = "a-secret-of-all-the-nodes"


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    with open_dsn() as dsn:
        yield dsn


@pytest.fixture
def servers(dsn: str, tmp_path: Path) -> Iterator[list[Server]]:
    with open_schema(dsn) as url:
        found: list[Server] = []
        try:
            for name in ("one", "two"):
                (tmp_path / name).mkdir()
                settings = {"storage_url": url, "cluster_secret": SECRET, "node_name": name}
                found.append(Server(tmp_path / name, **settings))
                found[-1].start()
            yield found
        finally:
            for server in found:
                server.close()


@pytest.fixture
def clients(servers: list[Server]) -> Iterator[list[httpx2.Client]]:
    one, two = [httpx2.Client(base_url=server.url, timeout=20, trust_env=False) for server in servers]
    with one, two:
        body = {"email": "ada@example.org", "password": "correct horse", "name": "Ada"}
        assert one.post("/api/auth/register", json=body).status_code == 201
        two.cookies = one.cookies
        yield [one, two]


def test_command_and_readers_may_come_to_any_node(clients: list[httpx2.Client]) -> None:
    one, two = clients
    url = f"/api/conversations/{one.post('/api/conversations', json={}).json()['id']}"
    asked = one.post(f"{url}/messages", json={"text": "An owl, and an owl. " * 8})
    assert asked.status_code == 202, asked.text
    began = time.monotonic()
    second = two.post(f"{url}/messages", json={"text": "And another one"})
    print("remote post", time.monotonic() - began)
    assert second.status_code == 202, second.text
    assert second.json()["queued"]
    there = read(two, f"{url}/events?after=0001.0000000001.000000000000", runs=2)
    here = read(one, f"{url}/events?after=0001.0000000001.000000000000", runs=2)
    assert there == here
    numbers = [int(cursor.rpartition(".")[2]) for cursor, _ in there]
    assert numbers == list(range(1, len(numbers) + 1))


def read(client: httpx2.Client, url: str, runs: int = 1, count: int | None = None) -> list[tuple[str, str]]:
    """The cursors and types of so many events, or of all to the end of so many runs."""
    seen: list[tuple[str, str]] = []
    cursor = ""
    with client.stream("GET", url) as answer:
        assert answer.status_code == 200, answer.read()
        for line in answer.iter_lines():
            if line.startswith("id: "):
                cursor = line[4:]
            elif line.startswith("event: "):
                seen.append((cursor, line[7:]))
                runs -= line[7:] in ENDS
                if len(seen) == count or not runs:
                    break
    return seen
