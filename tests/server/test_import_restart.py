"""Imports outlive the process: killed in the midst of one, the next start goes on with it, or says that it cannot."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from served import Server

COUNT = 400


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path, rate_per_user="100000", rate_per_address="100000")
    try:
        server.start()
        yield server
    finally:
        server.close()


@contextmanager
def logged_in(server: Server) -> Generator[httpx2.Client]:
    with httpx2.Client(base_url=server.url, trust_env=False, timeout=10) as client:
        body = {"email": "ada@example.org", "password": "correct horse", "name": "Ada"}
        assert client.post("/api/auth/register", json=body).status_code == 201
        yield client


def export() -> bytes:
    def chat(number: int) -> dict[str, Any]:
        message = {"author": {"role": "user"}, "content": {"parts": [f"number {number}"]}}
        return {"title": f"{number}", "conversation_id": f"c{number}", "mapping": {"u": {"message": message}}}

    return json.dumps([chat(number) for number in range(COUNT)]).encode()


def begun(client: httpx2.Client) -> str:
    """An import that has taken something in, and not all."""
    answer = client.post("/api/import", content=export())
    assert answer.status_code == 202, answer.text
    url: str = answer.headers["location"]
    wait(client, url, lambda job: job["added"] > 0)
    return url


def wait(client: httpx2.Client, url: str, holds: Any) -> dict[str, Any]:  # Any: a question about a job.
    end = time.monotonic() + 30
    while time.monotonic() < end:
        job: dict[str, Any] = client.get(url).json()
        if holds(job):
            return job
        time.sleep(0.005)  # It is asked, as a page would.
    raise AssertionError(job)


def test_killed_in_the_midst_it_goes_on(server: Server, tmp_path: Path) -> None:
    with logged_in(server) as client:
        url = begun(client)
        server.kill()
        server.start()
        job = wait(client, url, lambda job: job["state"] not in ("waiting", "running"))
        assert (job["state"], job["added"] + job["present"], job["failed"], job["total"]) == ("done", COUNT, 0, COUNT)
        titles: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = client.get("/api/conversations", params={"limit": "100", **cursor}).json()
            titles += [one["title"] for one in page["conversations"]]
            if page["cursor"] is None:
                break
            cursor = {"cursor": page["cursor"]}
        assert sorted(titles, key=int) == [str(number) for number in range(COUNT)]
        assert not list((tmp_path / "data/imports").glob("*"))


def test_what_cannot_go_on_says_so(server: Server, tmp_path: Path) -> None:
    with logged_in(server) as client:
        url = begun(client)
        server.kill()
        for path in (tmp_path / "data/imports").glob("*.upload"):
            path.unlink()
        (tmp_path / "data/imports/left.part").write_bytes(b"left by a crash")
        server.start()
        job = wait(client, url, lambda job: job["state"] not in ("waiting", "running"))
        assert (job["state"], "send it again" in job["detail"]) == ("cut_off", True)
        assert client.post("/api/import", content=export()).status_code == 202
        assert not (tmp_path / "data/imports/left.part").exists()
