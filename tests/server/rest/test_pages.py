"""Pages are bounded in bytes wherever they come from, say truly whether there is more, and together show everything once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from rest import Server, open_stream, serve
from sockets import cookies_of, open_socket
from talking import make, note, texts

#: Two of them fit into a page of so many bytes.
LONG, ROOM = 4_000, 10_000
SAID = [f"{n} ".ljust(LONG, "x") for n in range(7)]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serve(page_bytes=ROOM) as server:
        yield server


@pytest.fixture
async def ada(server: Server) -> AsyncIterator[httpx2.AsyncClient]:
    async with server.user() as client:
        yield client


async def said(client: httpx2.AsyncClient) -> str:
    url = await make(client)
    for text in SAID:
        await note(client, url, text)
    return url


async def page_of(client: httpx2.AsyncClient, url: str, **query: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    answer = await client.get(url, params={"limit": 100, **query})
    assert answer.status_code == 200, answer.text
    assert len(answer.content) < 2 * ROOM
    page: dict[str, Any] = answer.json()
    return page["messages"], page


async def test_branch_is_read_upwards(ada: httpx2.AsyncClient) -> None:
    url = await said(ada)
    found, page = await page_of(ada, url)  # The snapshot, from which older pages go on.
    assert (len(found), page["has_more"]) == (2, True)
    while page["has_more"]:
        older, page = await page_of(ada, f"{url}/messages", before=found[0]["id"])
        assert 0 < len(older) <= 2
        found = older + found
    assert texts(found) == SAID


async def test_branch_is_read_downwards(ada: httpx2.AsyncClient) -> None:
    url = await said(ada)
    found, page = await page_of(ada, f"{url}/messages", after="")
    while page["has_more"]:
        more, page = await page_of(ada, f"{url}/messages", after=found[-1]["id"])
        assert 0 < len(more) <= 2
        found += more
    assert texts(found) == SAID
    nothing, page = await page_of(ada, f"{url}/messages", after=found[-1]["id"])
    assert (nothing, page["has_more"]) == ([], False)


async def test_all_branches_are_read(ada: httpx2.AsyncClient) -> None:
    url = await said(ada)
    found, page = await page_of(ada, url, tree="true")
    while page["has_more"]:
        more, page = await page_of(ada, url, tree="true", cursor=page["cursor"])
        assert 0 < len(more) <= 2
        found += more
    assert texts(found) == SAID


async def test_shared_branch_is_read(ada: httpx2.AsyncClient, server: Server) -> None:
    url = await said(ada)
    link = (await ada.post(f"{url}/share", json={})).json()["token"]
    async with server.client() as anyone:
        found, page = await page_of(anyone, f"/api/shared/{link}")
        while page["has_more"]:
            more, page = await page_of(anyone, f"/api/shared/{link}", cursor=page["cursor"])
            assert 0 < len(more) <= 2
            found += more
    assert texts(found) == SAID
    assert [message["number"] for message in found] == [1, 2, 3, 4, 5, 6, 7]


async def test_streams_begin_with_what_fits(ada: httpx2.AsyncClient, server: Server) -> None:
    url = await said(ada)
    async with open_stream(ada, f"{url}/events") as stream:
        snapshot = await stream.event() or {}
    assert (texts(snapshot["messages"]), snapshot["has_more"]) == (SAID[-2:], True)
    async with open_socket(server.address[1], cookie=cookies_of(ada)) as socket:
        await socket.say(type="hello")
        await socket.say(type="subscribe", id="1", conversation=url.rpartition("/")[2])
        while (heard := await socket.hear())["type"] != "event":
            pass
    assert texts(heard["data"]["messages"]) == SAID[-2:]


async def test_list_is_read(ada: httpx2.AsyncClient) -> None:
    names = [(await make(ada, metadata={"a": "x" * LONG})).rpartition("/")[2] for _ in range(5)]
    found: list[str] = []
    page: dict[str, Any] = {"cursor": None, "has_more": True}
    while page["has_more"]:
        query = {"limit": 100} | ({"cursor": page["cursor"]} if page["cursor"] else {})
        page = (await ada.get("/api/conversations", params=query)).json()
        assert 0 < len(page["conversations"]) <= 2
        found += [conversation["id"] for conversation in page["conversations"]]
    assert found == names[::-1]


async def test_exports_hold_everything(ada: httpx2.AsyncClient) -> None:
    url = await said(ada)
    (exported,) = (await ada.get(f"{url}/export")).json()["conversations"]
    assert texts(exported["messages"]) == SAID
    markdown = (await ada.get(f"{url}/export?format=markdown")).text
    assert all(markdown.count(text) == 1 for text in SAID)


async def test_reader_that_is_behind_catches_up(ada: httpx2.AsyncClient) -> None:
    """From the log, which is read in such pages too."""
    url = await make(ada)
    token = (await ada.get(url)).json()["token"]
    for text in SAID:
        await note(ada, url, text)
    seen: list[dict[str, Any]] = []
    async with open_stream(ada, f"{url}/events?after={token}") as stream:
        while len(seen) < len(SAID):
            event = await stream.event() or {}
            if event["type"] == "message.added":
                seen.append(event["message"])
    assert texts(seen) == SAID
