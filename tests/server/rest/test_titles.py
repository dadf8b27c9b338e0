"""Titles that a model gives, as a client sees them."""

from __future__ import annotations

from rest import open_stream, serve

from trialogue.testing import ScriptedProvider


async def test_title_comes_into_the_list_and_into_the_usage() -> None:
    provider = ScriptedProvider(lambda request: ["Lunch" if request.purpose == "title" else "Bread."])
    async with serve(provider, title_model="same") as server, server.user() as ada:
        conversation = (await ada.post("/api/conversations", json={})).json()["id"]
        async with open_stream(ada, "/api/events") as stream:
            await ada.post(f"/api/conversations/{conversation}/messages", json={"text": "what shall we eat?"})
            titles: list[str | None] = []
            while "Lunch" not in titles:
                event = await stream.event()
                assert event is not None
                titles.append(event.get("conversation", {}).get("title"))
        assert "what shall we eat?" in titles
        charges = (await ada.get("/api/usage/runs")).json()["charges"]
        assert sorted(charge.get("kind", "answer") for charge in charges) == ["answer", "title"]
