"""What is said over a WebSocket: events as their streams have them, commands as HTTP answers them, and how it ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
import trio
from rest import Server, read_events, serve
from sockets import Socket, cookies_of, open_socket

from trialogue import ToolCallPiece, new_id, tool
from trialogue.testing import ScriptedProvider
from trialogue_server._hub.socket_sink import AsgiOutlet


async def command(socket: Socket, verb: str, **fields: Any) -> dict[str, Any]:
    """Do it; the answer, whatever events come before."""
    name = new_id()
    await socket.say(type="command", id=name, command=verb, **fields)
    return (await heard(socket, lambda message: message.get("id") == name))[-1]


async def heard(socket: Socket, last: Any) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    while not messages or not last(messages[-1]):
        messages.append(await socket.hear())
    return messages


async def create(socket: Socket, **body: Any) -> str:
    answer = await command(socket, "create", body=body)
    assert answer["type"] == "ack", answer
    name: str = answer["data"]["id"]
    return name


# --- events ----------------------------------------------------------------------------------------------------------


async def test_events_are_those_of_the_stream(server: Server, ada: httpx2.AsyncClient, socket: Socket) -> None:
    name = await create(socket)
    await socket.say(type="subscribe", id="chat", conversation=name)
    assert await socket.hear() == {"type": "ack", "id": "chat"}
    await socket.say(type="command", id="post", command="post", conversation=name, body={"text": "Hi"})
    messages = [m for m in await socket.hear_until("run.completed") if m["type"] == "event"]
    assert {message["id"] for message in messages} == {"chat"}
    snapshot, *events = messages
    assert (snapshot["event"], snapshot["data"]["token"]) == ("snapshot", snapshot["token"])
    shown = await read_events(ada, f"/api/conversations/{name}/events?after={snapshot['token']}", "run.completed")
    assert [{**message["data"], "id": message["token"]} for message in events] == shown
    assert all(message["event"] == message["data"]["type"] for message in events)


async def test_subscription_goes_on_after_a_token(ada: httpx2.AsyncClient, socket: Socket) -> None:
    name = await create(socket)
    posted = await ada.post(f"/api/conversations/{name}/messages", json={"text": "Hi"})
    shown = await read_events(ada, posted.headers["location"], "run.completed")
    await socket.say(type="subscribe", id="1", conversation=name, after=shown[3]["id"])
    ack, *events = await socket.hear_until("run.completed")
    assert ack["type"] == "ack"
    assert [message["token"] for message in events] == [event["id"] for event in shown[4:]]
    await socket.say(type="subscribe", id="2", conversation=name, after="0001.0000000001.000000000999")
    _, reset, snapshot = await socket.hear_until("snapshot")
    assert (reset["event"], "token" in reset, snapshot["data"]["run"]) == ("reset", False, None)


async def test_list_is_a_subscription_without_a_conversation(ada: httpx2.AsyncClient, socket: Socket) -> None:
    await socket.say(type="subscribe", id="list", conversation=None)
    *_, snapshot = await socket.hear_until("snapshot")
    assert snapshot["data"]["conversations"] == []
    name = (await ada.post("/api/conversations", json={"title": "New"})).json()["id"]
    event = await socket.hear()
    assert (event["event"], event["data"]["conversation"]["id"]) == ("conversation.changed", name)
    await socket.say(type="subscribe", id="again", conversation=None, after=snapshot["token"])
    assert (await socket.hear())["type"] == "ack"
    assert (await socket.hear())["data"] == event["data"]


async def test_many_conversations_over_one_socket(socket: Socket) -> None:
    names = [await create(socket) for _ in range(10)]
    for number, name in enumerate(names):
        await socket.say(type="subscribe", id=str(number), conversation=name)
        await socket.hear_until("snapshot")
    for name in names:
        await socket.say(type="command", id=name, command="post", conversation=name, body={"text": "Hi"})
    texts = dict.fromkeys(map(str, range(10)), "")
    ended: set[str] = set()
    while len(ended) < 10:
        message = await socket.hear()
        if message.get("event") == "part.delta":
            assert message["data"]["offset"] == len(texts[message["id"]])
            texts[message["id"]] += message["data"]["text"]
        if message.get("event") == "run.completed":
            ended.add(message["id"])
    assert set(texts.values()) == {"Hello world"}


async def test_after_its_end_nothing_comes_of_a_subscription(ada: httpx2.AsyncClient, socket: Socket) -> None:
    name = await create(socket)
    await socket.say(type="subscribe", id="1", conversation=name)
    await socket.hear_until("snapshot")
    await socket.say(type="unsubscribe", id="1")
    assert await socket.hear() == {"type": "end", "id": "1", "reason": "unsubscribed"}
    await ada.patch(f"/api/conversations/{name}", json={"title": "New"})
    await socket.say(type="unsubscribe", id="1")
    await socket.say(type="ping", id="p")
    assert await socket.hear() == {"type": "pong", "id": "p"}
    await socket.say(type="subscribe", id="1", conversation=name)
    assert (await socket.hear_until("snapshot"))[-1]["data"]["conversation"]["title"] == "New"


async def test_thousand_subscriptions_come_and_go(server: Server, socket: Socket) -> None:
    name = await create(socket)
    before = trio.lowlevel.current_statistics().tasks_living
    for number in range(1000):
        await socket.say(type="subscribe", id=f"s{number}", conversation=name)
        await socket.say(type="unsubscribe", id=f"s{number}")
    ends = 0
    while ends < 1000:
        ends += (await socket.hear())["type"] == "end"
    assert server.hub.statistics().streams == 1  # The pulse.
    assert trio.lowlevel.current_statistics().tasks_living == before


async def test_purge_ends_the_subscription_alone(ada: httpx2.AsyncClient, socket: Socket) -> None:
    name, other = await create(socket), await create(socket)
    await socket.say(type="subscribe", id="1", conversation=name)
    await socket.say(type="subscribe", id="2", conversation=other)
    await socket.hear_until("snapshot", id="1")
    await socket.hear_until("snapshot", id="2")
    assert (await ada.delete(f"/api/conversations/{name}?purge=true")).status_code == 204
    assert (await socket.hear_until("end"))[-1] == {"type": "end", "id": "1", "reason": "closed"}
    await ada.patch(f"/api/conversations/{other}", json={"title": "Still here"})
    assert (await socket.hear())["data"]["title"] == "Still here"


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"conversation": "01a20cdb-ce17-79da-8400-9cdd407564b8"}, 404),
        ({"conversation": "x"}, 404),
        ({"conversation": None, "after": "yesterday"}, 422),
    ],
)
async def test_subscription_that_cannot_be_is_a_problem(socket: Socket, fields: Any, status: int) -> None:
    await socket.say(type="subscribe", id="1", **fields)
    answer = await socket.hear()
    assert (answer["type"], answer["id"], answer["problem"]["status"]) == ("error", "1", status)
    await socket.say(type="subscribe", id="1", conversation=None)
    assert (await socket.hear())["type"] == "ack", "its id is free again"


async def test_anothers_conversation_does_not_exist(server: Server, socket: Socket) -> None:
    async with server.user("eve") as eve:
        name = (await eve.post("/api/conversations", json={})).json()["id"]
    await socket.say(type="subscribe", id="1", conversation=name)
    assert (await socket.hear())["problem"]["status"] == 404
    for verb, body in {"update": {"title": "x"}, "trash": None, "post": {"text": "Hi"}, "stop": {}}.items():
        fields = {} if body is None else {"body": body}
        assert (await command(socket, verb, conversation=name, **fields))["problem"]["status"] == 404


async def test_subscription_in_use_closes_the_socket(socket: Socket) -> None:
    await socket.say(type="subscribe", id="1", conversation=None)
    await socket.say(type="subscribe", id="1", conversation=None)
    assert await socket.closed() == (4409, "subscription '1' exists already")


async def test_subscriptions_per_socket_are_limited() -> None:
    async with (
        serve(subscriptions_per_socket=2) as server,
        server.user() as ada,
        open_socket(server.address[1], Cookie=cookies_of(ada)) as socket,
    ):
        assert (await socket.greet())["limits"]["subscriptions"] == 2
        for name in "12":
            await socket.say(type="subscribe", id=name, conversation=None)
            await socket.hear_until("snapshot")
        await socket.say(type="subscribe", id="3", conversation=None)
        answer = await socket.hear()
        assert (answer["id"], answer["problem"]["status"]) == ("3", 429)
        assert "subscriptions_per_socket" in answer["problem"]["detail"]
        await socket.say(type="unsubscribe", id="1")
        await socket.hear_until("end")
        await socket.say(type="subscribe", id="3", conversation=None)
        assert (await socket.hear())["type"] == "ack"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        "{}",
        '{"type":"shout"}',
        '{"type":"subscribe"}',
        '{"type":"subscribe","id":"1"}',
        '{"type":"subscribe","id":"","conversation":null}',
        '{"type":"subscribe","id":1,"conversation":null}',
        '{"type":"subscribe","id":"1","conversation":null,"more":1}',
        '{"type":"subscribe","id":"' + "x" * 65 + '","conversation":null}',
        '{"type":"command","id":"1","command":"drop"}',
        '{"type":"ping","id":' + "[" * 5000 + "]" * 5000 + "}",
        "\ud83d",
        b"\x00\xff",
        b'{"type":"ping"}',
    ],
    ids=lambda text: repr(text[:20]),
)
async def test_what_is_no_message_closes_the_socket(socket: Socket, text: str | bytes) -> None:
    if isinstance(text, str):
        text = text.encode(errors="replace").decode()
    await socket.send(text)
    code, reason = await socket.closed()
    assert code == 4400
    assert reason


async def test_message_that_is_too_large_closes_the_socket() -> None:
    async with (
        serve(socket_message_bytes=1024) as server,
        server.user() as ada,
        open_socket(server.address[1], Cookie=cookies_of(ada)) as socket,
    ):
        await socket.greet()
        await socket.say(type="command", id="1", command="create", body={"title": "é" * 500})
        code, reason = await socket.closed()
        assert code == 1009
        assert "socket_message_bytes" in reason


# --- commands --------------------------------------------------------------------------------------------------------


async def test_every_command_does_what_its_request_does(ada: httpx2.AsyncClient, socket: Socket) -> None:
    name = new_id()
    made = await command(socket, "create", body={"id": name, "title": "One"})
    assert (made["status"], made["location"]) == (201, f"/api/conversations/{name}")
    assert (await command(socket, "create", body={"id": name, "title": "One"}))["data"] == made["data"]
    updated = await command(socket, "update", conversation=name, body={"title": "Two"}, version='"0"')
    assert updated["data"]["title"] == "Two"
    assert (await command(socket, "update", conversation=name, body={"title": "3"}, version='"0"'))["problem"][
        "status"
    ] == 412
    posted = await command(socket, "post", conversation=name, body={"text": "Hi"})
    assert posted["status"] == 202
    await read_events(ada, posted["location"], "run.completed")
    answer = posted["data"]["answer"]
    again = await command(socket, "regenerate", message=answer)
    assert again["status"] == 202
    await read_events(ada, f"/api/conversations/{name}/events?after={token_of(posted)}", "run.completed", count=2)
    corrected = await command(socket, "edit", message=answer, body={"text": "Good day"})
    assert corrected["status"] == 200
    stopped = await command(socket, "stop", conversation=name)
    assert (stopped["status"], stopped["data"]["run"]) == (200, None)
    assert (await command(socket, "remove", message=answer))["status"] == 204
    trashed = await command(socket, "trash", conversation=name)
    assert (trashed["status"], "data" in trashed) == (204, False)
    assert (await command(socket, "restore", conversation=name))["data"]["deleted_at"] is None


def token_of(posted: dict[str, Any]) -> str:
    token: str = posted["location"].partition("?after=")[2]
    return token


async def test_stop_is_answered_when_the_run_is_gone() -> None:
    more = trio.Event()
    async with (
        serve(ScriptedProvider(["Hello", more])) as server,
        server.user() as ada,
        open_socket(server.address[1], Cookie=cookies_of(ada)) as socket,
    ):
        await socket.greet()
        name = await create(socket)
        await socket.say(type="subscribe", id="s", conversation=name)
        posted = await command(socket, "post", conversation=name, body={"text": "Hi"})
        await socket.hear_until("part.delta")
        stopped = await command(socket, "stop", conversation=name)
        assert stopped["data"]["run"] == posted["data"]["run"]


async def test_command_with_a_key_takes_effect_once(server: Server, socket: Socket) -> None:
    name = await create(socket)
    first = await command(socket, "post", conversation=name, body={"text": "Hi"}, key="k1")
    second = await command(socket, "post", conversation=name, body={"text": "Hi"}, key="k1")
    assert first["data"] == second["data"]
    other = await command(socket, "post", conversation=name, body={"text": "Ho"}, key="k1")
    assert other["problem"]["status"] == 422


@pytest.mark.parametrize(
    ("verb", "fields", "status", "pointer"),
    [
        ("post", {"body": {"text": "Hi"}}, 422, "/conversation"),
        ("edit", {"body": {"text": "Hi"}}, 422, "/message"),
        ("create", {"body": {"titel": "x"}}, 422, "/titel"),
        ("create", {"body": {"title": 1}}, 422, "/title"),
        ("create", {"body": "text"}, 422, ""),
        ("create", {"key": "\N{SNOWMAN}", "body": {}}, 422, "/key"),
        ("trash", {"conversation": "../../auth/me"}, 404, None),
        ("remove", {"message": "x?purge=true"}, 404, None),
    ],
)
async def test_command_that_cannot_be_is_a_problem(
    socket: Socket, verb: str, fields: Any, status: int, pointer: str | None
) -> None:
    answer = await command(socket, verb, **fields)
    assert answer["type"] == "error"
    assert answer["problem"]["status"] == status
    if pointer is not None:
        assert answer["problem"]["errors"][0]["pointer"] == pointer


async def test_commands_beyond_the_bound_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are not refused: the next is read when one is done, and nothing is lost."""
    more = trio.Event()
    async with (
        serve(ScriptedProvider(["Hello", more]), socket_requests=2) as server,
        server.user() as ada,
        open_socket(server.address[1], Cookie=cookies_of(ada)) as socket,
    ):
        assert (await socket.greet())["limits"]["requests"] == 2
        under_way, most = 0, 0
        ordinary = server.engine.create

        async def counted(made: Any) -> Any:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await trio.sleep(0.01)
            under_way -= 1
            return await ordinary(made)

        monkeypatch.setattr(server.engine, "create", counted)
        for number in range(10):
            await socket.say(type="command", id=str(number), command="create", body={})
        answers = [await socket.hear() for _ in range(10)]
        assert sorted(answer["id"] for answer in answers) == sorted(map(str, range(10)))
        assert most == 2


# --- signs of life and the end ---------------------------------------------------------------------------------------


async def test_server_shows_that_it_lives() -> None:
    async with (
        serve(heartbeat=0.05) as server,
        server.user() as ada,
        open_socket(server.address[1], Cookie=cookies_of(ada)) as socket,
    ):
        assert (await socket.greet())["heartbeat_ms"] == 50
        for _ in range(3):
            assert await socket.text() == '{"type":"ping"}'
            await socket.say(type="pong")


async def test_logout_closes_the_sessions_sockets(server: Server, ada: httpx2.AsyncClient, socket: Socket) -> None:
    await socket.say(type="subscribe", id="1", conversation=None)
    await socket.hear_until("snapshot")
    await ada.post("/api/auth/logout")
    assert (await socket.closed())[0] == 4401


async def test_revoked_key_closes_its_sockets(server: Server, ada: httpx2.AsyncClient, socket: Socket) -> None:
    made = (await ada.post("/api/auth/keys", json={"name": "test", "scopes": ["read"]})).json()
    async with open_socket(server.address[1]) as other:
        await other.greet(made["token"])
        await ada.delete(f"/api/auth/keys/{made['key']['id']}")
        assert (await other.closed())[0] == 4401
    await socket.say(type="ping", id="1")
    assert await socket.hear() == {"type": "pong", "id": "1"}


async def test_key_that_expires_closes_its_sockets(server: Server, ada: httpx2.AsyncClient) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    made = (await ada.post("/api/auth/keys", json={"name": "test", "scopes": ["read"], "expires_at": soon})).json()
    async with open_socket(server.address[1]) as socket:
        await socket.greet(made["token"])
        with trio.fail_after(3):
            assert (await socket.closed())[0] == 4401


async def test_draining_shows_the_end_of_it_and_says_when_to_come_back(
    server: Server, ada: httpx2.AsyncClient, socket: Socket
) -> None:
    name = await create(socket)
    await socket.say(type="subscribe", id="1", conversation=name)
    await socket.hear_until("snapshot")
    await ada.patch(f"/api/conversations/{name}", json={"title": "Last"})
    server.hub.drain()
    event, goodbye = await socket.hear(), await socket.hear()
    assert event["data"]["title"] == "Last"
    assert goodbye["type"] == "reconnect"
    assert goodbye["after_ms"] >= 500
    assert (await socket.closed())[0] == 1001


async def test_nothing_is_left_of_a_socket_that_left(server: Server, ada: httpx2.AsyncClient) -> None:
    before = trio.lowlevel.current_statistics().tasks_living
    for goodbye in (True, False) * 5:
        async with open_socket(server.address[1], Cookie=cookies_of(ada)) as socket:
            await socket.greet()
            await socket.say(type="subscribe", id="1", conversation=None)
            await socket.hear_until("snapshot")
            if goodbye:
                assert await socket.close() == 1000
    with trio.fail_after(5):
        while server.hub.statistics().streams or trio.lowlevel.current_statistics().tasks_living > before:  # noqa: ASYNC110 - the kernel tells nobody
            await trio.sleep(0.01)


async def test_any_server_brings_the_same_messages(
    server: Server, ada: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the bytes cannot be written straight to the socket, as behind TLS in the process, they go through ``send``."""

    def through_send(scope: Any, send: Any, deadline: float) -> Any:
        return AsgiOutlet(send, None, deadline)

    monkeypatch.setattr("trialogue_server._sockets.opening.outlet_for", through_send)
    async with open_socket(server.address[1], Cookie=cookies_of(ada)) as socket:
        await socket.greet()
        name = await create(socket)
        for number in range(5):
            await socket.say(type="subscribe", id=str(number), conversation=name)
            await socket.hear_until("snapshot", id=str(number))
        await socket.say(type="command", id="post", command="post", conversation=name, body={"text": "Hi"})
        heard: dict[str, list[str]] = {}
        while sum(tokens[-1:] == ["end"] for tokens in heard.values()) < 5:
            message = await socket.hear()
            if message["type"] == "event":
                heard.setdefault(message["id"], []).append(message["token"])
                if message["event"] == "run.completed":
                    heard[message["id"]].append("end")
        assert len({tuple(tokens) for tokens in heard.values()}) == 1
        numbers = [int(token.rpartition(".")[2]) for token in heard["0"][:-1]]
        assert numbers == list(range(1, len(numbers) + 1))
        server.hub.drain()
        assert (await socket.closed())[0] == 1001


async def test_tool_call_is_approved() -> None:
    @tool(needs_approval=True)
    async def send(to: str) -> str:
        """Sends something."""
        return f"sent to {to}"

    provider = ScriptedProvider([ToolCallPiece("send", '{"to": "ann"}')], ["Done."], tools=True)
    async with (
        serve(provider, tools=[send]) as server,
        server.user() as ada,
        open_socket(server.address[1], Cookie=cookies_of(ada)) as socket,
    ):
        await socket.greet()
        name = await create(socket)
        await socket.say(type="subscribe", id="chat", conversation=name)
        await socket.say(type="command", id="post", command="post", conversation=name, body={"text": "Hi"})
        asked = (await socket.hear_until("approval.asked"))[-1]
        unknown = await command(socket, "approve", approval=f"{new_id()}-0", body={"decision": "deny"})
        assert unknown["problem"]["status"] == 404
        nothing = await command(socket, "approve", body={"decision": "deny"})
        assert nothing["problem"]["errors"][0]["pointer"] == "/approval"
        await socket.say(
            type="command", id="yes", command="approve", approval=asked["data"]["call"], body={"decision": "approve"}
        )
        heard = await socket.hear_until("run.completed")
        assert [m["status"] for m in heard if m["type"] == "ack" and m["id"] == "yes"] == [200]
        assert [m["data"]["text"] for m in heard if m.get("event") == "tool.returned"] == ["sent to ann"]
