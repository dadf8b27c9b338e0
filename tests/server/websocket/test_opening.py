"""Who gets a WebSocket: where it comes from, who it is, what it speaks, and how many one may have."""

from __future__ import annotations

import json

import httpx2
import pytest
import trio
from rest import Server, serve
from sockets import Closed, Refused, Socket, cookies_of, open_socket


async def refused(port: int, **options: object) -> Refused:
    with pytest.raises(Refused) as caught:
        async with open_socket(port, **options):  # type: ignore[arg-type]
            pass
    assert json.loads(caught.value.body)["status"] == caught.value.status
    assert caught.value.headers["content-type"] == "application/problem+json"
    return caught.value


async def key_of(ada: httpx2.AsyncClient, *scopes: str) -> tuple[str, str]:
    """A new API key: its id and its token."""
    answer = await ada.post("/api/auth/keys", json={"name": "test", "scopes": list(scopes)})
    assert answer.status_code == 201, answer.text
    return answer.json()["key"]["id"], answer.json()["token"]


async def test_cookie_is_enough(server: Server, ada: httpx2.AsyncClient) -> None:
    async with open_socket(server.address[1], Cookie=cookies_of(ada)) as socket:
        assert socket.subprotocol == "trialogue.v1"
        ready = await socket.greet()
        assert (ready["type"], ready["user"]) == ("ready", (await ada.get("/api/auth/me")).json()["id"])
        assert set(ready["limits"]) == {"subscriptions", "requests", "message_bytes"}


@pytest.mark.parametrize("where", ["header", "hello"])
async def test_key_is_enough(server: Server, ada: httpx2.AsyncClient, where: str) -> None:
    _, token = await key_of(ada, "read", "write")
    shown = f"Bearer {token}" if where == "header" else "none"
    async with open_socket(server.address[1], Authorization=shown) as socket:
        assert (await socket.greet(token if where == "hello" else None))["type"] == "ready"
        await socket.say(type="command", id="1", command="create")
        assert (await socket.hear())["type"] == "error", "there was no body"
        await socket.say(type="command", id="2", command="create", body={})
        assert (await socket.hear())["status"] == 201


async def test_wrong_key_is_refused(server: Server) -> None:
    assert (await refused(server.address[1], Authorization="Bearer tl_wrong")).status == 401
    for token in ("tl_wrong", "", "ü"):
        async with open_socket(server.address[1]) as socket:
            await socket.say(type="hello", token=token)
            assert (await socket.closed())[0] == 4401


async def test_key_without_the_scope_is_refused(server: Server, ada: httpx2.AsyncClient) -> None:
    _, token = await key_of(ada, "write")
    assert (await refused(server.address[1], Authorization=f"Bearer {token}")).status == 403
    async with open_socket(server.address[1]) as socket:
        await socket.say(type="hello", token=token)
        assert (await socket.closed())[0] == 4403
    _, token = await key_of(ada, "read")
    async with open_socket(server.address[1]) as socket:
        assert (await socket.greet(token))["type"] == "ready"
        await socket.say(type="command", id="1", command="create", body={})
        assert (await socket.hear())["problem"]["status"] == 403


async def test_nobody_is_told_to_log_in(server: Server) -> None:
    async with open_socket(server.address[1]) as socket:
        await socket.say(type="hello")
        assert await socket.closed() == (4401, "log in first, or send an API key as the token of hello")


async def test_hello_comes_first(server: Server, ada: httpx2.AsyncClient) -> None:
    async with open_socket(server.address[1], Cookie=cookies_of(ada)) as socket:
        await socket.say(type="subscribe", id="1", conversation=None)
        assert (await socket.closed())[0] == 4401


async def test_hello_comes_once(socket: Socket) -> None:
    await socket.say(type="hello")
    assert (await socket.closed())[0] == 4429


async def test_hello_comes_soon() -> None:
    async with serve(socket_hello_seconds=0.1) as server, open_socket(server.address[1]) as socket:
        code, reason = await socket.closed()
        assert code == 4408
        assert "socket_hello_seconds" in reason


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
async def test_another_sites_page_is_refused(server: Server, ada: httpx2.AsyncClient, origin: str) -> None:
    """Whoever's cookie the browser sends along."""
    answer = await refused(server.address[1], Cookie=cookies_of(ada), Origin=origin)
    assert (answer.status, json.loads(answer.body)["code"]) == (403, "origin")


async def test_own_and_trusted_pages_are_let_in(ada: httpx2.AsyncClient) -> None:
    async with serve(trusted_origins=("https://app.example",)) as server, server.user() as bob:
        for origin in ("https://app.example", "http://127.0.0.1"):
            async with open_socket(server.address[1], Cookie=cookies_of(bob), Origin=origin) as socket:
                assert (await socket.greet())["type"] == "ready"


async def test_another_subprotocol_is_refused(server: Server, ada: httpx2.AsyncClient) -> None:
    assert (await refused(server.address[1], subprotocols=("graphql-transport-ws",))).status == 400
    async with open_socket(server.address[1], subprotocols=("mqtt", "trialogue.v1")) as socket:
        assert socket.subprotocol == "trialogue.v1"
    async with open_socket(server.address[1], subprotocols=(), Cookie=cookies_of(ada)) as socket:
        assert socket.subprotocol is None
        assert (await socket.greet())["type"] == "ready"


async def test_another_path_is_none(server: Server) -> None:
    with pytest.raises(Refused) as caught:
        async with open_socket(server.address[1], path="/api/wss"):
            pass
    assert caught.value.status == 404


async def test_sockets_per_user_are_limited() -> None:
    async with serve(sockets_per_user=1) as server, server.user() as ada, server.user("eve") as eve:
        port = server.address[1]
        async with open_socket(port, Cookie=cookies_of(ada)) as one, open_socket(port, Cookie=cookies_of(ada)) as two:
            await one.greet()
            await two.say(type="hello")
            code, reason = await two.closed()
            assert code == 4429
            assert "sockets_per_user" in reason
            async with open_socket(port, Cookie=cookies_of(eve)) as other:
                assert (await other.greet())["type"] == "ready"
        with trio.fail_after(5):
            while True:
                async with open_socket(port, Cookie=cookies_of(ada)) as again:
                    await again.say(type="hello")
                    try:
                        assert (await again.hear())["type"] == "ready"
                    except Closed:
                        continue
                    break


async def test_plain_request_is_told_to_upgrade(ada: httpx2.AsyncClient) -> None:
    answer = await ada.get("/api/ws")
    assert (answer.status_code, answer.json()["code"]) == (426, "upgrade")
    assert answer.headers["upgrade"] == "websocket"


async def test_draining_server_takes_no_sockets(server: Server, ada: httpx2.AsyncClient) -> None:
    server.hub.drain()
    answer = await refused(server.address[1], Cookie=cookies_of(ada))
    assert answer.status == 503
    assert "retry-after" in answer.headers


async def test_socket_and_its_commands_are_told_in_the_log(
    server: Server, ada: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "trialogue.requests")
    _, token = await key_of(ada, "read", "write")
    async with open_socket(server.address[1]) as socket:
        user = (await socket.greet(token))["user"]
        await socket.say(type="command", id="1", command="create", body={})
        await socket.hear()
        await socket.close()
    with trio.fail_after(5):
        while "GET /api/ws" not in caplog.text:  # noqa: ASYNC110 - the log tells nobody
            await trio.sleep(0.005)
    *_, created, ended = (record.getMessage() for record in caplog.records)
    assert created.startswith("POST /api/conversations 201 in ")
    assert ended.startswith("GET /api/ws 101 in ")
    assert f"user={user}" in created
    assert f"user={user}" in ended
    assert token not in caplog.text


async def test_disabled_account_is_out_at_once(server: Server, ada: httpx2.AsyncClient) -> None:
    async with server.user("eve") as eve:
        cookie = cookies_of(eve)
        async with open_socket(server.address[1], Cookie=cookie) as socket:
            user = (await socket.greet())["user"]
            assert (await ada.patch(f"/api/admin/users/{user}", json={"disabled": True})).status_code == 200
            assert (await socket.closed())[0] == 4401
        async with open_socket(server.address[1], Cookie=cookie) as socket:
            await socket.say(type="hello")
            assert (await socket.closed())[0] == 4401
