"""Two real servers over one real PostgreSQL: any of them serves any client, and either may be killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from postgres_stores import open_dsn, open_schema
from served import Server

ENDS = {"run.completed", "run.failed", "run.cancelled", "run.incomplete"}
#: Some seconds of an answer that repeats it.
LONG = "An owl, and an owl. " * 20
SECRET = "a-secret-of-all-the-nodes"


class Pair:
    """Two nodes for all tests of this file, and a client of each. A node that a test has ended is started again."""

    def __init__(self, folder: Path, url: str) -> None:
        self.url = url
        self.servers = [prepare(folder, url, name) for name in ("one", "two")]
        self.clients: list[httpx2.Client] = []

    def ready(self) -> Pair:
        """Both of them serve, and our user is logged in at both."""
        for server in self.servers:
            if server.process is None:
                server.start()
        if not self.clients:
            self.clients += map(client_of, self.servers)
            register(*self.clients)
        return self

    def close(self) -> None:
        for client in self.clients:
            client.close()
        for server in self.servers:
            server.close()


def prepare(folder: Path, url: str, name: str, **settings: str) -> Server:
    """A node that is not started yet."""
    (folder / name).mkdir()
    return Server(folder / name, **{"storage_url": url, "cluster_secret": SECRET, "node_name": name, **settings})


def client_of(server: Server) -> httpx2.Client:
    """A client of one node."""
    return httpx2.Client(base_url=server.url, timeout=20, trust_env=False)


def register(first: httpx2.Client, *others: httpx2.Client) -> None:
    """Make an account, and log all clients in."""
    body = {"email": "ada@example.org", "password": "correct horse", "name": "Ada"}
    assert first.post("/api/auth/register", json=body).status_code == 201
    for other in others:
        other.cookies = first.cookies


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    with open_dsn() as dsn:
        yield dsn


@pytest.fixture(scope="module")
def both(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with open_schema(dsn) as url:
        pair = Pair(tmp_path_factory.mktemp("nodes"), url)
        try:
            yield pair
        finally:
            pair.close()


@pytest.fixture
def pair(both: Pair) -> Pair:
    return both.ready()


def begin(client: httpx2.Client) -> str:
    """A new conversation's address."""
    made = client.post("/api/conversations", json={})
    assert made.status_code == 201, made.text
    return f"/api/conversations/{made.json()['id']}"


def say(client: httpx2.Client, url: str, text: str = "An owl") -> dict[str, Any]:
    """Post a message; what was accepted."""
    asked = client.post(f"{url}/messages", json={"text": text})
    assert asked.status_code == 202, asked.text
    accepted: dict[str, Any] = asked.json()
    return accepted


def from_the_start(url: str) -> str:
    """The events of a conversation from its first one on."""
    return f"{url}/events?after=0001.0000000001.000000000000"


def check_whole(seen: list[tuple[str, str]]) -> None:
    """Nothing is missing, and nothing comes twice."""
    numbers = [int(cursor.rpartition(".")[2]) for cursor, _ in seen]
    assert numbers == list(range(1, len(numbers) + 1))


def test_commands_and_readers_may_come_to_any_node(pair: Pair) -> None:
    one, two = pair.clients
    url = begin(one)
    say(one, url)
    assert say(two, url, "And another one")["queued"]
    there = read(two, from_the_start(url), runs=2)
    assert read(one, from_the_start(url), runs=2) == there
    check_whole(there)
    figures = two.get("/api/admin/actors").json()["statistics"]["cluster"]
    assert figures["commands"]["remote"] == 1
    assert figures["commands"]["left"] == 0


def test_reader_and_writer_go_on_after_the_owner_is_killed(pair: Pair) -> None:
    one, two = pair.clients
    url = begin(one)
    say(one, url, LONG)
    seen = read(two, from_the_start(url), count=12)
    pair.servers[0].kill()
    began = time.monotonic()
    assert say(two, url, "Are you there?")["message"]
    assert time.monotonic() - began <= 15, "seven seconds, on a machine that does other things as well"
    seen += read(two, f"{url}/events?after={seen[-1][0]}", runs=2)
    check_whole(seen)
    assert "run.interrupted" in [kind for _, kind in seen]
    alive = [node["name"] for node in two.get("/api/admin/nodes").json()["nodes"] if node["alive"]]
    assert alive == ["two"]


def test_approval_that_was_asked_for_by_a_node_that_is_dead_is_answered_at_another(pair: Pair) -> None:
    one, two = pair.clients
    url = begin(one)
    asked = {"text": "[[rate=0 call=current_time]]", "tools": [{"name": "current_time", "approval": "ask"}]}
    assert one.post(f"{url}/messages", json=asked).status_code == 202
    seen = read(two, from_the_start(url), last="approval.asked")
    pair.servers[0].kill()
    (call,) = two.get(url).json()["run"]["calls"]
    decision = {"decision": "approve"}
    began = time.monotonic()
    answered = two.post(f"/api/approvals/{call['call']}", json=decision)
    assert answered.status_code == 200, answered.text
    assert time.monotonic() - began <= 15, "seven seconds, on a machine that does other things as well"
    seen += read(two, f"{url}/events?after={seen[-1][0]}")
    check_whole(seen)
    kinds = [kind for _, kind in seen]
    assert [kinds.count(kind) for kind in ("tool.called", "tool.returned", "run.completed")] == [1, 1, 1]
    assert "run.interrupted" not in kinds, "nothing was at work when its node died"
    one = pair.ready().clients[0]
    assert one.post(f"/api/approvals/{call['call']}", json=decision).json() == answered.json()
    assert one.post(f"/api/approvals/{call['call']}", json={"decision": "deny"}).status_code == 409


def test_owner_that_was_stopped_for_long_shows_and_writes_nothing_more(pair: Pair) -> None:
    one, two = pair.clients
    url = begin(one)
    say(one, url, LONG)
    seen = read(two, from_the_start(url), count=12)
    pair.servers[0].signal(signal.SIGSTOP)
    try:
        say(two, url, "Are you there?")
    finally:
        pair.servers[0].signal(signal.SIGCONT)
    seen += read(two, f"{url}/events?after={seen[-1][0]}", runs=2)
    check_whole(seen)
    assert read(one, from_the_start(url), runs=2) == seen
    assert one.get("/readyz").status_code == 200
    assert say(one, url, "And now?")["message"]


def test_node_that_is_told_to_stop_hands_over(pair: Pair) -> None:
    one, two = pair.clients
    running, resting = begin(one), begin(one)
    say(one, resting, "Well?")
    read(one, from_the_start(resting))
    say(one, running, LONG)
    seen = read(two, from_the_start(running), count=5)
    pair.servers[0].signal(signal.SIGTERM)
    time.sleep(0.2)
    began = time.monotonic()
    say(two, resting, "And now?")
    assert time.monotonic() - began < 4, "for a lease, nobody waits"
    seen += read(two, f"{running}/events?after={seen[-1][0]}")
    check_whole(seen)
    assert "run.interrupted" not in [kind for _, kind in seen], "an answer that ends within the grace is not cut"
    assert pair.servers[0].wait(20) == 0
    assert not any(node["name"] == "one" and node["alive"] for node in two.get("/api/admin/nodes").json()["nodes"])


def test_session_that_ends_lets_nobody_in_anywhere(pair: Pair) -> None:
    with client_of(pair.servers[0]) as one, client_of(pair.servers[1]) as two:
        body = {"email": "ada@example.org", "password": "correct horse"}
        assert one.post("/api/auth/login", json=body).status_code == 200
        two.cookies = one.cookies
        assert two.get("/api/auth/me").status_code == 200
        with two.stream("GET", "/api/events") as answer:
            lines = answer.iter_lines()
            assert next(lines)
            began = time.monotonic()
            assert one.post("/api/auth/logout", headers={"Origin": str(one.base_url)}).status_code in (200, 204)
            for _ in lines:
                pass
            assert time.monotonic() - began < 8
        assert two.get("/api/auth/me").status_code == 401


def test_what_is_for_nodes_is_for_nobody_else(pair: Pair) -> None:
    one, _ = pair.clients
    for path in ("/internal/commands", "/internal/greetings"):
        assert one.get(path).status_code == 405
        for header in ("", "a b 1 c d e", "\u00e9", f"one two 1 {'0' * 32} {'0' * 64} {'0' * 64}"):
            refused = one.post(path, json={}, headers={b"Trialogue-Node": header.encode()})
            assert refused.status_code == 401, refused.text
            assert refused.json()["code"] == "signature"


@pytest.fixture
def url(dsn: str) -> Iterator[str]:
    with open_schema(dsn) as url:
        yield url


def all_greeted(client: httpx2.Client) -> dict[str, Any]:
    """Two others have been greeted, in vain; a node does so every now and then."""
    nodes: list[Any] = []
    for _ in range(200):
        nodes = client.get("/api/admin/nodes").json()["nodes"]
        if sum(node["unreachable"] is not None for node in nodes) == 2:
            return {node["name"]: node for node in nodes}
        time.sleep(0.2)
    raise AssertionError(f"not all were found to be out of reach: {nodes}")


def test_nodes_without_a_common_secret_ask_by_way_of_the_database(url: str, tmp_path: Path) -> None:
    servers = (
        prepare(tmp_path, url, "one"),
        prepare(tmp_path, url, "two", cluster_secret="another-secret-by-mistake"),
        prepare(tmp_path, url, "three", cluster_secret=""),
    )
    with ExitStack() as stack:
        for server in servers:
            stack.callback(server.close)
            server.start()
        clients = [stack.enter_context(client_of(server)) for server in servers]
        register(*clients)
        talk = begin(clients[0])
        say(clients[0], talk)
        for client in clients[1:]:
            began = time.monotonic()
            say(client, talk, "And another one")
            assert time.monotonic() - began < 10
            wrong = client.patch(talk, json={"title": "x"}, headers={"If-Match": '"0"'})
            assert wrong.status_code == 412, wrong.text
        check_whole(read(clients[2], from_the_start(talk), runs=3))
        nodes = all_greeted(clients[0])
        assert "cluster_secret has to be the same" in nodes["two"]["unreachable"]
        assert "no cluster_secret" in nodes["three"]["unreachable"]
        assert "2 of 2 others cannot be asked" in clients[0].get("/readyz").json()["checks"]["nodes"]["detail"]


def test_address_that_leads_nowhere_is_told_by_readyz(url: str, tmp_path: Path) -> None:
    server = prepare(tmp_path, url, "one", advertise="http://127.0.0.1:1")
    try:
        server.start()
        ready = httpx2.get(f"{server.url}/readyz", trust_env=False)
        assert ready.status_code == 200, "its clients reach it"
        assert "look at advertise" in ready.json()["checks"]["nodes"]["detail"]
        assert "127.0.0.1:1" not in ready.text, "anyone may ask"
    finally:
        server.close()


def test_nodes_are_listed_without_a_server(pair: Pair, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "trialogue_server", "nodes", "--storage-url", pair.url]
    table = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert sorted(line.split()[:2] for line in table.splitlines()[1:] if "alive" in line) == [
        ["one", "alive"],
        ["two", "alive"],
    ]
    found = subprocess.run([*command, "--json"], capture_output=True, check=True, cwd=tmp_path).stdout
    alive = {node["address"] for node in json.loads(found)["nodes"] if node["alive"]}
    assert alive == {server.url for server in pair.servers}


def read(
    client: httpx2.Client, url: str, runs: int = 1, count: int | None = None, last: str = ""
) -> list[tuple[str, str]]:
    """The cursors and types of so many events, of those up to the first ``last``, or of all to the end of so many runs."""
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
                if len(seen) == count or not runs or line[7:] == last:
                    break
    return seen
