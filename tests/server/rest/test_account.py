"""One's own account over HTTP: what it says, its password, its devices, and its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
import trio
from msgspec.structs import replace
from rest import PASSWORD, Server, open_stream, serve

from trialogue.testing import MemoryStore
from trialogue_server.api._account_bodies import (
    Confidential,
    DeleteMeBody,
    LoginBody,
    PasswordBody,
    RegisterBody,
    ResetBody,
    UpdateMeBody,
)

NEW = "battery staple"


@asynccontextmanager
async def login(server: Server, name: str, password: str = PASSWORD) -> AsyncGenerator[httpx2.AsyncClient]:
    """A further device of somebody's."""
    async with server.client() as client:
        answer = await client.post("/api/auth/login", json={"email": f"{name}@example.org", "password": password})
        assert answer.status_code == 200, answer.text
        yield client


async def status(client: httpx2.AsyncClient) -> int:
    return (await client.get("/api/auth/me")).status_code


async def actions(server: Server) -> Sequence[str]:
    page = await server.engine.store.accounts.audit(limit=100)
    return [entry.action for entry in page.entries][::-1]


# --- what it says ------------------------------------------------------------------------------------------------


async def test_name_and_preferences_are_patched(ada: httpx2.AsyncClient) -> None:
    first = await ada.patch("/api/auth/me", json={"name": " Ada L. ", "preferences": {"theme": "dark", "at": {"x": 1}}})
    assert (first.status_code, first.json()["name"]) == (200, "Ada L.")
    await ada.patch("/api/auth/me", json={"preferences": {"theme": None, "at": {"y": 2}}})
    assert (await ada.get("/api/auth/me")).json()["preferences"] == {"at": {"x": 1, "y": 2}}
    cleared = await ada.patch("/api/auth/me", json={"preferences": None})
    assert (cleared.json()["preferences"], cleared.json()["name"]) == ({}, "Ada L.")


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"name": "x" * 201}, 422, "/name"),
        ({"name": "two\nlines"}, 422, "/name"),
        ({"email": "new@example.org"}, 422, "/password"),
        ({"email": "new@example.org", "password": "wrong password"}, 403, "/password"),
        ({"email": "no address", "password": PASSWORD}, 422, "/email"),
        ({"email": "eve@example.org", "password": PASSWORD}, 409, "/email"),
        ({"preferences": [1]}, 422, "/preferences"),
        ({"preferences": {"x": "y" * 17_000}}, 413, "/preferences"),
        ({"preferences": {"x": 2**70}}, 422, "/preferences"),
        ({"role": "admin"}, 422, "/role"),
        ({"disabled": False}, 422, "/disabled"),
    ],
)
async def test_what_cannot_be_is_refused_and_changes_nothing(
    ada: httpx2.AsyncClient, eve: httpx2.AsyncClient, body: dict[str, Any], status: int, pointer: str
) -> None:
    before = (await ada.get("/api/auth/me")).json()
    answer = await ada.patch("/api/auth/me", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (status, pointer), answer.text
    assert (await ada.get("/api/auth/me")).json() == before


async def test_new_address_logs_in_and_the_old_one_does_not(server: Server, ada: httpx2.AsyncClient) -> None:
    answer = await ada.patch("/api/auth/me", json={"email": "Ada@New.example.org", "password": PASSWORD})
    assert (answer.status_code, answer.json()["email"]) == (200, "ada@new.example.org")
    async with server.client() as client:
        for email, status in (("ada@example.org", 401), ("ada@new.example.org", 200)):
            answer = await client.post("/api/auth/login", json={"email": email, "password": PASSWORD})
            assert answer.status_code == status


# --- its password ------------------------------------------------------------------------------------------------


async def test_new_password_ends_the_other_devices_and_their_streams(server: Server, ada: httpx2.AsyncClient) -> None:
    url = (await ada.post("/api/conversations", json={})).headers["location"]
    async with (
        login(server, "ada") as other,
        open_stream(other, f"{url}/events") as theirs,
        open_stream(ada, f"{url}/events") as ours,
    ):
        assert (await theirs.event() or {})["type"] == "snapshot"
        assert (await ours.event() or {})["type"] == "snapshot"
        answer = await ada.post("/api/auth/password", json={"old": PASSWORD, "new": NEW})
        assert answer.status_code == 204
        with trio.fail_after(10):
            assert await theirs.event() is None
        assert (await status(other), await status(ada)) == (401, 200)
        await ada.patch(url, json={"title": "Still here"})
        assert (await ours.event() or {})["type"] == "conversation.updated"
    async with login(server, "ada", NEW) as again:
        assert await status(again) == 200
    assert "password.changed" in await actions(server)


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"old": "wrong password", "new": NEW}, 403, "/old"),
        ({"old": PASSWORD, "new": "short"}, 422, "/new"),
        ({"new": NEW}, 422, "/old"),
    ],
)
async def test_password_that_is_not_changed_stays(
    server: Server, ada: httpx2.AsyncClient, body: dict[str, str], status: int, pointer: str
) -> None:
    answer = await ada.post("/api/auth/password", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (status, pointer)
    assert NEW not in answer.text
    async with login(server, "ada") as again:
        assert await _status(again) == 200


_status = status  # The name of a parameter above.


async def test_guessing_with_a_stolen_session_is_throttled(ada: httpx2.AsyncClient) -> None:
    body = {"old": "wrong password", "new": NEW}
    answers = [(await ada.post("/api/auth/password", json=body)).status_code for _ in range(11)]
    assert answers == [403] * 10 + [429]


# --- its devices -------------------------------------------------------------------------------------------------


async def test_devices_are_listed_with_what_they_are(server: Server, ada: httpx2.AsyncClient) -> None:
    async with server.client(headers={"User-Agent": "Phone/1.0"}) as phone:
        await phone.post("/api/auth/login", json={"email": "ada@example.org", "password": PASSWORD})
        sessions = (await ada.get("/api/auth/sessions")).json()["sessions"]
        assert [session["current"] for session in sessions] == [False, True]
        assert (sessions[0]["agent"], sessions[0]["address"]) == ("Phone/1.0", "127.0.0.1")
        assert set(sessions[0]) == {"id", "current", "agent", "address", "created_at", "seen_at", "expires_at"}
        assert phone.cookies["trialogue"] not in str(sessions)


async def test_ended_device_is_out_at_once_with_its_streams(server: Server, ada: httpx2.AsyncClient) -> None:
    url = (await ada.post("/api/conversations", json={})).headers["location"]
    async with login(server, "ada") as phone, open_stream(phone, f"{url}/events") as stream:
        assert (await stream.event() or {})["type"] == "snapshot"
        (name,) = [s["id"] for s in (await ada.get("/api/auth/sessions")).json()["sessions"] if not s["current"]]
        assert (await ada.delete(f"/api/auth/sessions/{name}")).status_code == 204
        with trio.fail_after(10):
            assert await stream.event() is None
        assert (await status(phone), await status(ada)) == (401, 200)
        assert (await ada.delete(f"/api/auth/sessions/{name}")).status_code == 404


async def test_anothers_device_does_not_exist(ada: httpx2.AsyncClient, eve: httpx2.AsyncClient) -> None:
    (session,) = (await ada.get("/api/auth/sessions")).json()["sessions"]
    assert (await eve.delete(f"/api/auth/sessions/{session['id']}")).status_code == 404
    assert await status(ada) == 200


async def test_stream_that_is_just_being_opened_ends_too(
    server: Server, ada: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its caller was found out before the session ended, its place in the hub is taken after that."""
    url = (await ada.post("/api/conversations", json={})).headers["location"]
    resume, known, ended = server.engine.resume, trio.Event(), trio.Event()

    async def slow(*arguments: Any) -> tuple[bytes, int]:
        known.set()
        await ended.wait()
        return await resume(*arguments)

    monkeypatch.setattr(server.engine, "resume", slow)

    async def end(name: str) -> None:
        await known.wait()
        assert (await ada.delete(f"/api/auth/sessions/{name}")).status_code == 204
        ended.set()

    async with login(server, "ada") as phone, trio.open_nursery() as nursery:
        (name,) = [s["id"] for s in (await ada.get("/api/auth/sessions")).json()["sessions"] if not s["current"]]
        nursery.start_soon(end, name)
        async with open_stream(phone, f"{url}/events") as stream:
            assert (await stream.event() or {})["type"] == "snapshot"
            assert await stream.event() is None


async def test_more_devices_than_allowed_push_the_oldest_out() -> None:
    async with (
        serve(sessions_per_user=2) as server,
        server.user() as first,
        login(server, "ada") as second,
        login(server, "ada") as third,
    ):
        assert [await status(client) for client in (first, second, third)] == [401, 200, 200]


# --- sessions that are tried on ----------------------------------------------------------------------------------


async def test_session_that_was_planted_is_not_taken_over(server: Server, ada: httpx2.AsyncClient) -> None:
    """Fixation: a login never goes on in a session that was there before, whoever's it is."""
    planted = ada.cookies["trialogue"]
    body = {"email": "eve@example.org", "password": PASSWORD, "name": "eve"}
    async with server.client() as victim:
        made = await victim.post("/api/auth/register", json=body, headers={"Cookie": f"trialogue={planted}"})
        assert made.status_code == 201
        assert planted not in made.headers["set-cookie"]
        assert await status(ada) == 401, "it ended, so whoever planted it learns nothing"
        body.pop("name")
        guess = "x" * 43
        again = await victim.post("/api/auth/login", json=body, headers={"Cookie": f"trialogue={guess}"})
        assert again.status_code == 200
        assert guess not in again.headers["set-cookie"]


@pytest.mark.parametrize("skew", [timedelta(hours=-2), timedelta(0), timedelta(hours=2)])
async def test_session_ends_by_the_servers_clock(skew: timedelta) -> None:
    """Whatever the cookie's time says, and whatever clock wrote it: only what is stored counts."""
    store = MemoryStore()
    async with serve(store=store) as server, server.user() as ada:
        (session,) = await store.accounts.sessions((await ada.get("/api/auth/me")).json()["id"])
        await store.accounts.add_session(replace(session, expires_at=datetime.now(UTC) + skew))
        cookies = {"trialogue": ada.cookies["trialogue"]}
        async with serve(store=store) as another, another.client(cookies=cookies) as copy:
            assert await status(copy) == (200 if skew > timedelta(0) else 401)


# --- its end -----------------------------------------------------------------------------------------------------


async def test_deleted_account_is_gone_with_all_it_owns(server: Server, ada: httpx2.AsyncClient) -> None:
    async with server.user("eve") as eve, login(server, "eve") as phone:
        url = (await eve.post("/api/conversations", json={"title": "Mine"})).headers["location"]
        kept = (await ada.post("/api/conversations", json={})).headers["location"]
        key = (await eve.post("/api/auth/keys", json={"name": "k"})).json()["token"]
        me = (await eve.get("/api/auth/me")).json()["id"]
        async with open_stream(phone, f"{url}/events") as stream:
            await stream.event()
            wrong = await eve.request("DELETE", "/api/auth/me", json={"password": "wrong password"})
            assert (wrong.status_code, wrong.json()["code"]) == (403, "password")
            gone = await eve.request("DELETE", "/api/auth/me", json={"password": PASSWORD})
            assert gone.status_code == 204
            assert "Max-Age=0" in gone.headers["set-cookie"]
            with trio.fail_after(10):
                assert await stream.event() is None
        assert await status(phone) == 401
        async with server.client(headers={"Authorization": f"Bearer {key}"}) as program:
            assert await status(program) == 401
        store = server.engine.store
        with trio.fail_after(5):
            while await store.accounts.owned(me, 1):
                await trio.lowlevel.checkpoint()
        assert await store.header(url.rpartition("/")[2]) is None
        assert (await ada.get(kept)).status_code == 200
        assert (await store.accounts.audit(limit=1)).entries[0].action == "account.deleted"
        body = {"email": "eve@example.org", "password": PASSWORD}
        assert (await eve.post("/api/auth/login", json=body)).status_code == 401
        assert (await eve.post("/api/auth/register", json=body)).status_code == 201


async def test_last_administrator_cannot_leave(server: Server, ada: httpx2.AsyncClient) -> None:
    answer = await ada.request("DELETE", "/api/auth/me", json={"password": PASSWORD})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert await status(ada) == 200


async def test_what_people_do_to_their_accounts_is_recorded(server: Server, ada: httpx2.AsyncClient) -> None:
    await ada.post("/api/auth/login", json={"email": "ada@example.org", "password": "wrong password"})
    await ada.patch("/api/auth/me", json={"name": "Ada"}, headers={"X-Request-Id": "rename"})
    await ada.patch("/api/auth/me", json={"preferences": {"theme": "dark"}})
    await ada.post("/api/auth/logout")
    assert await actions(server) == ["account.registered", "login", "login.failed", "account.updated", "logout"]
    page = await server.engine.store.accounts.audit(limit=10, action="account.updated")
    (entry,) = page.entries
    assert (entry.actor, entry.address, entry.request) == (entry.subject, "127.0.0.1", "rename")


async def test_flood_of_failed_logins_does_not_flood_the_record(server: Server, ada: httpx2.AsyncClient) -> None:
    """And what was typed as an address stays out of it: now and then it is a password."""
    async with server.client() as client:
        for n in range(30):
            await client.post("/api/auth/login", json={"email": f"secret{n}@example.org", "password": "wrong"})
    page = await server.engine.store.accounts.audit(limit=100, action="login.failed")
    assert len(page.entries) == 5
    assert "secret" not in str(page)


@pytest.mark.parametrize(
    "body",
    [
        LoginBody("ada@example.org", NEW),
        RegisterBody("ada@example.org", NEW, invitation=NEW),
        UpdateMeBody(password=NEW),
        PasswordBody(NEW, NEW),
        ResetBody(NEW, NEW),
        DeleteMeBody(NEW),
    ],
)
def test_bodies_with_secrets_do_not_tell_them(body: Confidential) -> None:
    assert NEW not in repr(body)
