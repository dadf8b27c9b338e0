"""Streams over HTTP: where they begin, who may open them, how many, and when they end. The hub has tests of its own."""

from __future__ import annotations

from typing import Any

import h11
import httpx2
import pytest
import trio
from rest import EventStream, Server, open_stream, read_events, serve

from trialogue import new_id
from trialogue.testing import ScriptedProvider


async def make(client: httpx2.AsyncClient) -> str:
    location: str = (await client.post("/api/conversations", json={})).headers["location"]
    return location


async def until(stream: EventStream, kind: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    while not events or events[-1]["type"] != kind:
        event = await stream.event()
        assert event is not None, "the stream ended"
        events.append(event)
    return events


async def test_stream_begins_with_a_snapshot_and_goes_on(ada: httpx2.AsyncClient) -> None:
    url = await make(ada)
    async with open_stream(ada, f"{url}/events") as stream:
        assert stream.status == 200
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["cache-control"] == "no-cache, no-transform"
        assert stream.headers["x-accel-buffering"] == "no"
        assert "x-request-id" in stream.headers
        snapshot = await stream.event()
        assert snapshot is not None
        assert (snapshot["type"], snapshot["id"]) == ("snapshot", snapshot["token"])
        await ada.post(f"{url}/messages", json={"text": "Hi"})
        events = await until(stream, "run.completed")
    assert [event["type"] for event in events][:1] == ["message.added"]
    numbers = [int(event["id"].rpartition(".")[2]) for event in events]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("by_header", [True, False])
async def test_stream_goes_on_after_a_cursor(ada: httpx2.AsyncClient, by_header: bool) -> None:
    url = await make(ada)
    posted = await ada.post(f"{url}/messages", json={"text": "Hi"})
    seen = await read_events(ada, posted.headers["location"], "run.completed")
    cursor = seen[2]["id"]
    target = f"{url}/events" if by_header else f"{url}/events?after={cursor}"
    headers = {"Last_Event_ID": cursor} if by_header else {}
    async with open_stream(ada, target, **headers) as stream:
        assert await until(stream, "run.completed") == seen[3:]


async def test_cursor_that_is_too_new_starts_over(ada: httpx2.AsyncClient) -> None:
    url = await make(ada)
    async with open_stream(ada, f"{url}/events?after=0001.0000000001.000000000999") as stream:
        first, second = await stream.event(), await stream.event()
    assert first is not None
    assert second is not None
    assert (first["type"], first["id"], second["type"]) == ("reset", "", "snapshot")


async def test_what_is_no_cursor_is_refused(ada: httpx2.AsyncClient) -> None:
    url = await make(ada)
    async with open_stream(ada, f"{url}/events?after=yesterday") as stream:
        assert stream.status == 422
        assert stream.headers["content-type"] == "application/problem+json"
        assert b'"code":"invalid"' in await stream.body()


async def test_post_streams_its_events_at_once(ada: httpx2.AsyncClient) -> None:
    url = await make(ada)
    async with open_stream(ada, f"{url}/messages", "POST", {"text": "Hi"}, Accept="text/event-stream") as stream:
        assert stream.status == 200
        events = await until(stream, "run.completed")
        assert stream.headers["location"].startswith(f"{url}/events?after=")
    assert events[0]["type"] == "message.added"
    assert events[0]["message"]["parts"] == [{"type": "text", "text": "Hi"}]
    assert await read_events(ada, stream.headers["location"], "run.completed") == events


async def test_repeated_post_attaches(ada: httpx2.AsyncClient, server: Server) -> None:
    """By its id or key from the beginning, and by the last event seen from there: never a second turn."""
    url = await make(ada)
    body, accept = {"text": "Hi", "id": new_id()}, {"Accept": "text/event-stream"}
    async with open_stream(ada, f"{url}/messages", "POST", body, **accept) as stream:
        events = await until(stream, "run.completed")
    async with open_stream(ada, f"{url}/messages", "POST", body, **accept) as stream:
        assert await until(stream, "run.completed") == events
    headers = {**accept, "Last_Event_ID": events[0]["id"]}
    async with open_stream(ada, f"{url}/messages", "POST", {"text": "Hi"}, **headers) as stream:
        assert await until(stream, "run.completed") == events[1:]
    assert len((await ada.get(url)).json()["messages"]) == 2
    assert len(server.provider.requests) == 1


async def test_run_goes_on_without_its_reader() -> None:
    more = trio.Event()
    async with serve(ScriptedProvider(["Hello", more, " world"])) as server, server.user() as ada:
        url = await make(ada)
        async with open_stream(ada, f"{url}/messages", "POST", {"text": "Hi"}, Accept="text/event-stream") as stream:
            await until(stream, "part.delta")
        more.set()
        await read_events(ada, f"{url}/events?after={(await ada.get(url)).json()['token']}", "run.completed")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [({"text": ""}, 422, "invalid"), ({"text": "a", "id": "1"}, 422, "invalid"), ({"text": 1}, 422, "invalid")],
)
async def test_post_that_cannot_be_meant_is_a_problem_and_no_stream(
    ada: httpx2.AsyncClient, body: dict[str, Any], status: int, code: str
) -> None:
    url = await make(ada)
    async with open_stream(ada, f"{url}/messages", "POST", body, Accept="text/event-stream") as stream:
        assert (stream.status, stream.headers["content-type"]) == (status, "application/problem+json")
        assert f'"code":"{code}"'.encode() in await stream.body()
    assert (await ada.get(url)).json()["messages"] == []


async def test_post_from_another_site_is_refused(ada: httpx2.AsyncClient) -> None:
    url = await make(ada)
    headers = {"Accept": "text/event-stream", "Origin": "http://evil.example"}
    async with open_stream(ada, f"{url}/messages", "POST", {"text": "Hi"}, **headers) as stream:
        assert stream.status == 403


async def test_body_of_a_streaming_post_is_limited() -> None:
    async with serve(max_body_bytes=2048) as server, server.user() as ada:
        url = await make(ada)
        async with open_stream(
            ada, f"{url}/messages", "POST", {"text": "x" * 4000}, Accept="text/event-stream"
        ) as stream:
            assert stream.status == 413


async def test_streams_per_user_are_limited() -> None:
    async with serve(streams_per_user=2) as server, server.user() as ada, server.user("eve") as eve:
        url = await make(ada)
        async with open_stream(ada, f"{url}/events") as one, open_stream(ada, f"{url}/events"):
            await until(one, "snapshot")
            async with open_stream(ada, f"{url}/events") as third:
                assert third.status == 429
                assert "retry-after" in third.headers
                assert b"streams_per_user" in await third.body()
            async with open_stream(eve, f"{await make(eve)}/events") as other:
                assert other.status == 200
        # Closed by their reader, they count no longer.
        with trio.fail_after(5):
            while True:
                async with open_stream(ada, f"{url}/events") as again:
                    if again.status == 200:
                        break


async def test_logout_ends_the_sessions_streams(server: Server, ada: httpx2.AsyncClient) -> None:
    url = await make(ada)
    async with server.client() as other:
        await other.post("/api/auth/login", json={"email": "ada@example.org", "password": "correct horse"})
        async with open_stream(ada, f"{url}/events") as mine, open_stream(other, f"{url}/events") as theirs:
            await until(mine, "snapshot")
            await until(theirs, "snapshot")
            await ada.post("/api/auth/logout")
            assert await mine.event() is None
            await other.post(f"{url}/messages", json={"text": "Hi"})
            await until(theirs, "run.completed")


async def test_purge_ends_the_conversations_streams(ada: httpx2.AsyncClient) -> None:
    url = await make(ada)
    async with open_stream(ada, f"{url}/events") as stream:
        await until(stream, "snapshot")
        await ada.delete(f"{url}?purge=true")
        while await stream.event() is not None:
            pass


async def test_stream_that_fails_never_ends_cleanly(
    server: Server, ada: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(scope: Any, receive: Any, send: Any, *_: Any, **__: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b": ok\n\n", "more_body": True})
        raise ValueError("in the middle")

    monkeypatch.setattr(server.hub, "stream", fail)
    url = await make(ada)
    async with open_stream(ada, f"{url}/events") as stream:
        with pytest.raises(h11.RemoteProtocolError, match="without sending complete message body"):
            await stream.body()


async def test_head_of_a_stream_opens_none(server: Server, ada: httpx2.AsyncClient) -> None:
    url = await make(ada)
    answer = await ada.head(f"{url}/events")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"].startswith("text/event-stream")
