"""An account that was deleted is gone with all it owned, also when the server is killed the moment it says so."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
from served import Server

from trialogue_sqlite._driver import connect

COUNT = 20
#: Accounts that are deleted until one is found half gone after the kill.
ATTEMPTS = 10


def test_what_a_deleted_account_owned_goes_after_a_kill(tmp_path: Path) -> None:
    server = Server(tmp_path)
    with ExitStack() as opened:
        opened.callback(server.close)
        server.start()
        root = opened.enter_context(registered(server, "root"))
        kept = root.post("/api/conversations", json={}).json()["id"]
        for attempt in range(ATTEMPTS):
            eve = opened.enter_context(registered(server, f"eve{attempt}"))
            for _ in range(COUNT):
                assert eve.post("/api/conversations", json={"title": "Mine"}).status_code == 201
            gone = eve.request("DELETE", "/api/auth/me", json={"password": "correct horse"})
            server.kill()
            assert gone.status_code == 204
            half = len(owned(tmp_path)) > 1
            server.start()
            if half:
                break
        else:
            raise AssertionError("all was gone before each kill, so that nothing was seen")
        end = time.monotonic() + 60
        while owned(tmp_path) != [kept] and time.monotonic() < end:
            time.sleep(0.05)  # Another process works meanwhile, and tells nobody when it is done.
        assert owned(tmp_path) == [kept]
        assert eve.post("/api/conversations", json={}).status_code == 401
        assert root.get(f"/api/conversations/{kept}").status_code == 200


@contextmanager
def registered(server: Server, name: str) -> Generator[httpx2.Client]:
    with httpx2.Client(base_url=server.url, timeout=20, trust_env=False) as client:
        body = {"email": f"{name}@example.org", "password": "correct horse", "name": name}
        assert client.post("/api/auth/register", json=body).status_code == 201
        yield client


def owned(folder: Path) -> list[str]:
    connection = connect(folder / "data" / "trialogue.db", write=False)
    try:
        return [name for (name,) in connection.execute("SELECT id FROM conversation")]
    finally:
        connection.close()
