"""``GET /api/events``: the caller's list as it changes. What a feed promises is tested with the core (``test_feed``)."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
import trio
from rest import EventStream, Server, open_stream, serve

from trialogue import new_id
from trialogue.testing import ScriptedProvider

URL = "/api/events"


async def make(client: httpx2.AsyncClient, **fields: Any) -> str:
    name: str = (await client.post("/api/conversations", json=fields)).json()["id"]
    return name


async def changed(stream: EventStream) -> tuple[list[str], dict[str, Any]]:
    event = await stream.event()
    assert event is not None, "the stream ended"
    assert event["type"] == "conversation.changed", event
    return event["events"], event["conversation"]


async def test_list_begins_with_a_snapshot_and_goes_on(ada: httpx2.AsyncClient) -> None:
    old = await make(ada, title="Old")
    async with open_stream(ada, URL) as stream:
        assert stream.status == 200
        assert stream.headers["content-type"].startswith("text/event-stream")
        snapshot = await stream.event()
        assert snapshot is not None
        assert (snapshot["type"], snapshot["id"]) == ("snapshot", snapshot["token"])
        assert [row["id"] for row in snapshot["conversations"]] == [old]
        new = await make(ada, title="New")
        assert await changed(stream) == (["conversation.created"], (await row_of(ada, new)))
        await ada.patch(f"/api/conversations/{new}", json={"pinned": True, "folder": "birds"})
        events, row = await changed(stream)
        assert (events, row["pinned"], row["folder"]) == (["conversation.updated"], True, "birds")
        await ada.delete(f"/api/conversations/{new}")
        assert (await changed(stream))[1]["deleted_at"] is not None
        await ada.post(f"/api/conversations/{new}/restore")
        assert (await changed(stream))[1]["deleted_at"] is None
        await ada.delete(f"/api/conversations/{new}?purge=true")
        await changed(stream)
        gone = await stream.event()
        assert gone is not None
        assert (gone["type"], gone["conversation"]) == ("conversation.purged", new)


async def row_of(client: httpx2.AsyncClient, name: str) -> dict[str, Any]:
    """The row as the conversation's own address has it."""
    conversation = (await client.get(f"/api/conversations/{name}")).json()["conversation"]
    names = (
        "id",
        "title",
        "model",
        "archived",
        "pinned",
        "folder",
        "created_at",
        "updated_at",
        "deleted_at",
        "version",
    )
    return {**{key: conversation[key] for key in names}, "seq": conversation["version"], "run": None, "waiting": 0}


async def test_who_is_speaking_is_told(ada: httpx2.AsyncClient) -> None:
    name = await make(ada)
    async with open_stream(ada, URL) as stream:
        await stream.event()
        posted = (await ada.post(f"/api/conversations/{name}/messages", json={"text": "Hi"})).json()
        events, row = await changed(stream)
        assert "run.started" in events
        assert (row["run"]["run"], row["run"]["message"]) == (posted["run"], posted["answer"])
        while "run.completed" not in events:
            events, row = await changed(stream)
        assert row["run"] is None


@pytest.mark.parametrize("by_header", [True, False])
async def test_list_goes_on_after_a_cursor(ada: httpx2.AsyncClient, by_header: bool) -> None:
    async with open_stream(ada, URL) as stream:
        first = await stream.event()
    assert first is not None
    names = [await make(ada, title=f"Number {number}") for number in range(3)]
    target = URL if by_header else f"{URL}?after={first['id']}"
    async with open_stream(ada, target, **({"Last_Event_ID": first["id"]} if by_header else {})) as stream:
        assert [(await changed(stream))[1]["id"] for _ in names] == names


async def test_cursor_of_another_process_starts_over(ada: httpx2.AsyncClient) -> None:
    name = await make(ada)
    async with open_stream(ada, f"{URL}?after=0123456789abcdef.000000000007") as stream:
        first, second = await stream.event(), await stream.event()
    assert first is not None
    assert second is not None
    assert (first["type"], first["id"], second["type"]) == ("reset", "", "snapshot")
    assert [row["id"] for row in second["conversations"]] == [name]


@pytest.mark.parametrize("query", ["after=yesterday", "limit=0", "limit=101", "limit=many", "archived=true"])
async def test_what_cannot_be_asked_is_refused(ada: httpx2.AsyncClient, query: str) -> None:
    async with open_stream(ada, f"{URL}?{query}") as stream:
        assert stream.status == 422
        assert b'"code":"invalid"' in await stream.body()


async def test_snapshot_has_as_many_rows_as_asked_for(ada: httpx2.AsyncClient) -> None:
    names = [await make(ada) for _ in range(3)]
    async with open_stream(ada, f"{URL}?limit=2") as stream:
        snapshot = await stream.event()
    assert snapshot is not None
    assert ([row["id"] for row in snapshot["conversations"]], snapshot["has_more"]) == ([names[2], names[1]], True)
    page = (await ada.get(f"/api/conversations?limit=2&cursor={snapshot['cursor']}")).json()
    assert [row["id"] for row in page["conversations"]] == [names[0]]


async def test_another_users_list_is_not_shown(ada: httpx2.AsyncClient, eve: httpx2.AsyncClient) -> None:
    await make(ada, title="Secret")
    async with open_stream(eve, URL) as stream:
        snapshot = await stream.event()
        assert snapshot is not None
        assert (snapshot["conversations"], snapshot["running"]) == ([], [])
        await make(ada, title="Secret too")
        name = await make(eve)
        assert (await changed(stream))[1]["id"] == name


async def test_list_needs_a_login_and_counts_as_a_stream() -> None:
    async with serve(streams_per_user=1) as server, server.user() as ada, server.client() as nobody:
        async with open_stream(nobody, URL) as stream:
            assert stream.status == 401
        async with open_stream(ada, URL) as one, open_stream(ada, URL) as two:
            assert (one.status, two.status) == (200, 429)


async def test_logout_ends_the_list(server: Server, ada: httpx2.AsyncClient) -> None:
    async with open_stream(ada, URL) as stream:
        await stream.event()
        await ada.post("/api/auth/logout")
        assert await stream.event() is None


async def test_draining_says_goodbye_on_the_list(server: Server, ada: httpx2.AsyncClient) -> None:
    async with open_stream(ada, URL) as stream:
        await stream.event()
        server.hub.drain()
        body = await stream.body()
        assert b"event: reconnect\n" in body


async def test_head_of_the_list_opens_none(server: Server, ada: httpx2.AsyncClient) -> None:
    answer = await ada.head(URL)
    assert (answer.status_code, answer.content) == (200, b"")
    assert server.hub.statistics().opened == 0
    assert server.engine.feeds.statistics()["feeds"] == 0


async def test_slow_reader_of_the_list_is_given_a_new_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind the journal while connected: a reset and a snapshot on the same stream, and then what follows."""
    monkeypatch.setattr("trialogue._lists.feed.BYTES", 4_000)
    async with serve(ScriptedProvider(["Hello"])) as server, server.user() as ada:
        name = new_id()
        await make(ada, id=name)
        async with open_stream(ada, URL) as stream:
            await stream.event()
            (feed,) = server.engine.feeds._feeds.values()
            # Not woken, as a reader whose socket takes nothing.
            (reader,) = server.hub.rounds._silent
            reader.busy = True
            for number in range(40):
                await ada.patch(f"/api/conversations/{name}", json={"title": f"Title {number}"})
            assert feed.base > reader.seq
            reader.busy = False
            reader.wake()
            kinds: list[str] = []
            with trio.fail_after(5):
                while not kinds or kinds[-1] != "snapshot":
                    event = await stream.event()
                    assert event is not None
                    kinds.append(event["type"])
            assert kinds[-2:] == ["reset", "snapshot"]
            assert event is not None
            assert event["conversations"][0]["title"] == "Title 39"
