"""Answers that are to be JSON of a schema, as a client asks for them."""

from __future__ import annotations

from typing import Any

import pytest
from rest import serve

from trialogue.testing import ScriptedProvider

SCHEMA = {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]}


def wanted(schema: Any = SCHEMA, **more: Any) -> dict[str, Any]:
    return {"answer_schema": {"name": "place", "schema": schema, **more}}


async def test_answer_is_repaired_and_both_can_be_read() -> None:
    provider = ScriptedProvider(["here"], ['{"at": "here"}'])
    async with serve(provider) as server, server.user() as ada:
        conversation = (await ada.post("/api/conversations", json={})).json()["id"]
        said = await ada.post(f"/api/conversations/{conversation}/messages", json={"text": "?", "settings": wanted()})
        assert said.status_code == 202
        await server.quiet()
        messages = (await ada.get(f"/api/conversations/{conversation}/messages")).json()["messages"]
        assert [message["parts"][0]["text"] for message in messages] == ["?", '{"at": "here"}']
        branch = f"/api/conversations/{conversation}/messages?branch={said.json()['answer']}"
        first = (await ada.get(branch)).json()["messages"][-1]
        assert (first["parts"][0]["text"], first["failure"]["code"]) == ("here", "answer_does_not_fit")


@pytest.mark.parametrize(
    ("settings", "pointer"),
    [
        (wanted({"properties": {"at": {"type": "nope"}}}), "/settings/answer_schema/schema/properties/at/type"),
        (wanted({"$ref": "http://127.0.0.1:1/x"}), "/settings/answer_schema/schema"),
        (wanted({"description": "x" * 40_000}), "/settings/answer_schema/schema"),
        (wanted(name="a b"), "/settings/answer_schema/name"),
        (wanted(typo=1), "/settings/answer_schema/typo"),
        (wanted([]), "/settings/answer_schema/schema"),
    ],
)
async def test_schema_that_cannot_be_used_is_refused(settings: dict[str, Any], pointer: str) -> None:
    async with serve() as server, server.user() as ada:
        conversation = (await ada.post("/api/conversations", json={})).json()["id"]
        for answer in (
            await ada.post(f"/api/conversations/{conversation}/messages", json={"text": "?", "settings": settings}),
            await ada.post("/api/conversations", json={"settings": settings}),
        ):
            assert answer.status_code == (413 if "limit" in answer.json()["type"] else 422)
            assert answer.json()["errors"][0]["pointer"] == pointer
        answer = await ada.patch(f"/api/conversations/{conversation}", json={"settings": settings})
        assert answer.status_code in (413, 422)
        assert (await ada.get(f"/api/conversations/{conversation}")).json().get("settings", {}) == {}


async def test_conversation_may_want_it_of_all_its_answers() -> None:
    provider = ScriptedProvider(['{"at": "here"}'])
    async with serve(provider) as server, server.user() as ada:
        conversation = (await ada.post("/api/conversations", json={"settings": wanted()})).json()["id"]
        await ada.post(f"/api/conversations/{conversation}/messages", json={"text": "?"})
        await server.quiet()
        assert '"required":["at"]' in (provider.requests[0].system or "")
