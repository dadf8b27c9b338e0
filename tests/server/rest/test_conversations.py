"""Conversations over HTTP: making, listing, reading, changing, trash, and that another's does not exist."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
import trio
from rest import Server

from trialogue import is_id, new_id


async def make(client: httpx2.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await client.post("/api/conversations", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_create_answers_with_the_conversation(ada: httpx2.AsyncClient) -> None:
    body = {
        "title": "Tea",
        "model": "scripted:script",
        "system": "Be brief.",
        "settings": {"temperature": 0.5},
        "metadata": {"colour": ["red", 1, None]},
    }
    answer = await ada.post("/api/conversations", json=body)
    made = answer.json()
    assert answer.status_code == 201
    assert is_id(made["id"])
    assert {name: made[name] for name in body} == body
    assert answer.headers["location"] == f"/api/conversations/{made['id']}"
    assert answer.headers["etag"] == '"0"'
    assert (await ada.get(answer.headers["location"])).json()["conversation"] == made


async def test_same_id_makes_it_once(ada: httpx2.AsyncClient) -> None:
    name = new_id()
    first, again = await make(ada, id=name, title="Tea"), await make(ada, id=name, title="Tea")
    assert first == again
    assert first["id"] == name
    other = await ada.post("/api/conversations", json={"id": name, "title": "Coffee"})
    assert (other.status_code, other.json()["code"]) == (409, "conflict")


async def test_same_key_makes_it_once(ada: httpx2.AsyncClient, eve: httpx2.AsyncClient) -> None:
    async def post(client: httpx2.AsyncClient, key: str, title: str) -> httpx2.Response:
        return await client.post("/api/conversations", json={"title": title}, headers={"Idempotency-Key": key})

    first, again = await post(ada, "k1", "Tea"), await post(ada, '"k1"', "Tea")
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert is_id(first.json()["id"])
    other = await post(ada, "k1", "Coffee")
    assert (other.status_code, other.json()["code"]) == (422, "invalid")
    assert (await post(eve, "k1", "Coffee")).json()["id"] != first.json()["id"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"id": "not-an-id"}, "/id"),
        ({"id": "018F3B1C-0000-7000-8000-000000000000"}, "/id"),
        ({"title": 1}, "/title"),
        ({"title": "x" * 501}, "/title"),
        ({"model": "nobody:none"}, "/model"),
        ({"model": ""}, "/model"),
        ({"settings": {"temperature": "hot"}}, "/settings/temperature"),
        ({"settings": {"tempreature": 1}}, "/settings/tempreature"),
        ({"settings": {"stop": ["a", 1]}}, "/settings/stop/1"),
        ({"metadata": []}, "/metadata"),
        ({"metadata": {"n": 2**70}}, "/metadata"),
        ({"owner": "eve"}, "/owner"),
    ],
)
async def test_create_says_what_is_wrong(ada: httpx2.AsyncClient, body: dict[str, Any], pointer: str) -> None:
    answer = await ada.post("/api/conversations", json=body)
    assert answer.status_code == 422, answer.text
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


async def test_metadata_nested_too_deeply_is_refused(ada: httpx2.AsyncClient) -> None:
    value: Any = 1
    for _ in range(40):
        value = [value]
    answer = await ada.post("/api/conversations", json={"metadata": {"deep": value}})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (413, "/metadata")


# --- lists -------------------------------------------------------------------------------------------------------


async def test_list_is_paged_newest_first(ada: httpx2.AsyncClient) -> None:
    names = [(await make(ada, title=str(n)))["id"] for n in range(5)]
    seen: list[str] = []
    url: str | None = "/api/conversations?limit=2"
    pages = 0
    while url:
        answer = await ada.get(url)
        page = answer.json()
        seen += [conversation["id"] for conversation in page["conversations"]]
        assert page["has_more"] == (page["cursor"] is not None) == ("link" in answer.headers)
        url = answer.links["next"]["url"] if "link" in answer.headers else None
        pages += 1
    assert seen == names[::-1]
    assert pages == 3


async def test_next_link_keeps_the_filters(ada: httpx2.AsyncClient) -> None:
    for n in range(3):
        made = await make(ada, title=f"tea & {n}")
        await ada.patch(f"/api/conversations/{made['id']}", json={"archived": True, "folder": "a b"})
    answer = await ada.get("/api/conversations", params={"limit": 2, "archived": "true", "folder": "a b", "q": "tea"})
    assert len(answer.json()["conversations"]) == 2
    rest = await ada.get(answer.links["next"]["url"])
    assert len(rest.json()["conversations"]) == 1
    assert not rest.json()["has_more"]


async def test_list_is_filtered(ada: httpx2.AsyncClient) -> None:
    plain, pinned, archived = [(await make(ada, title=title))["id"] for title in ("plain", "pinned", "archived")]
    await ada.patch(f"/api/conversations/{pinned}", json={"pinned": True, "folder": "work"})
    await ada.patch(f"/api/conversations/{archived}", json={"archived": True})

    async def found(**params: str) -> set[str]:
        page = (await ada.get("/api/conversations", params=params)).json()
        return {conversation["id"] for conversation in page["conversations"]}

    assert await found() == {plain, pinned}
    assert await found(archived="true") == {archived}
    assert await found(pinned="true") == {pinned}
    assert await found(pinned="false") == {plain}
    assert await found(folder="work") == {pinned}
    assert await found(q="plain") == {plain}
    assert await found(q="  ") == {plain, pinned}


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=-1", "limit=ten", "limit=1e3", "archived=1", "pinned=yes", "cursor=x"]
)
async def test_list_refuses_what_cannot_be_meant(ada: httpx2.AsyncClient, query: str) -> None:
    answer = await ada.get(f"/api/conversations?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


async def test_list_limit_is_cut_to_what_is_allowed(ada: httpx2.AsyncClient) -> None:
    assert (await ada.get("/api/conversations?limit=999999")).status_code == 200


# --- changes -----------------------------------------------------------------------------------------------------


async def test_update_changes_what_is_named(ada: httpx2.AsyncClient) -> None:
    made = await make(ada, title="Tea", system="Be brief.")
    answer = await ada.patch(f"/api/conversations/{made['id']}", json={"title": None, "pinned": True, "folder": "work"})
    changed = answer.json()
    assert answer.status_code == 200
    assert changed.get("title") is None
    assert (changed["system"], changed["pinned"], changed["folder"]) == ("Be brief.", True, "work")
    assert answer.headers["etag"] == f'"{changed["version"]}"' != '"0"'


async def test_settings_and_metadata_are_merged(ada: httpx2.AsyncClient) -> None:
    made = await make(ada, settings={"temperature": 0.5, "seed": 7}, metadata={"a": {"b": 1, "c": 2}, "d": 3})
    patch = {"settings": {"seed": None, "max_tokens": 9}, "metadata": {"a": {"b": None, "e": 4}, "d": [1]}}
    changed = (await ada.patch(f"/api/conversations/{made['id']}", json=patch)).json()
    assert changed["settings"] == {"temperature": 0.5, "max_tokens": 9}
    assert changed["metadata"] == {"a": {"c": 2, "e": 4}, "d": [1]}
    emptied = (await ada.patch(f"/api/conversations/{made['id']}", json={"settings": None, "metadata": None})).json()
    assert emptied.get("settings", {}).get("temperature") is None
    assert emptied.get("metadata") is None


async def test_merges_at_the_same_time_are_all_kept(ada: httpx2.AsyncClient) -> None:
    made = await make(ada, metadata={})

    async def merge(n: int) -> None:
        answer = await ada.patch(f"/api/conversations/{made['id']}", json={"metadata": {str(n): n}})
        assert answer.status_code == 200, answer.text

    async with trio.open_nursery() as nursery:
        for n in range(4):
            nursery.start_soon(merge, n)
    shown = (await ada.get(f"/api/conversations/{made['id']}")).json()["conversation"]
    assert shown["metadata"] == {str(n): n for n in range(4)}


@pytest.mark.parametrize(
    ("patch", "pointer"),
    [
        ({"settings": {"temperature": "hot"}}, "/settings"),
        ({"archived": "yes"}, "/archived"),
        ({"head": "nowhere"}, "/head"),
        ({"model": "nobody:none"}, "/model"),
        ({"deleted": True}, "/deleted"),
    ],
)
async def test_update_says_what_is_wrong(ada: httpx2.AsyncClient, patch: dict[str, Any], pointer: str) -> None:
    made = await make(ada)
    answer = await ada.patch(f"/api/conversations/{made['id']}", json=patch)
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


async def test_update_of_another_version_is_refused(ada: httpx2.AsyncClient) -> None:
    made = await make(ada)
    url = f"/api/conversations/{made['id']}"
    tag = (await ada.get(url)).headers["etag"]

    async def rename(title: str, wanted: str) -> int:
        return (await ada.patch(url, json={"title": title}, headers={"If-Match": wanted})).status_code

    assert await rename("first", tag) == 200
    assert await rename("second", tag) == 412
    assert await rename("second", f"W/{tag}") == 412
    assert await rename("second", '"999", "1000"') == 412
    current = (await ada.get(url)).headers["etag"]
    assert await rename("third", f"W/{current}") == 412
    assert await rename("third", f"{tag}, {current}") == 200
    assert await rename("fourth", "*") == 200
    assert (await ada.get(url)).json()["conversation"]["title"] == "fourth"


async def test_one_of_two_updates_of_a_version_comes_through(ada: httpx2.AsyncClient) -> None:
    made = await make(ada)
    statuses: list[int] = []

    async def rename(title: str) -> None:
        headers = {"If-Match": '"0"'}
        answer = await ada.patch(f"/api/conversations/{made['id']}", json={"title": title}, headers=headers)
        statuses.append(answer.status_code)

    async with trio.open_nursery() as nursery:
        for title in ("one", "two", "three"):
            nursery.start_soon(rename, title)
    assert sorted(statuses) == [200, 412, 412]


# --- trash -------------------------------------------------------------------------------------------------------


async def test_deleted_is_in_the_trash_and_comes_back(ada: httpx2.AsyncClient) -> None:
    made = await make(ada, title="Tea")
    url = f"/api/conversations/{made['id']}"
    assert (await ada.delete(url)).status_code == 204
    assert (await ada.delete(url)).status_code == 204
    assert (await ada.get("/api/conversations")).json()["conversations"] == []
    assert (await ada.get(url)).json()["conversation"]["deleted_at"]
    assert (await ada.post(f"{url}/messages", json={"text": "hi"})).status_code == 409
    back = await ada.post(f"{url}/restore")
    assert (back.status_code, back.json()["title"]) == (200, "Tea")
    assert back.json().get("deleted_at") is None
    assert len((await ada.get("/api/conversations")).json()["conversations"]) == 1


async def test_purged_is_gone_for_good(ada: httpx2.AsyncClient) -> None:
    made = await make(ada)
    url = f"/api/conversations/{made['id']}"
    assert (await ada.delete(f"{url}?purge=true")).status_code == 204
    assert (await ada.get(url)).status_code == 404
    assert (await ada.post(f"{url}/restore")).status_code == 404
    assert (await ada.delete(url)).status_code == 404


# --- owners ------------------------------------------------------------------------------------------------------

REQUESTS = [
    ("GET", "", None),
    ("PATCH", "", {"title": "mine"}),
    ("DELETE", "", None),
    ("POST", "/restore", None),
    ("GET", "/messages", None),
    ("POST", "/messages", {"text": "hi"}),
    ("POST", "/stop", {}),
    ("GET", "/events", None),
]


@pytest.mark.parametrize(("method", "below", "body"), REQUESTS)
async def test_anothers_conversation_does_not_exist(
    server: Server, ada: httpx2.AsyncClient, eve: httpx2.AsyncClient, method: str, below: str, body: Any
) -> None:
    """The same answer as for one that really does not, and as for what is no id."""
    made = await make(ada)
    details: set[str] = set()
    for name in (made["id"], new_id(), "nonsense", made["id"].upper(), "%00"):
        answer = await eve.request(method, f"/api/conversations/{name}{below}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        details.add(answer.json()["detail"].split("'")[0])
    assert details == {"there is no conversation "}
    assert (await ada.get(f"/api/conversations/{made['id']}")).json()["conversation"] == made


@pytest.mark.parametrize(("method", "below", "body"), REQUESTS)
async def test_nobody_is_told_to_log_in_first(
    server: Server, ada: httpx2.AsyncClient, method: str, below: str, body: Any
) -> None:
    """Before anything else is looked at, the body included."""
    made = await make(ada)
    async with server.client() as nobody:
        for name in (made["id"], new_id(), "nonsense"):
            answer = await nobody.request(method, f"/api/conversations/{name}{below}", content=b"{")
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
