"""``make run STORE=postgres``: a server on a PostgreSQL and a Redis that live as long as it does; their data stays."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import httpx2
import pytest
from served import Server

SCRIPT = Path(__file__).parents[2] / "deploy" / "with_services.py"


class Whole(Server):
    """The server with its services."""

    def command(self) -> list[str]:
        return [sys.executable, str(SCRIPT), "--port", str(self.port)]

    def children(self) -> dict[str, int]:
        """The processes it started, by the names of their programs."""
        assert self.process is not None
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return {Path(f"/proc/{pid}/comm").read_text().strip(): int(pid) for pid in found}


@pytest.fixture
def server() -> Iterator[Whole]:
    # Not pytest's folder: as root, PostgreSQL runs as somebody who may not enter that.
    folder = Path(mkdtemp(prefix="trialogue-services-"))
    folder.chmod(0o755)
    server = Whole(folder)
    try:
        yield server
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)


def wait_until_gone(pids: dict[str, int]) -> None:
    end = time.monotonic() + 30
    while left := [name for name, pid in pids.items() if is_running(pid)]:
        assert time.monotonic() < end, f"{left} are still there"
        time.sleep(0.02)  # Other processes are watched, and tell nobody.


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def client_of(server: Server) -> httpx2.Client:
    return httpx2.Client(base_url=server.url, timeout=20, trust_env=False)


def test_data_is_found_again_and_nothing_is_left_running(server: Whole) -> None:
    server.start()
    with client_of(server) as client:
        credentials = {"email": "ada@example.org", "password": "correct horse"}
        assert client.post("/api/auth/register", json={**credentials, "name": "Ada"}).status_code == 201
        assert client.post("/api/conversations", json={"title": "Kept"}).status_code == 201
    children = server.children()
    assert {"postgres", "valkey-server"} <= children.keys()
    server.signal(signal.SIGTERM)
    assert server.wait(40) == 0
    wait_until_gone(children)

    server.start()
    with client_of(server) as client:
        assert client.post("/api/auth/login", json=credentials).status_code == 200
        assert [one["title"] for one in client.get("/api/conversations").json()["conversations"]] == ["Kept"]
    children = server.children()
    server.kill()  # Nobody is there to end them.
    wait_until_gone(children)


def test_service_that_ends_takes_the_rest_with_it(server: Whole) -> None:
    server.start()
    children = server.children()
    os.kill(children["valkey-server"], signal.SIGKILL)
    assert server.wait(40) == 1
    assert "Redis ended by itself" in server.log()
    wait_until_gone(children)
