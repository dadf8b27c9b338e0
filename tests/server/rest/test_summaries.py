"""Summaries of long conversations, as a client sees them."""

from __future__ import annotations

import pytest
from rest import open_stream, serve

from trialogue import Request
from trialogue.testing import ScriptedProvider
from trialogue_server.config import Config
from trialogue_server.serve import limits


def answer(request: Request) -> list[str]:
    return ["in short: owls"] if request.purpose == "summary" else ["fine"]


async def test_summary_is_told_kept_charged_and_given_out() -> None:
    provider = ScriptedProvider(answer, context_tokens=800)
    async with serve(provider, summary_tokens=100, summary_share=0.6) as server, server.user() as ada:
        url = f"/api/conversations/{(await ada.post('/api/conversations', json={})).json()['id']}"
        async with open_stream(ada, f"{url}/events") as stream:
            event = None
            while event is None or event["type"] != "context.compacted":
                if event is None or event["type"] in ("run.completed", "snapshot"):
                    await ada.post(f"{url}/messages", json={"text": "owl " * 60})
                event = await stream.event()
                assert event is not None
        assert (event["summary"], event["asked"]["model"]) == ("in short: owls", "scripted:script")
        await server.quiet()
        await ada.post(f"{url}/messages", json={"text": "and?"})
        await server.quiet()
        assert "in short: owls" in str(provider.requests[-1].messages)
        summed = [one["id"] for one in (await ada.get(url)).json()["messages"] if one["summary"]]
        assert event["message"] in summed
        charges = (await ada.get("/api/usage/runs")).json()["charges"]
        assert [charge["message"] for charge in charges if charge.get("kind") == "summary"][-1] == event["message"]
        (exported,) = (await ada.get(f"{url}/export")).json()["conversations"]
        assert event["message"] in [one["id"] for one in exported["messages"] if "summary" in one]
        shared = await ada.post(f"{url}/share", json={})
        assert "in short" not in (await ada.get(f"/api/shared/{shared.json()['token']}")).text


@pytest.mark.parametrize(("set_to", "asked"), [("off", ""), ("same", "same"), ("scripted:small", "scripted:small")])
def test_settings_reach_the_core(set_to: str, asked: str) -> None:
    told = limits(Config(summary_model=set_to, summary_share=0.7, summary_tokens=200))
    assert (told.summaries, told.summary_share, told.summary_tokens) == (asked, 0.7, 200)
