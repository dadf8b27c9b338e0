"""Public links over HTTP: what they show, to whom, and when they end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
import trio
from rest import Server, open_stream, serve
from talking import make, note, talked, texts

from trialogue import ReasoningPiece, Share, new_id
from trialogue.testing import Pause, ScriptedProvider


async def link(client: httpx2.AsyncClient, url: str, **body: Any) -> dict[str, Any]:
    answer = await client.post(f"{url}/share", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_link_shows_the_branch_to_anyone(server: Server, ada: httpx2.AsyncClient) -> None:
    url = await make(ada, title="Tea", system="Be secret.", metadata={"secret": 1})
    await talked(ada, url, "one")
    made = await link(ada, url)
    assert made["path"] == f"/s/{made['token']}"
    async with server.client() as anyone:
        answer = await anyone.get(f"/api/shared/{made['token']}")
    assert answer.status_code == 200
    assert "noindex" in answer.headers["x-robots-tag"]
    assert answer.headers["cache-control"] == "no-store"
    shown = answer.json()
    assert (shown["title"], texts(shown["messages"]), shown["has_more"]) == ("Tea", ["one", "Hello world"], False)
    assert [message["number"] for message in shown["messages"]] == [1, 2]
    me = (await ada.get("/api/auth/me")).json()
    for secret in ("secret", me["id"], me["email"], url.rpartition("/")[2]):
        assert secret not in answer.text


async def test_link_shows_the_branch_as_it_was(server: Server, ada: httpx2.AsyncClient) -> None:
    url = await make(ada)
    first = await note(ada, url, "first")
    made = await link(ada, url)
    await note(ada, url, "second")
    beside = await note(ada, url, "beside", parent=first)
    other = await link(ada, url, message=beside, title="Other")
    for one, expected in ((made, ["first"]), (other, ["first", "beside"])):
        assert texts((await ada.get(f"/api/shared/{one['token']}")).json()["messages"]) == expected


async def test_link_to_a_live_answer_shows_no_more_than_there_was() -> None:
    provider = ScriptedProvider([ReasoningPiece("thinking"), "Hello", Pause(0.4), " world"])
    async with serve(provider) as server, server.user() as ada:
        url = await make(ada)
        answer = await ada.post(f"{url}/messages", json={"text": "Hi"})
        async with open_stream(ada, answer.headers["location"]) as stream:
            while (event := await stream.event()) is not None and event.get("text") != "Hello":
                pass
            made = await link(ada, url)
            shown = (await ada.get(f"/api/shared/{made['token']}")).json()["messages"]
            assert (texts(shown), shown[1]["status"]) == (["Hi", "Hello"], "incomplete")
            while (event := await stream.event()) is not None and event["type"] != "run.completed":
                pass
        shown = (await ada.get(f"/api/shared/{made['token']}")).json()["messages"]
        assert (texts(shown), shown[1]["status"]) == (["Hi", "Hello"], "incomplete")
        assert "thinking" not in str(shown)


async def test_correction_shows(ada: httpx2.AsyncClient) -> None:
    url = await make(ada)
    said = await talked(ada, url, "one")
    made = await link(ada, url)
    await ada.patch(f"/api/messages/{said['answer']}", json={"text": "A better and much longer answer"})
    shown = (await ada.get(f"/api/shared/{made['token']}")).json()["messages"]
    assert texts(shown) == ["one", "A better and much longer answer"]


async def test_link_is_read_in_pages(ada: httpx2.AsyncClient) -> None:
    url = await make(ada)
    for number in range(5):
        await note(ada, url, str(number))
    made = await link(ada, url)
    seen: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = (await ada.get(f"/api/shared/{made['token']}", params=query)).json()
        seen += page["messages"]
        if not page["has_more"]:
            break
        query["cursor"] = page["cursor"]
    assert texts(seen) == ["0", "1", "2", "3", "4"]
    assert [message["number"] for message in seen] == [1, 2, 3, 4, 5]
    for odd in ("x", "1", "1.x", f"-1.{new_id()}", "é.é"):
        assert (await ada.get(f"/api/shared/{made['token']}", params={"cursor": odd})).status_code == 422, odd


async def test_links_are_listed_and_ended(ada: httpx2.AsyncClient, eve: httpx2.AsyncClient) -> None:
    url = await make(ada)
    await note(ada, url, "one")
    made = [await link(ada, url) for _ in range(3)]
    assert (await ada.get(f"{url}/share")).json()["shares"] == made
    assert (await eve.get(f"{url}/share")).status_code == 404
    assert (await eve.delete(f"{url}/share/{made[0]['id']}")).status_code == 404
    assert (await ada.delete(f"{url}/share/{made[0]['id']}")).status_code == 204
    assert (await ada.delete(f"{url}/share/{made[1]['token']}")).status_code == 204
    assert (await ada.delete(f"{url}/share/{made[1]['token']}")).status_code == 404
    assert (await ada.get(f"{url}/share")).json()["shares"] == made[2:]
    statuses = [(await eve.get(f"/api/shared/{one['token']}")).status_code for one in made]
    assert statuses == [404, 404, 200]


@pytest.mark.parametrize("purge", ["true", "false"])
async def test_link_ends_with_its_conversation(ada: httpx2.AsyncClient, purge: str) -> None:
    url = await make(ada)
    await note(ada, url, "one")
    made = await link(ada, url)
    await ada.delete(url, params={"purge": purge})
    assert (await ada.get(f"/api/shared/{made['token']}")).status_code == 404
    if purge == "false":
        assert (await ada.post(f"{url}/share")).status_code == 409
        await ada.post(f"{url}/restore")
        assert (await ada.get(f"/api/shared/{made['token']}")).status_code == 404
        assert (await ada.get(f"{url}/share")).json()["shares"] == []


async def test_link_to_what_was_removed_shows_nothing(ada: httpx2.AsyncClient) -> None:
    url = await make(ada)
    message = await note(ada, url, "one")
    made = await link(ada, url)
    await ada.delete(f"/api/messages/{message}")
    assert (await ada.get(f"/api/shared/{made['token']}")).status_code == 404


async def test_link_ends_at_its_time(server: Server, ada: httpx2.AsyncClient) -> None:
    url = await make(ada)
    await note(ada, url, "one")
    soon = datetime.now(UTC) + timedelta(hours=1)
    made = await link(ada, url, expires=soon.isoformat())
    assert (await ada.get(f"/api/shared/{made['token']}")).status_code == 200
    past = await ada.post(f"{url}/share", json={"expires": "2020-01-01T00:00:00Z"})
    assert (past.status_code, past.json()["errors"][0]["pointer"]) == (422, "/expires")
    (share,) = await server.engine.store.shares.of(url.rpartition("/")[2])
    assert share.expires_at == soon
    # As if the hour had gone by.
    await server.engine.store.shares.drop(share.conversation, share.id)
    await server.engine.store.shares.add(expired(share))
    assert (await ada.get(f"/api/shared/{made['token']}")).status_code == 404


def expired(share: Share) -> Share:
    return msgspec.structs.replace(share, expires_at=datetime.now(UTC) - timedelta(seconds=1))


async def test_share_takes_effect_once(ada: httpx2.AsyncClient) -> None:
    url = await make(ada)
    await note(ada, url, "one")
    answers = [await ada.post(f"{url}/share", headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert len((await ada.get(f"{url}/share")).json()["shares"]) == 1


async def test_share_refuses_what_cannot_be(ada: httpx2.AsyncClient, eve: httpx2.AsyncClient) -> None:
    url, other = await make(ada), await make(ada)
    assert (await ada.post(f"{url}/share")).status_code == 422  # Nothing was said.
    message = await note(ada, other, "one")
    assert (await eve.post(f"{other}/share")).status_code == 404
    for name in (message, new_id(), "x"):
        assert (await ada.post(f"{url}/share", json={"message": name})).status_code == 404


async def test_shares_and_views_are_limited() -> None:
    async with serve(shares_per_conversation=2, shared_views_per_minute=3) as server, server.user() as ada:
        url = await make(ada)
        await note(ada, url, "one")
        made = [await link(ada, url) for _ in range(2)]
        third = await ada.post(f"{url}/share")
        assert (third.status_code, third.json()["code"]) == (413, "limit")
        assert "shares_per_conversation" in third.json()["detail"]
        for _ in range(3):
            assert (await ada.get(f"/api/shared/{made[0]['token']}")).status_code == 200
        refused = await ada.get("/api/shared/guess")
        assert (refused.status_code, "shared_views_per_minute" in refused.json()["detail"]) == (429, True)
        assert int(refused.headers["retry-after"]) >= 1


async def test_token_that_is_none(ada: httpx2.AsyncClient) -> None:
    for token in ("x", "%00", "%C3%A9", "..", "a" * 2000):
        assert (await ada.get(f"/api/shared/{token}")).status_code == 404


async def test_file_is_reached_through_the_link_alone(tmp_path: Path) -> None:
    async with (
        serve(files=tmp_path) as server,
        server.user() as ada,
        server.user("eve") as eve,
        server.client() as any_one,
    ):
        shown, hidden, hers = [
            (await client.post("/api/upload", files={"file": (name, name.encode())})).json()["files"][0]["id"]
            for client, name in ((ada, "shown.txt"), (ada, "hidden.txt"), (eve, "hers.txt"))
        ]
        url = await make(ada)
        parts = [{"type": "text", "text": "see"}, {"type": "file", "file": shown}]
        answer = await ada.post(f"{url}/messages", json={"parts": parts, "respond": False})
        assert answer.status_code == 202, answer.text
        made = await link(ada, url)
        await ada.post(f"{url}/messages", json={"parts": [{"type": "file", "file": hidden}], "respond": False})
        where = f"/api/shared/{made['token']}"
        (part,) = [p for p in (await any_one.get(where)).json()["messages"][0]["parts"] if p["type"] == "file"]
        assert (part["file"], part["name"]) == (shown, "shown.txt")
        got = await any_one.get(f"{where}/files/{shown}")
        assert (got.status_code, got.content) == (200, b"shown.txt")
        assert "noindex" in got.headers["x-robots-tag"]
        for name in (hidden, hers, new_id(), "x"):
            assert (await any_one.get(f"{where}/files/{name}")).status_code == 404
        assert (await any_one.get(f"/api/files/{shown}")).status_code == 401
        await ada.delete(f"{url}/share/{made['id']}")
        assert (await any_one.get(f"{where}/files/{shown}")).status_code == 404


async def test_branch_is_not_gone_through_for_everyone_who_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anyone may ask for anything behind a link, as often as an address may, and a branch may be long."""
    async with serve(files=tmp_path) as server, server.user() as ada, server.client() as any_one:
        answer = await ada.post("/api/upload", files={"file": ("shown.txt", b"shown")})
        shown = answer.json()["files"][0]["id"]
        url = await make(ada)
        await note(ada, url, "see", files=[shown])
        where = f"/api/shared/{(await link(ada, url))['token']}/files"
        pages, store = 0, server.engine.store
        onward = store.onward

        async def counted(*arguments: Any) -> Any:
            nonlocal pages
            pages += 1
            return await onward(*arguments)

        monkeypatch.setattr(store, "onward", counted)
        statuses: list[int] = []

        async def ask(name: str) -> None:
            statuses.append((await any_one.get(f"{where}/{name}")).status_code)

        async with trio.open_nursery() as nursery:
            for name in [shown] * 10 + [new_id(), "x"] * 5:
                nursery.start_soon(ask, name)
        assert sorted(statuses) == [200] * 10 + [404] * 10
        assert pages == 1
