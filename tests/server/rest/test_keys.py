"""API keys over HTTP: what they are good for, and when they no longer are."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
import trio
import trio.testing
from msgspec.structs import replace
from rest import Server, open_stream, serve

from trialogue import Admission, ApiKey, StorageError, ThrottledError, User, new_id
from trialogue.testing import Fault, MemoryStore
from trialogue_server._callers.keys import Keys
from trialogue_server._callers.throttle import Throttle
from trialogue_server._callers.tokens import hash_of
from trialogue_server._http.errors import WrongKeyError


async def made(client: httpx2.AsyncClient, **body: Any) -> dict[str, Any]:
    """A key of the client's: ``token`` and ``key``."""
    answer = await client.post("/api/auth/keys", json={"name": "script", **body})
    assert answer.status_code == 201, answer.text
    result: dict[str, Any] = answer.json()
    return result


Program = Callable[[str], AbstractAsyncContextManager[httpx2.AsyncClient]]


@pytest.fixture
def program(server: Server) -> Program:
    """A client that shows a key and nothing else."""

    @asynccontextmanager
    async def opened(token: str) -> AsyncGenerator[httpx2.AsyncClient]:
        async with server.client(headers={"Authorization": f"Bearer {token}"}) as client:
            yield client

    return opened


async def test_key_is_shown_once_and_stored_as_a_hash(server: Server, ada: httpx2.AsyncClient) -> None:
    until = datetime.now(UTC) + timedelta(days=30)
    body = await made(ada, scopes=["read"], expires_at=until.isoformat(), budget=5_000_000)
    token, key = body["token"], body["key"]
    assert token.startswith("tl_")
    assert len(token) >= 46, "256 bits in base64"
    assert (key["scopes"], key["budget"], key["used_at"]) == (["read"], 5_000_000, None)
    listed = (await ada.get("/api/auth/keys")).json()
    assert listed == {"keys": [key]}
    assert token not in repr(vars(server.engine.store.accounts))


async def test_key_asks_and_changes_without_an_origin(ada: httpx2.AsyncClient, program: Program) -> None:
    body = await made(ada)
    async with program(body["token"]) as script:
        answer = await script.post("/api/conversations", json={}, headers={"Origin": "http://elsewhere.example"})
        assert answer.status_code == 201
        assert (await script.get(answer.headers["location"])).status_code == 200
        assert (await script.get("/api/auth/me")).json() == (await ada.get("/api/auth/me")).json()
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("scopes", "statuses"), [(["read"], [200, 403, 403]), (["write"], [403, 201, 403]), (["admin"], [403, 403, 200])]
)
async def test_key_does_what_it_was_made_for(
    ada: httpx2.AsyncClient, program: Program, scopes: list[str], statuses: list[int]
) -> None:
    body = await made(ada, scopes=scopes)
    async with program(body["token"]) as script:
        answers = [
            await script.get("/api/conversations"),
            await script.post("/api/conversations", json={}),
            await script.get("/api/admin/users"),
        ]
    assert [answer.status_code for answer in answers] == statuses
    refused = next(answer for answer in answers if answer.status_code == 403)
    assert refused.json()["code"] == "scope"
    assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]


async def test_key_decides_nothing_about_its_account(ada: httpx2.AsyncClient, program: Program) -> None:
    body = await made(ada, scopes=["read", "write", "admin"])
    async with program(body["token"]) as script:
        for method, path in (
            ("GET", "/api/auth/keys"),
            ("POST", "/api/auth/keys"),
            ("DELETE", f"/api/auth/keys/{body['key']['id']}"),
            ("GET", "/api/auth/sessions"),
            ("PATCH", "/api/auth/me"),
            ("DELETE", "/api/auth/me"),
            ("POST", "/api/auth/password"),
        ):
            answer = await script.request(method, path, json={})
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_only_an_administrators_key_administers(
    server: Server, ada: httpx2.AsyncClient, eve: httpx2.AsyncClient, program: Program
) -> None:
    refused = await eve.post("/api/auth/keys", json={"name": "k", "scopes": ["admin"]})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/scopes")
    eves = (await eve.get("/api/auth/me")).json()["id"]
    await ada.patch(f"/api/admin/users/{eves}", json={"role": "admin"})
    body = await made(eve, scopes=["admin"])
    async with program(body["token"]) as script:
        assert (await script.get("/api/admin/users")).status_code == 200
        await ada.patch(f"/api/admin/users/{eves}", json={"role": "user"})
        assert (await script.get("/api/admin/users")).status_code == 403


@pytest.mark.parametrize("token", ["tl_" + "x" * 43, "sk-something", "tl_", "tl_" + "x" * 5000, "\xff\xfe"])
async def test_wrong_key_is_nobody_even_beside_a_good_cookie(ada: httpx2.AsyncClient, token: str) -> None:
    answer = await ada.get("/api/auth/me", headers=[(b"Authorization", b"Bearer " + token.encode("latin-1"))])
    assert (answer.status_code, answer.json()["code"]) == (401, "key")
    assert answer.headers["www-authenticate"] == 'Bearer realm="trialogue", error="invalid_token"'
    assert not token or token not in answer.text


async def test_other_schemes_are_for_others(server: Server, ada: httpx2.AsyncClient) -> None:
    """A proxy's own login, for one."""
    answer = await ada.get("/api/auth/me", headers={"Authorization": "Basic YTpi"})
    assert answer.status_code == 200
    async with server.client() as nobody:
        answer = await nobody.get("/api/auth/me")
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="trialogue"')


async def test_guessing_is_throttled_by_address(ada: httpx2.AsyncClient, program: Program) -> None:
    body = await made(ada)
    async with program(body["token"]) as script, program("tl_" + "x" * 43) as guesser:
        assert (await script.get("/api/auth/me")).status_code == 200
        answers = [(await guesser.get("/api/auth/me")).status_code for _ in range(51)]
        assert answers == [401] * 50 + [429]
        assert (await script.get("/api/auth/me")).status_code == 200, "a good one goes on"


async def test_good_key_that_many_use_at_once_is_no_guess(mock_clock: trio.testing.MockClock) -> None:
    store = MemoryStore()
    user = User(new_id(), "ada@example.org", "ada", "user", datetime.now(UTC))
    await store.accounts.add_user(user, None, Admission())
    key = ApiKey(new_id(), user.id, hash_of("tl_good"), "key", ("read",), datetime.now(UTC))
    await store.accounts.add_key(key, 1)
    keys = Keys(store.accounts, Throttle("wrong keys", burst=1, seconds=60))
    store.faults.next("key", Fault(delay=1), Fault("before"))
    async with trio.open_nursery() as nursery:
        for _ in range(9):
            nursery.start_soon(keys.find, "tl_good", "here")
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(1)
    keys.cache.clear()
    with pytest.raises(StorageError):
        await keys.find("tl_good", "here")
    assert (await keys.find("tl_good", "here")).key == key.id, "a store that fails makes nobody a guesser"
    with pytest.raises(WrongKeyError):
        await keys.find("tl_bad", "here")
    with pytest.raises(ThrottledError):
        await keys.find("tl_bad", "here")


async def test_revoked_key_is_out_at_once_with_its_streams(
    server: Server, ada: httpx2.AsyncClient, program: Program
) -> None:
    body = await made(ada)
    url = (await ada.post("/api/conversations", json={})).headers["location"]
    bearer = f"Bearer {body['token']}"
    async with program(body["token"]) as script, open_stream(script, f"{url}/events", Authorization=bearer) as stream:
        assert (await stream.event() or {})["type"] == "snapshot"
        assert (await ada.delete(f"/api/auth/keys/{body['key']['id']}")).status_code == 204
        with trio.fail_after(10):
            assert await stream.event() is None
        assert (await script.get("/api/auth/me")).status_code == 401
        assert (await ada.delete(f"/api/auth/keys/{body['key']['id']}")).status_code == 404
    assert (await ada.get("/api/auth/keys")).json() == {"keys": []}


async def test_key_that_expires_ends_its_streams(ada: httpx2.AsyncClient, program: Program) -> None:
    body = await made(ada, expires_at=(datetime.now(UTC) + timedelta(seconds=3)).isoformat())
    url = (await ada.post("/api/conversations", json={})).headers["location"]
    bearer = f"Bearer {body['token']}"
    async with program(body["token"]) as script, open_stream(script, f"{url}/events", Authorization=bearer) as stream:
        assert (await stream.event() or {})["type"] == "snapshot"
        with trio.fail_after(20):
            assert await stream.event() is None
        assert (await script.get("/api/auth/me")).status_code == 401


async def test_anothers_key_does_not_exist(ada: httpx2.AsyncClient, eve: httpx2.AsyncClient, program: Program) -> None:
    body = await made(ada)
    assert (await eve.delete(f"/api/auth/keys/{body['key']['id']}")).status_code == 404
    assert (await eve.get("/api/auth/keys")).json() == {"keys": []}
    async with program(body["token"]) as script:
        assert (await script.get("/api/auth/me")).status_code == 200


async def test_key_expires_also_in_the_cache() -> None:
    store = MemoryStore()
    async with serve(store=store) as server, server.user() as ada:
        body = await made(ada)
        kept = await store.accounts.key_by_id(body["key"]["id"])
        assert kept is not None
        await store.accounts.drop_key(kept.id)
        await store.accounts.add_key(replace(kept, expires_at=datetime.now(UTC) + timedelta(seconds=2)))
        async with server.client(headers={"Authorization": f"Bearer {body['token']}"}) as script:
            assert (await script.get("/api/auth/me")).status_code == 200
            with trio.fail_after(20):
                while (await script.get("/api/auth/me")).status_code == 200:  # noqa: ASYNC110 - asked as a program would
                    await trio.sleep(0.1)


async def test_use_is_noted_and_not_with_every_request(
    server: Server, ada: httpx2.AsyncClient, program: Program
) -> None:
    body, jobs = await made(ada), server.engine.store.statistics().jobs
    async with program(body["token"]) as script:
        for _ in range(5):
            assert (await script.get("/api/auth/me")).status_code == 200
    assert server.engine.store.statistics().jobs == jobs + 1
    (key,) = (await ada.get("/api/auth/keys")).json()["keys"]
    assert key["used_at"] is not None


async def test_keys_of_a_disabled_account_rest(
    server: Server, ada: httpx2.AsyncClient, eve: httpx2.AsyncClient, program: Program
) -> None:
    body, eves = await made(eve), (await eve.get("/api/auth/me")).json()["id"]
    async with program(body["token"]) as script:
        for disabled, status in ((True, 401), (False, 200)):
            await ada.patch(f"/api/admin/users/{eves}", json={"disabled": disabled})
            assert (await script.get("/api/auth/me")).status_code == status


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/name"),
        ({"name": "x" * 201}, "/name"),
        ({"name": "k", "scopes": []}, "/scopes"),
        ({"name": "k", "scopes": ["root"]}, "/scopes/0"),
        ({"name": "k", "expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
        ({"name": "k", "expires_at": "2099-01-01T00:00:00"}, "/expires_at"),
        ({"name": "k", "budget": -1}, "/budget"),
        ({"name": "k", "budget": 1.5}, "/budget"),
        ({"name": "k", "token": "tl_mine"}, "/token"),
    ],
)
async def test_key_that_cannot_be_is_refused(ada: httpx2.AsyncClient, body: dict[str, Any], pointer: str) -> None:
    answer = await ada.post("/api/auth/keys", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer), answer.text


async def test_number_of_keys_is_limited() -> None:
    async with serve(keys_per_user=2) as server, server.user() as ada:
        await made(ada)
        await made(ada)
        answer = await ada.post("/api/auth/keys", json={"name": "third"})
        assert answer.status_code == 409
        assert "keys_per_user" in answer.json()["detail"]


async def test_token_is_in_no_log(
    server: Server, ada: httpx2.AsyncClient, program: Program, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"):
        body = await made(ada)
        async with program(body["token"]) as script:
            await script.get("/api/auth/me")
            await script.get("/api/admin/users")
    assert body["token"] not in caplog.text
    assert any(record.name == "trialogue.audit" and record.getMessage() == "key.made" for record in caplog.records)
