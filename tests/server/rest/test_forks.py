"""Branches over HTTP: all of them, one downwards, forks of them, and what lies in the trash."""

from __future__ import annotations

from typing import Any

import httpx2
from rest import read_events, serve
from talking import make, note, talked, texts

from trialogue import new_id
from trialogue.testing import Pause, ScriptedProvider
from trialogue_server.config import Config
from trialogue_server.serve import limits

# --- all branches ------------------------------------------------------------------------------------------------


async def test_tree_shows_all_branches_page_by_page(ada: httpx2.AsyncClient) -> None:
    url = await make(ada)
    root = await note(ada, url, "root")
    left = await note(ada, url, "left")
    right = await note(ada, url, "right", parent=root)
    page = (await ada.get(f"{url}?tree=true&limit=2")).json()
    assert (page["type"], texts(page["messages"]), page["has_more"]) == ("tree", ["root", "left"], True)
    assert page["messages"][1]["siblings"] == [left, right]
    second = await ada.get(f"{url}?tree=true&limit=2&cursor={page['cursor']}")
    assert texts(second.json()["messages"]) == ["right"]
    assert (second.json()["cursor"], second.json()["has_more"]) == (None, False)
    assert second.json()["conversation"]["head"] == right
    link = (await ada.get(f"{url}?tree=true&limit=2")).headers["link"]
    assert (await ada.get(link.partition(">")[0][1:])).json() == second.json()


async def test_tree_refuses_what_is_no_cursor(ada: httpx2.AsyncClient) -> None:
    url = await make(ada)
    for query in ("tree=true&cursor=x", "tree=true&cursor=", "cursor=1", "tree=maybe"):
        assert (await ada.get(f"{url}?{query}")).status_code == 422, query


async def test_messages_of_any_branch_up_and_down(ada: httpx2.AsyncClient) -> None:
    url = await make(ada)
    path = [await note(ada, url, str(number)) for number in range(5)]
    beside = await note(ada, url, "beside", parent=path[1])

    async def page(**query: Any) -> tuple[list[str], bool]:
        answer = await ada.get(f"{url}/messages", params=query)
        assert answer.status_code == 200, answer.text
        return texts(answer.json()["messages"]), answer.json()["has_more"]

    assert await page() == (["0", "1", "beside"], False)
    assert await page(branch=path[3]) == (["0", "1", "2", "3", "4"], False)
    assert await page(branch=path[4], limit=2) == (["3", "4"], True)
    assert await page(branch=path[4], after="", limit=2) == (["0", "1"], True)
    assert await page(branch=path[4], after=path[1], limit=2) == (["2", "3"], True)
    assert await page(branch=path[4], after=path[2], limit=2) == (["3", "4"], False)
    assert await page(after=path[1]) == (["beside"], False)
    assert await page(after=path[3]) == ([], False)
    assert await page(before=path[3], limit=1) == (["2"], True)
    assert await page(branch=beside) == (["0", "1", "beside"], False)
    for query in ({"branch": new_id()}, {"after": new_id()}, {"before": "x"}):
        assert (await ada.get(f"{url}/messages", params=query)).status_code == 404
    both = await ada.get(f"{url}/messages", params={"before": path[3], "after": path[1]})
    assert both.status_code == 422


# --- forks -------------------------------------------------------------------------------------------------------


async def test_fork_begins_with_the_branch(ada: httpx2.AsyncClient) -> None:
    url = await make(ada, title="Tea", system="Be brief.", settings={"seed": 7})
    first = await talked(ada, url, "one")
    await talked(ada, url, "two")
    answer = await ada.post(f"{url}/fork", json={"message": first["answer"], "title": "Copy"})
    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/api/conversations/{made['id']}"
    assert (made["title"], made["system"], made["settings"]) == ("Copy", "Be brief.", {"seed": 7})
    assert made["forked_from"] == {"conversation": url.rpartition("/")[2], "message": first["answer"]}
    shown = (await ada.get(answer.headers["location"])).json()
    assert texts(shown["messages"]) == ["one", "Hello world"]
    assert shown["messages"][0]["id"] != first["message"]
    await talked(ada, answer.headers["location"], "three")
    assert len((await ada.get(url)).json()["messages"]) == 4


async def test_fork_without_a_body_copies_the_active_branch(ada: httpx2.AsyncClient) -> None:
    url = await make(ada)
    await note(ada, url, "one")
    made = (await ada.post(f"{url}/fork")).json()
    assert texts((await ada.get(f"/api/conversations/{made['id']}")).json()["messages"]) == ["one"]


async def test_fork_in_the_middle_of_an_answer() -> None:
    async with serve(ScriptedProvider(["Hello", Pause(3600), " world"])) as server, server.user() as ada:
        url = await make(ada)
        answer = await ada.post(f"{url}/messages", json={"text": "Hi"})
        await read_events(ada, answer.headers["location"], "part.delta")
        made = (await ada.post(f"{url}/fork", json={"at": 4})).json()
        copy = (await ada.get(f"/api/conversations/{made['id']}")).json()
        assert texts(copy["messages"]) == ["Hi", "Hell"]
        assert (copy["messages"][1]["status"], copy["messages"][1]["failure"]["code"]) == ("incomplete", "copied")
        assert copy["run"] is None
        assert (await ada.get(url)).json()["run"] is not None
        beyond = await ada.post(f"{url}/fork", json={"at": 6})
        assert (beyond.status_code, beyond.json()["errors"][0]["pointer"]) == (422, "/at")


async def test_fork_takes_effect_once(ada: httpx2.AsyncClient) -> None:
    url = await make(ada)
    await note(ada, url, "one")
    for options in ({"json": {"id": new_id()}}, {"headers": {"Idempotency-Key": "k"}}):
        answers = [await ada.post(f"{url}/fork", **options) for _ in range(2)]  # type: ignore[arg-type]
        assert [answer.status_code for answer in answers] == [201, 201]
        assert answers[0].json() == answers[1].json()
    other = await ada.post(f"{url}/fork", json={"title": "x"}, headers={"Idempotency-Key": "k"})
    assert other.status_code == 422


async def test_fork_refuses_what_is_not_there(ada: httpx2.AsyncClient, eve: httpx2.AsyncClient) -> None:
    url, other = await make(ada), await make(ada)
    message = await note(ada, other, "elsewhere")
    assert (await eve.post(f"{url}/fork")).status_code == 404
    for body in ({"message": message}, {"message": new_id()}, {"message": "x"}):
        assert (await ada.post(f"{url}/fork", json=body)).status_code == 404
    await ada.delete(other)
    assert (await ada.post(f"{other}/fork")).status_code == 409


# --- the trash ---------------------------------------------------------------------------------------------------


async def test_fork_of_nothing_cannot_be_cut(ada: httpx2.AsyncClient) -> None:
    url = await make(ada)
    refused = await ada.post(f"{url}/fork", json={"at": 1})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/at")
    assert (await ada.post(f"{url}/fork", json={})).status_code == 201


async def test_trash_is_listed_and_restored_from(ada: httpx2.AsyncClient, eve: httpx2.AsyncClient) -> None:
    kept, gone = await make(ada, title="kept"), await make(ada, title="gone")
    await ada.patch(gone, json={"archived": True})
    await ada.delete(gone)

    async def listed(client: httpx2.AsyncClient, **query: Any) -> list[str]:
        found = (await client.get("/api/conversations", params=query)).json()["conversations"]
        return [header["title"] for header in found]

    assert await listed(ada) == ["kept"]
    assert await listed(ada, trashed="true") == ["gone"]
    assert await listed(ada, trashed="true", archived="false") == []
    assert await listed(eve, trashed="true") == []
    await ada.post(f"{gone}/restore")
    assert await listed(ada, trashed="true") == []
    await ada.delete(kept, params={"purge": "true"})
    assert await listed(ada, trashed="true") == []


def test_limits_are_those_of_the_configuration() -> None:
    """What happens at them is tested where they hold (tests/core/test_history.py)."""
    found = limits(Config(history_messages=7, trash_days=2))
    assert (found.history, found.trash) == (7, 2 * 86_400)
