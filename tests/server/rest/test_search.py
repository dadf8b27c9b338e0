"""``GET /api/search``: what is found, what is not, and what is said when it cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
import trio
from rest import Server, serve

import trialogue_sqlite
from trialogue import EmbedderError, HitPage, SearchQuery, new_id
from trialogue.testing import MemoryStore, ScriptedEmbedder
from trialogue.testing._memory_search import MemoryIndex

MEANINGS = {"owl": 0, "bird": 0, "feathers": 0, "car": 1, "engine": 1}


async def make(client: httpx2.AsyncClient, **body: Any) -> str:
    return str((await client.post("/api/conversations", json=body)).json()["id"])


async def say(client: httpx2.AsyncClient, conversation: str, text: str, **body: Any) -> str:
    answer = await client.post(
        f"/api/conversations/{conversation}/messages", json={"text": text, "respond": False, **body}
    )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["message"])


async def search(client: httpx2.AsyncClient, **parameters: Any) -> dict[str, Any]:
    answer = await client.get("/api/search", params=parameters)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def ids(client: httpx2.AsyncClient, **parameters: Any) -> list[str]:
    return [hit["id"] for hit in (await search(client, **parameters))["hits"]]


async def test_what_was_acknowledged_is_found_at_once(ada: httpx2.AsyncClient, eve: httpx2.AsyncClient) -> None:
    talk = await make(ada, title="Birds")
    message = await say(ada, talk, "The owl <b>hunts</b> at night")
    found = await search(ada, q="owl nig")
    (hit,) = found["hits"]
    assert (hit["kind"], hit["id"], hit["conversation"], hit["title"]) == ("message", message, talk, "Birds")
    assert hit["snippet"] == "The owl <b>hunts</b> at night"
    assert [hit["snippet"][start:stop] for start, stop in hit["matches"]] == ["owl", "night"]
    assert (found["mode"], found["ranked"], found["has_more"]) == ("text", "all", False)
    assert await ids(eve, q="owl") == []
    assert [hit["kind"] for hit in (await search(ada, q="birds"))["hits"]] == ["title"]
    await ada.delete(f"/api/conversations/{talk}")
    assert await ids(ada, q="owl") == await ids(ada, q="birds") == []


async def test_filters_narrow_what_is_found(ada: httpx2.AsyncClient) -> None:
    talk, other = await make(ada, title="owl"), await make(ada, title="Tea")
    first, second = await say(ada, talk, "owl"), await say(ada, other, "owl owl")
    assert set(await ids(ada, q="owl")) == {talk, first, second}
    assert await ids(ada, q="owl", **{"in": "titles"}) == [talk]
    assert await ids(ada, q="owl", **{"in": "messages,files"}) == [second, first]
    assert await ids(ada, q="owl", conversation=other) == [second]
    assert await ids(ada, q="owl", conversation=new_id()) == []
    assert await ids(ada, q="owl", role="assistant") == []
    assert await ids(ada, q="owl", role="user", to="2020-01-01T00:00:00Z") == []
    assert len(await ids(ada, q="owl", **{"from": "2020-01-01T00:00:00Z"})) == 3


async def test_place_is_kept_and_found(ada: httpx2.AsyncClient) -> None:
    talk = await make(ada)
    bern, basel = {"lat": 46.948, "lon": 7.447}, {"lat": 47.559, "lon": 7.588}
    here, there = await say(ada, talk, "owl", location=bern), await say(ada, talk, "owl", location=basel)
    kept = (await ada.get(f"/api/conversations/{talk}")).json()["messages"][0]
    assert kept["location"] == bern
    assert await ids(ada, near="46.95,7.45", radius=2000) == [here]
    assert await ids(ada, q="owl", near="47.5, 7.5", radius=20_000) == [there]
    far = await search(ada, near="46.95,7.45", radius=200_000)
    assert [hit["id"] for hit in far["hits"]] == [here, there]
    assert far["hits"][1]["distance"] == pytest.approx(68_600, rel=0.02)
    for wrong in ({"lat": 91, "lon": 0}, {"lat": 0}, {"lat": 0, "lon": 180.1}, [1, 2], "46,7"):
        answer = await ada.post(f"/api/conversations/{talk}/messages", json={"text": "x", "location": wrong})
        assert answer.status_code == 422, wrong
        assert answer.json()["errors"][0]["pointer"].startswith("/location")


async def test_pages_go_on_where_they_ended(ada: httpx2.AsyncClient) -> None:
    talk = await make(ada)
    said = {await say(ada, talk, f"owl {count}") for count in range(7)}
    seen: list[str] = []
    target: str | None = "/api/search?q=owl&limit=3&in=messages"
    while target:
        answer = await ada.get(target)
        seen += [hit["id"] for hit in answer.json()["hits"]]
        link = answer.headers.get("link")
        assert (link is not None) == answer.json()["has_more"]
        target = link.partition(">")[0].removeprefix("<") if link else None
        await say(ada, talk, "owl owl owl")
    assert len(seen) == len(set(seen))
    assert said <= set(seen)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"q": "  "},
        {"q": "owl", "mode": "magic"},
        {"q": "owl", "mode": "semantic"},
        {"q": "owl", "in": "messages,trash"},
        {"q": "owl", "role": "owner"},
        {"q": "owl", "from": "yesterday"},
        {"q": "owl", "to": "2026-01-01T00:00:00"},
        {"q": "owl", "cursor": "abc"},
        {"q": "x" * 1_001},
        {"near": "here"},
        {"near": "91,0"},
        {"near": "0,181"},
        {"near": "0,0", "radius": "-1"},
        {"near": "0,0", "radius": "1e9"},
        {"q": "owl", "limit": "0"},
        {"q": "owl", "lang": "en"},
    ],
)
async def test_what_cannot_be_meant_is_refused_in_words(ada: httpx2.AsyncClient, parameters: dict[str, str]) -> None:
    answer = await ada.get("/api/search", params=parameters)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), answer.text


async def test_odd_words_are_no_error(ada: httpx2.AsyncClient) -> None:
    for text in (
        '"',
        "owl*",
        "AND",
        "NEAR(a b)",
        "%00",
        "\x00",
        "🦉",
        "a" * 1_000,
        "() OR",
        "owl\u200b",
        "-owl",
        "owl:x",
    ):
        await search(ada, q=text)


async def test_nobody_searches(server: Server) -> None:
    async with server.client() as client:
        assert (await client.get("/api/search", params={"q": "owl"})).status_code == 401


async def test_slow_search_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow(*_: object) -> HitPage:
        await trio.sleep_forever()
        raise AssertionError

    monkeypatch.setattr(MemoryIndex, "search", slow)
    async with serve(search_seconds=0.05) as server, server.user() as ada:
        answer = await ada.get("/api/search", params={"q": "owl"})
        assert (answer.status_code, answer.json()["code"]) == (503, "slow_search")
        assert "search_seconds" in answer.json()["detail"]
        assert answer.headers["retry-after"] == "1"


async def test_deadline_ends_the_reading_of_a_real_store(tmp_path: Path) -> None:
    """The thread is braked, not left behind."""
    opening = trialogue_sqlite.trialogue_store("sqlite:", tmp_path)
    assert opening is not None
    async with opening as store:
        endless = "WITH RECURSIVE r (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r"
        began = trio.current_time()
        with trio.move_on_after(0.1) as scope:
            await store._readers.far(lambda connection: connection.execute(endless).fetchall())  # type: ignore[attr-defined]
        assert scope.cancelled_caught
        assert trio.current_time() - began < 20
        assert (await store.index.search("owner", SearchQuery("owl"), 3)).hits == ()


# --- by meaning ------------------------------------------------------------------------------------------------------


async def embedded(client: httpx2.AsyncClient) -> None:
    """Return when nothing waits for its vectors."""
    with trio.fail_after(5):
        while (await search(client, q="owl"))["pending"] != 0:  # noqa: ASYNC110 - over HTTP there is nothing to wait for
            await trio.sleep(0.01)


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trialogue._search.embedding.LOOK", 0.01)


@pytest.mark.usefixtures("_at_once")
async def test_meaning_finds_what_other_words_say() -> None:
    async with serve(embedder=ScriptedEmbedder(MEANINGS)) as server, server.user() as ada:
        talk = await make(ada)
        feathers, car = await say(ada, talk, "with feathers"), await say(ada, talk, "the car")
        owl = await say(ada, talk, "an owl, and an engine")
        await embedded(ada)
        assert await ids(ada, q="owl", mode="text") == [owl]
        found = await search(ada, q="owl", mode="semantic")
        assert [hit["id"] for hit in found["hits"]] == [feathers, owl, car]
        assert (found["mode"], found["pending"]) == ("semantic", 0)
        both = await search(ada, q="owl")
        assert both["mode"] == "hybrid"
        assert [hit["id"] for hit in both["hits"]] == [owl, feathers, car]
        assert both["hits"][0]["matches"]
        first = await search(ada, q="owl", limit=2)
        assert first["has_more"]
        await say(ada, talk, "owl owl owl")
        assert await ids(ada, q="owl", limit=2, cursor=first["cursor"]) == [car]
        assert (await ada.get("/api/search", params={"q": "owl", "cursor": "W10="})).status_code == 422
        assert await ids(ada, q="owl", mode="semantic", role="assistant") == []


async def test_without_its_embedder_a_search_goes_by_words() -> None:
    embedder = ScriptedEmbedder(MEANINGS)
    embedder.failure = EmbedderError("it is away", retry_after=3)
    store = MemoryStore()
    async with serve(embedder=embedder, store=store) as server, server.user() as ada:
        owl = await say(ada, await make(ada, title="Tea"), "owl")
        found = await search(ada, q="owl")
        assert ([hit["id"] for hit in found["hits"]], found["mode"]) == ([owl], "text")
        answer = await ada.get("/api/search", params={"q": "owl", "mode": "semantic"})
        assert (answer.status_code, answer.json()["code"]) == (503, "embedder")
    assert embedder.closed
