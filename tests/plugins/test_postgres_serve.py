"""A real server over a real PostgreSQL: killed in the midst of an answer, it goes on where it was, for a reader too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from postgres_stores import open_dsn, open_schema
from served import Server

ENDS = {"run.completed", "run.failed", "run.cancelled", "run.incomplete"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with open_dsn() as dsn, open_schema(dsn) as url:
        server = Server(tmp_path, storage_url=url)
        try:
            server.start()
            yield server
        finally:
            server.close()


def test_answer_goes_on_after_a_kill(server: Server) -> None:
    with httpx2.Client(base_url=server.url, timeout=20, trust_env=False) as client:
        body = {"email": "ada@example.org", "password": "correct horse", "name": "Ada"}
        assert client.post("/api/auth/register", json=body).status_code == 201
        url = f"/api/conversations/{client.post('/api/conversations', json={}).json()['id']}"
        asked = client.post(f"{url}/messages", json={"text": "An owl, and an owl. " * 8})
        assert asked.status_code == 202, asked.text
        seen = read(client, f"{url}/events?after=0001.0000000001.000000000000", count=12)
        server.kill()
        server.start()
        seen += read(client, f"{url}/events?after={seen[-1][0]}")
        numbers = [int(cursor.rpartition(".")[2]) for cursor, _ in seen]
        assert numbers == list(range(1, len(numbers) + 1))
        kinds = [kind for _, kind in seen]
        assert "run.interrupted" in kinds
        assert kinds[-1] == "run.completed"
        (found,) = client.get("/api/conversations", params={"q": "owl"}).json()["conversations"]
        assert url.endswith(found["id"])


def read(client: httpx2.Client, url: str, count: int | None = None) -> list[tuple[str, str]]:
    """The cursors and types of so many events, or of all to the end of the run."""
    seen: list[tuple[str, str]] = []
    cursor = ""
    with client.stream("GET", url) as answer:
        for line in answer.iter_lines():
            if line.startswith("id: "):
                cursor = line[4:]
            elif line.startswith("event: "):
                seen.append((cursor, line[7:]))
                if len(seen) == count or (count is None and line[7:] in ENDS):
                    break
    return seen


def test_files_searches_links_and_usage_are_kept(server: Server) -> None:
    """All that hangs on messages, over a kill."""
    with httpx2.Client(base_url=server.url, timeout=20, trust_env=False) as client:
        body = {"email": "ada@example.org", "password": "correct horse", "name": "Ada"}
        assert client.post("/api/auth/register", json=body).status_code == 201
        note = {"file": ("note.txt", b"The heron stands still.", "text/plain")}
        uploaded = client.post("/api/upload", files=note)
        assert uploaded.status_code in (200, 201), uploaded.text
        file = uploaded.json()["files"][0]["id"]
        url = f"/api/conversations/{client.post('/api/conversations', json={}).json()['id']}"
        told = {"text": "An owl by the lake", "files": [file], "location": {"lat": 46.9, "lon": 7.4}}
        asked = client.post(f"{url}/messages", json=told)
        assert asked.status_code == 202, asked.text
        read(client, f"{url}/events?after=0001.0000000001.000000000000")
        link = client.post(f"{url}/share", json={})
        assert link.status_code == 201, link.text
        server.kill()
        server.start()
        hits = client.get("/api/search", params={"q": "owl lake"}).json()["hits"]
        assert {hit["kind"] for hit in hits} == {"message", "title"}
        near = client.get("/api/search", params={"near": "46.9,7.4", "radius": 5}).json()["hits"]
        assert [hit["snippet"] for hit in near] == ["An owl by the lake"]
        assert client.get(f"/api/files/{file}").content == b"The heron stands still."
        assert client.get(f"/api/shared/{link.json()['token']}").status_code == 200
        assert client.get("/api/usage").json()["total"]["runs"] == 1
        assert client.delete(url, params={"purge": True}).status_code in (200, 204)
        assert client.get(f"/api/files/{file}").status_code == 404
