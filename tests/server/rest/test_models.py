"""Models as they are listed, how they do, and whom is asked in the place of one that fails."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
from rest import read_events, serve
from talking import ENDS, make, texts

from trialogue.testing import OPENED, Fail, ScriptedProvider


async def health_of(client: httpx2.AsyncClient, model: str) -> dict[str, Any]:
    models = (await client.get("/api/models")).json()["models"]
    (found,) = (one for one in models if one["id"] == model)
    health: dict[str, Any] = found
    return health


async def branch(client: httpx2.AsyncClient, url: str) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = (await client.get(f"{url}/messages")).json()["messages"]
    return messages


async def test_health_is_told_since_when_and_why() -> None:
    provider = ScriptedProvider(["fine"], [Fail("malformed", "gibberish"), OPENED])
    settings: dict[str, Any] = {"run_failovers": 0, "breaker_failures": 2, "breaker_rest_seconds": 100}
    async with serve(provider, **settings) as server, server.user() as ada:
        assert (await health_of(ada, "scripted:script"))["health"] == "unknown"
        for health in ("ok", "degraded", "down"):
            answer = await ada.post(f"{await make(ada)}/messages", json={"text": "Hi"})
            await read_events(ada, answer.headers["location"], *ENDS)
            told = await health_of(ada, "scripted:script")
            assert told["health"] == health
            since = datetime.fromisoformat(told["since"])
            assert timedelta() <= datetime.now(UTC) - since < timedelta(seconds=30)
        assert "gibberish" in told["reason"]
        answer = await ada.post(f"{await make(ada)}/messages", json={"text": "Hi"})
        last = (await read_events(ada, answer.headers["location"], *ENDS))[-1]
        failure = last["failure"]
        assert failure["code"] == "provider_unavailable"
        assert 0 < failure["retry_after"] <= 100
        assert len(provider.requests) == 3


async def test_fallback_answers_and_says_so() -> None:
    one = ScriptedProvider([Fail("unavailable"), OPENED], name="one")
    two = ScriptedProvider(["in its", " place"], name="two")
    fallbacks = {"one:script": ("two:script",)}
    async with serve(one, others=[two], fallbacks=fallbacks, provider_retries=1) as server, server.user() as ada:
        url = await make(ada, model="one:script")
        answer = await ada.post(f"{url}/messages", json={"text": "Hi"})
        events = await read_events(ada, answer.headers["location"], "run.completed")
        failed, second = (event for event in events if event.get("next") or event.get("cause") == "failover")
        assert (failed["run"], failed["next"]) == (answer.json()["run"], second["run"])
        assert (second["model"], second["asked"], second["before"]) == ("two:script", "one:script", [failed["run"]])
        _, said = await branch(ada, url)
        assert (texts([said]), said["model"], said["asked"]) == (["in its place"], "two:script", "one:script")
        assert len(one.requests) == 2
        runs = (await ada.get("/api/usage/runs")).json()["charges"]
        assert [(run["model"], run["status"]) for run in runs] == [
            ("two:script", "completed"),
            ("one:script", "failed"),
        ]
