"""A server that runs as a service of ``bench.manager``'s: it says what it does, and its successors are ended with it."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from bench.manager import Manager
from served import Server

from trialogue import new_id


class Service(Server):
    """A real server, with the manager that hears it."""

    def __init__(self, folder: Path, manager: Manager, environment: dict[str, str], **settings: str) -> None:
        super().__init__(folder, **settings)
        self._settings |= environment
        self.manager = manager
        self.folder = folder

    def start(self) -> None:
        super().start()
        assert self.process is not None
        self.manager.pid = self.process.pid

    def close(self) -> None:
        self.manager.end()
        super().close()


@contextmanager
def serving(folder: Path, environment: dict[str, str] | None = None, **settings: str) -> Generator[Service]:
    """One, up; gone at the end, whichever process it has become."""
    manager = Manager(folder / "notify")
    server = Service(folder, manager, {"NOTIFY_SOCKET": manager.address, **(environment or {})}, **settings)
    try:
        server.start()
        yield server
    finally:
        server.close()


@contextmanager
def signed_in(server: Server, name: str = "ada") -> Generator[httpx2.Client]:
    """A client with an account."""
    with httpx2.Client(base_url=server.url, timeout=15, trust_env=False) as client:
        body = {"email": f"{name}@example.org", "password": "correct horse", "name": name}
        assert client.post("/api/auth/register", json=body).status_code == 201
        yield client


def conversation_of(client: httpx2.Client, text: str) -> str:
    """A new conversation in which ``text`` is being answered."""
    name: str = client.post("/api/conversations", json={}).json()["id"]
    answer = client.post(f"/api/conversations/{name}/messages", json={"text": text, "id": new_id()})
    assert answer.status_code == 202, answer.text
    return name


def heard(client: httpx2.Client, conversation: str) -> list[str]:
    """The lines of a conversation's stream up to where nothing is being written any more, which may be at once."""
    lines: list[str] = []
    with client.stream("GET", f"/api/conversations/{conversation}/events") as events:
        for line in events.iter_lines():
            lines.append(line)
            if line == "event: run.completed" or _is_rest(line):
                break
    return lines


def _is_rest(line: str) -> bool:
    """Whether it is a snapshot that shows no run."""
    if not line.startswith('data: {"type":"snapshot"'):
        return False
    return json.loads(line.removeprefix("data: ")).get("run") is None
