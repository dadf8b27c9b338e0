"""Usage, cost and budgets over HTTP: what one is told, what one is refused, and what administrators set."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from rest import Server, read_events, serve

from trialogue import ConfigurationError, SpendingBudget, Usage, UsagePiece, new_id
from trialogue.testing import ScriptedProvider
from trialogue_server.config import Config
from trialogue_server.serve import default_budget, price_list

PRICES = '["scripted:*"]\ninput = 1\noutput = 2.5\ncache_read = 0.125\n'
REPORTED = UsagePiece(Usage("reported", 1_000, 200, cache_read_tokens=800))
#: 200 tokens at a dollar, 800 at an eighth, 200 at two and a half, a million each; in nano-dollars.
COST = 200_000 + 100_000 + 500_000


@pytest.fixture
def prices(tmp_path: Path) -> str:
    path = tmp_path / "prices.toml"
    path.write_text(PRICES)
    return str(path)


@asynccontextmanager
async def priced(prices: str, **settings: Any) -> AsyncGenerator[Server]:
    async with serve(ScriptedProvider(["Hello", REPORTED]), prices_file=prices, **settings) as server:
        yield server


async def ask(client: httpx2.AsyncClient, conversation: str | None = None, **headers: str) -> dict[str, Any]:
    """Ask something, and wait for the answer; ``conversation`` is what was asked in."""
    if conversation is None:
        conversation = str((await client.post("/api/conversations", json={}, headers=headers)).json()["id"])
    answer = await client.post(f"/api/conversations/{conversation}/messages", json={"text": "hi"}, headers=headers)
    accepted: dict[str, Any] = answer.json()
    if answer.status_code == 202 and not headers:
        await read_events(client, answer.headers["location"], "run.completed", "run.failed")
    return {**accepted, "http": answer.status_code, "conversation": conversation, "answer_headers": answer.headers}


async def usage(client: httpx2.AsyncClient, path: str = "/api/usage", **query: str) -> dict[str, Any]:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    report: dict[str, Any] = answer.json()
    return report


async def test_answer_tells_its_tokens_and_cost(prices: str) -> None:
    async with priced(prices) as server, server.user() as ada:
        asked = await ask(ada)
        shown = (await ada.get(f"/api/conversations/{asked['conversation']}")).json()["messages"][-1]
        assert shown["usage"] == {
            "source": "reported",
            "input_tokens": 1_000,
            "output_tokens": 200,
            "cache_read_tokens": 800,
            "cost": COST,
        }
        events = await read_events(ada, f"/api/conversations/{asked['conversation']}/events?after=", "snapshot")
        assert events[0]["messages"][-1]["usage"]["cost"] == COST


async def test_models_show_their_prices(prices: str) -> None:
    async with priced(prices) as server, server.user() as ada:
        (model,) = (await ada.get("/api/models")).json()["models"]
        assert model["prices"] == {"input": 1_000_000, "output": 2_500_000, "cache_read": 125_000}


async def test_unknown_price_is_null(ada: httpx2.AsyncClient) -> None:
    (model,) = (await ada.get("/api/models")).json()["models"]
    assert model["prices"] is None
    await ask(ada)
    report = await usage(ada)
    assert (report["total"]["runs"], report["total"]["unpriced"], report["total"]["cost"]) == (1, 1, 0)


async def test_usage_is_summed_up_by_day_model_conversation_and_key(prices: str) -> None:
    async with priced(prices) as server, server.user() as ada:
        first = await ask(ada)
        await ask(ada, first["conversation"])
        second = await ask(ada)
        today = datetime.now(UTC).date().isoformat()
        report = await usage(ada)
        assert (report["group"], report["to"], report["from"]) == ("day", today, today[:8] + "01")
        assert [(group["name"], group["runs"], group["cost"]) for group in report["usage"]] == [(today, 3, 3 * COST)]
        assert report["total"]["cost"] == 3 * COST
        names = [group["name"] for group in (await usage(ada, group="conversation"))["usage"]]
        assert names == sorted([first["conversation"], second["conversation"]], reverse=True)
        assert [group["name"] for group in (await usage(ada, group="model"))["usage"]] == ["scripted:script"]
        assert [group["name"] for group in (await usage(ada, group="key"))["usage"]] == [None]
        assert (await usage(ada, **{"from": "2001-01-01", "to": "2001-12-31"}))["total"]["runs"] == 0


async def test_pages_lead_on(prices: str) -> None:
    async with priced(prices) as server, server.user() as ada:
        for _ in range(3):
            await ask(ada)
        first = await usage(ada, group="conversation", limit="2")
        assert (len(first["usage"]), first["has_more"]) == (2, True)
        rest = await usage(ada, group="conversation", limit="2", cursor=first["cursor"])
        assert (len(rest["usage"]), rest["has_more"], rest["cursor"]) == (1, False, None)


async def test_runs_are_listed_with_both_counts(prices: str) -> None:
    async with priced(prices) as server, server.user("ada") as ada, server.user("eve") as eve:
        runs = [(await ask(ada))["run"] for _ in range(3)]
        first = await usage(ada, "/api/usage/runs", limit="2")
        rest = await usage(ada, "/api/usage/runs", limit="2", cursor=first["cursor"])
        charges = first["charges"] + rest["charges"]
        assert [charge["run"] for charge in charges] == runs[::-1]
        assert (first["has_more"], rest["has_more"]) == (True, False)
        assert charges[0]["status"] == "completed"
        assert charges[0]["reported"]["cost"] == COST
        assert (charges[0]["counted"]["source"], charges[0]["counted"]["output_tokens"]) == ("estimated", 1)
        assert (await usage(eve, "/api/usage/runs"))["charges"] == []
        assert (await ada.get("/api/usage/runs?cursor=%21")).status_code == 422


@pytest.mark.parametrize(
    "query", ["group=colour", "group=user", "from=yesterday", "from=2026-02-02&to=2026-02-01", "cursor=%21", "limit=0"]
)
async def test_strange_question_is_refused_in_words(ada: httpx2.AsyncClient, query: str) -> None:
    answer = await ada.get(f"/api/usage?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


async def test_ones_own_usage_is_ones_own(prices: str) -> None:
    async with priced(prices) as server, server.user("ada") as ada, server.user("eve") as eve:
        await ask(ada)
        assert (await usage(eve))["total"]["runs"] == 0
        for path in ("/api/admin/usage", f"/api/admin/budgets/users/{new_id()}"):
            assert (await eve.get(path)).status_code == 403


async def test_administrator_sees_everybodys(prices: str) -> None:
    async with priced(prices) as server, server.user("ada") as ada, server.user("eve") as eve:
        await ask(ada)
        conversation = (await ask(eve))["conversation"]
        assert (await usage(ada, "/api/admin/usage"))["total"]["runs"] == 2
        by_user = (await usage(ada, "/api/admin/usage", group="user"))["usage"]
        assert len(by_user) == 2
        name = (await eve.get("/api/auth/me")).json()["id"]
        of_eve = await usage(ada, "/api/admin/usage", group="conversation", user=name)
        assert [group["name"] for group in of_eve["usage"]] == [conversation]
        assert of_eve["budgets"]
        assert (await ada.get("/api/admin/usage?group=key")).status_code == 422
        assert (await ada.get(f"/api/admin/usage?user={new_id()}")).status_code == 404


async def test_budget_that_is_used_up_is_said_before_anything_is_posted(prices: str) -> None:
    async with priced(prices, budget_month_micro_dollars=500) as server, server.user() as ada:
        first = await ask(ada)
        month, day = (await usage(ada))["budgets"]
        assert (month["limit"], month["spent"], month["reserved"]) == (500, 800, 0)
        assert (day["limit"], day["spent"]) == (None, 1_200)
        refused = await ask(ada, first["conversation"])
        assert (refused["http"], refused["code"], refused["title"]) == (402, "budget_exhausted", "Budget used up")
        assert month["resets_at"] in refused["detail"]
        assert int(refused["answer_headers"]["retry-after"]) >= 1
        messages = (await ada.get(f"/api/conversations/{first['conversation']}/messages")).json()["messages"]
        assert len(messages) == 2


async def test_administrator_sets_a_budget(prices: str) -> None:
    async with priced(prices, budget_day_tokens=0) as server, server.user("ada") as ada, server.user("eve") as eve:
        path = f"/api/admin/budgets/users/{(await eve.get('/api/auth/me')).json()['id']}"
        assert (await ask(eve))["http"] == 402
        shown = (await ada.get(path)).json()
        assert (shown["set"], shown["budgets"][1]["limit"]) == (None, 0)
        put = await ada.put(path, json={"day_tokens": 50_000})
        assert put.json()["set"] == {"day_tokens": 50_000}
        assert (await ask(eve))["http"] == 202
        assert (await ada.delete(path)).status_code == 204
        assert (await ask(eve))["http"] == 402
        told = (await ada.get("/api/admin/audit?action=budget.changed")).json()["entries"]
        assert [entry["detail"] for entry in told] == [
            "as by default",
            "None micro-dollars a month, 50000 tokens a day",
        ]
        for body in ({"day_tokens": -1}, {"day_tokens": 1.5}, {"days": 1}, {"month_micro_dollars": 10**15}):
            assert (await ada.put(path, json=body)).status_code == 422
        for kind in ("users", "keys"):
            for name in (new_id(), "x"):
                assert (await ada.get(f"/api/admin/budgets/{kind}/{name}")).status_code == 404
                assert (await ada.put(f"/api/admin/budgets/{kind}/{name}", json={})).status_code == 404


async def test_key_pays_from_a_budget_of_its_own(prices: str) -> None:
    async with priced(prices) as server, server.user() as ada:
        scopes = ["read", "write"]
        made = (await ada.post("/api/auth/keys", json={"name": "k", "scopes": scopes, "budget": 500})).json()
        bearer = {"authorization": f"Bearer {made['token']}"}
        asked = await ask(ada)
        async with server.client(headers=bearer) as program:
            await ask(program, asked["conversation"], **bearer)
            await read_events(ada, f"/api/conversations/{asked['conversation']}/events", "run.completed", count=0)
            refused = await ask(program, asked["conversation"], **bearer)
            assert (refused["http"], refused["code"]) == (402, "budget_exhausted")
            assert "API key" in refused["detail"]
            told = (await program.get("/api/usage")).json()["budgets"]
            assert [(state["of"], state["per"]) for state in told] == [
                ("user", "month"),
                ("user", "day"),
                ("key", "month"),
                ("key", "day"),
            ]
            assert (told[2]["limit"], told[2]["spent"], told[0]["spent"]) == (500, 800, 1_600)
        key = made["key"]["id"] if "key" in made else made["id"]
        by_key = (await usage(ada, group="key"))["usage"]
        assert [group["name"] for group in by_key] == [None, key]
        path = f"/api/admin/budgets/keys/{key}"
        assert (await ada.put(path, json={"month_micro_dollars": 5_000})).status_code == 200
        assert (await ask(ada, asked["conversation"], **bearer))["http"] == 202
        assert (await ada.delete(path)).status_code == 204
        assert (await ask(ada, asked["conversation"], **bearer))["http"] == 402


async def test_settings_are_the_default_budget() -> None:
    assert default_budget(Config()) == SpendingBudget()
    config = Config(budget_month_micro_dollars=0, budget_day_tokens=7)
    assert default_budget(config) == SpendingBudget(0, 7)


@pytest.mark.parametrize("text", [None, "\xff", "[", '["a"]\ninput = 1\noutput = 1', '["a:b"]\ninput = -1\noutput = 1'])
def test_prices_file_that_is_wrong_stops_the_start(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "mine.toml"
    if text is not None:
        path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigurationError, match=r"mine\.toml"):
        price_list(Config(prices_file=str(path)))
