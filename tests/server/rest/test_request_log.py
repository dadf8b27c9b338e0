"""One line for each request: what was asked, by whom, how it ended; and whatever else is logged meanwhile says for whom."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import trio.testing
from rest import Server, open_stream, read_events, serve

from trialogue import Request
from trialogue.testing import ScriptedProvider
from trialogue_server._process import logs
from trialogue_server.config import Config


class Lines(io.StringIO):
    """What was logged, as JSON."""

    async def requests(self) -> list[dict[str, Any]]:
        # The line is written when the answer is on its way.
        await trio.testing.wait_all_tasks_blocked()
        entries = [json.loads(line) for line in self.getvalue().splitlines()]
        return [entry for entry in entries if entry["logger"] == "trialogue.requests"]


@pytest.fixture
def lines() -> Iterator[Lines]:
    stream = Lines()
    handler = logs.configure(Config(log_format="json"), stream)
    yield stream
    logging.getLogger().removeHandler(handler)
    logging.getLogger().setLevel(logging.WARNING)
    logging.captureWarnings(False)


async def test_line_says_what_by_whom_and_how_it_ended(lines: Lines, server: Server) -> None:
    async with server.user("ada") as ada:
        me = (await ada.get("/api/auth/me")).json()["id"]
        url = (await ada.post("/api/conversations", json={})).headers["location"]
        asked = await ada.post(f"{url}/messages?after=", json={"text": "Hi"}, headers={"X-Request-Id": "find-me"})
    line = (await lines.requests())[-1]
    assert line == {
        "time": line["time"],
        "level": "info",
        "logger": "trialogue.requests",
        "request": "find-me",
        "method": "POST",
        "route": "/api/conversations/<id>/messages",
        "status": 202,
        "ms": line["ms"],
        "bytes": len(asked.content),
        "user": me,
        "conversation": url.rpartition("/")[2],
        "run": asked.json()["run"],
    }
    assert line["ms"] > 0


async def test_line_of_a_key_names_it(lines: Lines, server: Server) -> None:
    async with server.user("ada") as ada:
        made = (await ada.post("/api/auth/keys", json={"name": "k", "scopes": ["read"]})).json()
    async with server.client() as client:
        await client.get("/api/models", headers={"Authorization": f"Bearer {made['token']}"})
    assert (await lines.requests())[-1]["key"] == made["key"]["id"]
    assert made["token"] not in lines.getvalue()


async def test_nothing_of_an_address_is_logged_but_its_pattern(lines: Lines, server: Server) -> None:
    async with server.client() as client:
        for path in ("/api/shared/secret-token", "/api/secret-path", "/api/models?token=secret-token"):
            await client.get(path)
    assert [(line.get("route"), line["status"]) for line in await lines.requests()] == [
        ("/api/shared/<token>", 404),
        (None, 404),
        ("/api/models", 422),
    ]
    assert "secret" not in lines.getvalue()


async def test_health_and_files_of_the_page_are_quiet(lines: Lines, server: Server) -> None:
    async with server.client() as client:
        for path in ("/healthz", "/readyz", "/", "/page/base.css"):
            assert (await client.get(path)).status_code == 200
    assert await lines.requests() == []


async def test_stream_is_one_line_when_it_ends(lines: Lines, server: Server) -> None:
    async with server.user("ada") as ada:
        url = (await ada.post("/api/conversations", json={})).headers["location"]
        async with open_stream(ada, f"{url}/events") as stream:
            await stream.event()
            assert not [line for line in await lines.requests() if line["route"].endswith("/events")]
            server.hub.close_where(lambda tag: True)
            await stream.body()
        await ada.get("/api/auth/me")
    (line,) = [line for line in await lines.requests() if line["route"].endswith("/events")]
    assert (line["status"], "bytes" in line, line["conversation"]) == (200, False, url.rpartition("/")[2])


async def test_what_else_is_logged_tells_the_request(
    lines: Lines, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise ValueError("broken")

    async with server.user("ada") as ada:
        url = (await ada.post("/api/conversations", json={})).headers["location"]
        monkeypatch.setattr(server.engine, "snapshot", fail)
        await ada.get(url, headers={"X-Request-Id": "find-me"})
    (entry,) = [json.loads(line) for line in lines.getvalue().splitlines() if "traceback" in line]
    assert (entry["request"], "user" in entry) == ("find-me", True)


async def test_what_a_run_logs_is_not_told_of_the_request_that_began_it(lines: Lines) -> None:
    class Broken(ScriptedProvider):
        def open_response(self, request: Request) -> Any:
            raise ValueError("broken")

    async with serve(Broken(["never said"])) as server, server.user("ada") as ada:
        url = (await ada.post("/api/conversations", json={})).headers["location"]
        accepted = (await ada.post(f"{url}/messages", json={"text": "Hi"})).json()
        await read_events(ada, f"{url}/events", "run.failed", count=0)
    (entry,) = [json.loads(line) for line in lines.getvalue().splitlines() if "traceback" in line]
    assert (entry["run"], entry["conversation"]) == (accepted["run"], url.rpartition("/")[2])
    assert "request" not in entry


async def test_requests_need_not_be_logged(lines: Lines) -> None:
    async with serve(log_requests=False) as server, server.client() as client:
        await client.get("/api/models")
    assert await lines.requests() == []
