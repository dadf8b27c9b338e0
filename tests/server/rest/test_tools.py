"""Tools over HTTP: which there are, which an answer may use, and saying whether a call may be made."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from rest import read_events, serve

from trialogue import ToolCallPiece, new_id, tool
from trialogue.testing import MemoryStore, ScriptedProvider
from trialogue_server.config import Config
from trialogue_server.serve import limits


@tool
async def add(one: int, other: int = 1) -> int:
    """Adds two numbers."""
    return one + other


@tool(needs_approval=True, timeout=500)
async def send(to: str) -> str:
    """Sends something."""
    return f"sent to {to}"


TOOLS = (add, send)


def model(*pieces: ToolCallPiece) -> ScriptedProvider:
    return ScriptedProvider(list(pieces), ["Done."], tools=True)


async def post(client: httpx2.AsyncClient, **body: Any) -> httpx2.Response:
    conversation = (await client.post("/api/conversations", json={})).json()["id"]
    return await client.post(f"/api/conversations/{conversation}/messages", json={"text": "Do it.", **body})


async def asked(client: httpx2.AsyncClient) -> dict[str, Any]:
    """The event of a call that waits for approval, with where the stream goes on."""
    answer = await post(client)
    location = answer.headers["location"]
    return {**(await read_events(client, location, "approval.asked"))[-1], "location": location}


async def test_tools_are_listed_with_their_schema() -> None:
    async with serve(model(), tools=TOOLS, always_ask_tools=("add",), tool_seconds=60) as server, server.user() as ada:
        shown = (await ada.get("/api/tools")).json()["tools"]
        assert [(one["name"], one["approval"], one["fixed"], one["seconds"]) for one in shown] == [
            ("add", True, True, 30),
            ("send", True, False, 60),
        ]
        assert shown[0]["parameters"] == add.parameters


async def test_unknown_tool_is_refused_where_it_stands() -> None:
    async with serve(model(), tools=TOOLS) as server, server.user() as ada:
        for body, pointer in (
            ({"tools": ["add", "sub"]}, "/tools/1"),
            ({"tools": [{"name": "sub"}]}, "/tools/0"),
            ({"settings": {"tools": [{"name": "sub"}]}}, "/settings/tools/0"),
        ):
            answer = await post(ada, **body)
            assert answer.status_code == 422
            assert answer.json()["errors"][0]["pointer"] == pointer
            assert "the tools here are add, send" in answer.json()["detail"]
        settings = {"settings": {"tools": [{"name": "sub"}]}}
        answer = await ada.post("/api/conversations", json=settings)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/settings/tools/0")
        conversation = (await ada.post("/api/conversations", json={})).json()["id"]
        answer = await ada.patch(f"/api/conversations/{conversation}", json=settings)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/settings/tools/0")


async def test_model_that_calls_no_tools_is_not_asked_for_them() -> None:
    provider = ScriptedProvider(["Hello."])
    async with serve(provider, tools=TOOLS) as server, server.user() as ada:
        answer = await post(ada, tools=["add"])
        assert (answer.status_code, answer.json()["code"]) == (422, "model_without_tools")
        assert (await post(ada, tools=[])).status_code == 202
        assert (await post(ada)).status_code == 202
        conversation = await ada.post("/api/conversations", json={"settings": {"tools": [{"name": "add"}]}})
        url = f"/api/conversations/{conversation.json()['id']}/messages"
        assert (await ada.post(url, json={"text": "hi"})).status_code == 202, "what a conversation says holds as it can"
        await server.quiet()
    assert not any(request.tools for request in provider.requests)


async def test_message_says_which_tools_may_be_called() -> None:
    provider = ScriptedProvider(["Hello."], tools=True)
    async with serve(provider, tools=TOOLS) as server, server.user() as ada:
        for tools in (None, [], ["send"], [{"name": "add", "approval": "ask"}]):
            await post(ada, tools=tools)
            await server.quiet()
    offered = [[spec.name for spec in request.tools] for request in provider.requests]
    assert offered == [["add", "send"], [], ["send"], ["add"]]


async def test_call_and_result_are_events_and_parts() -> None:
    async with serve(model(ToolCallPiece("add", '{"one": 1}')), tools=TOOLS) as server, server.user() as ada:
        answer = await post(ada)
        events = await read_events(ada, answer.headers["location"], "run.completed")
        kinds = [event["type"] for event in events]
        assert kinds[kinds.index("part.added") :] == [
            "part.added",
            "usage",
            "tool.called",
            "tool.returned",
            "generation.started",
            "part.started",
            "part.delta",
            "part.ended",
            "usage",
            "run.completed",
        ]
        url = f"/api/conversations/{answer.headers['location'].split('/')[3]}"
        parts = (await ada.get(url)).json()["messages"][-1]["parts"]
        call = f"{answer.json()['answer']}-0"
        assert parts == [
            {"type": "tool_call", "call": call, "name": "add", "arguments": '{"one": 1}'},
            {"type": "tool_result", "call": call, "text": "2"},
            {"type": "text", "text": "Done."},
        ]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"decision": "approve"}, "sent to ann"),
        ({"decision": "edit", "arguments": {"to": "bob"}}, "sent to bob"),
        ({"decision": "deny", "reason": "no"}, "The tool was not called: the user declined. They said: no"),
    ],
)
async def test_decision_is_taken_once(body: dict[str, Any], text: str) -> None:
    async with serve(model(ToolCallPiece("send", '{"to": "ann"}')), tools=TOOLS) as server, server.user() as ada:
        call = await asked(ada)
        first = await ada.post(f"/api/approvals/{call['call']}", json=body)
        assert first.status_code == 200
        again = await ada.post(f"/api/approvals/{call['call']}", json=body)
        assert again.json() == first.json()
        other = {"decision": "deny"} if body["decision"] != "deny" else {"decision": "approve"}
        answer = await ada.post(f"/api/approvals/{call['call']}", json=other)
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
        events = await read_events(ada, call["location"], "run.completed")
        assert [event["text"] for event in events if event["type"] == "tool.returned"] == [text]
        assert (await ada.post(f"/api/approvals/{call['call']}", json=body)).json() == first.json(), "long after"


async def test_decision_survives_a_restart() -> None:
    store, provider = MemoryStore(), model(ToolCallPiece("send", '{"to": "ann"}'))
    async with serve(provider, store, tools=TOOLS) as server, server.user() as ada:
        call = await asked(ada)
    async with serve(provider, store, tools=TOOLS) as server, server.user() as ada:
        assert (await ada.post(f"/api/approvals/{call['call']}", json={"decision": "approve"})).status_code == 200
        events = await read_events(ada, call["location"], "run.completed")
        assert [event["text"] for event in events if event["type"] == "tool.returned"] == ["sent to ann"]


async def test_what_cannot_be_decided() -> None:
    async with serve(model(ToolCallPiece("send", '{"to": "ann"}')), tools=TOOLS) as server, server.user() as ada:
        call = await asked(ada)
        url = f"/api/approvals/{call['call']}"
        for body, pointer in (
            ({}, "/decision"),
            ({"decision": "maybe"}, "/decision"),
            ({"decision": "edit"}, "/arguments"),
            ({"decision": "approve", "arguments": {}}, "/arguments"),
            ({"decision": "edit", "arguments": []}, "/arguments"),
            ({"decision": "deny", "reason": "x" * 3000}, "/reason"),
            ({"decision": "deny", "why": "x"}, "/why"),
        ):
            answer = await ada.post(url, json=body)
            assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer), body
        message = call["message"]
        for name in (f"{message}-7", f"{message}-x", f"{message}--1", f"{new_id()}-0", message, "x", "-", "٣", "%00-0"):
            assert (await ada.post(f"/api/approvals/{name}", json={"decision": "deny"})).status_code == 404, name
        async with server.user("eve") as eve:
            assert (await eve.post(url, json={"decision": "approve"})).status_code == 404
        await ada.post(f"/api/conversations/{call['location'].split('/')[3]}/stop")
        answer = await ada.post(url, json={"decision": "approve"})
        assert answer.status_code == 409
        assert "waits for nobody's approval" in answer.json()["detail"]


def test_bounds_reach_the_core() -> None:
    told = limits(
        Config(
            run_generations=2,
            approval_hours=3,
            tool_calls_at_once=4,
            tool_seconds=5,
            tool_argument_characters=6,
            tool_output_characters=7,
            tool_files_per_call=8,
            tool_files_max_bytes=9,
        )
    )
    assert (told.generations, told.approval, told.tool_calls, told.tool_seconds) == (2, 3 * 3600, 4, 5)
    assert (told.tool_arguments, told.tool_output, told.tool_files, told.tool_file_bytes) == (6, 7, 8, 9)
