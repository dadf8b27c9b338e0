"""Administration over HTTP: accounts, invitations, resets, the audit log, plugins and actors."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
import trio
from msgspec.structs import replace
from rest import PASSWORD, Server, open_stream, serve

from trialogue import load_plugins, new_id
from trialogue.testing import Fault, MemoryStore
from trialogue_server._serving.services import Services

NEW = "battery staple"


async def id_of(client: httpx2.AsyncClient) -> str:
    name: str = (await client.get("/api/auth/me")).json()["id"]
    return name


async def registered(server: Server, name: str, **more: str) -> httpx2.Response:
    """What a newcomer is answered."""
    async with server.client() as client:
        body = {"email": f"{name}@example.org", "password": PASSWORD, "name": name, **more}
        return await client.post("/api/auth/register", json=body)


# --- accounts ----------------------------------------------------------------------------------------------------


async def test_accounts_are_listed_in_pages_and_found(
    server: Server, ada: httpx2.AsyncClient, eve: httpx2.AsyncClient
) -> None:
    await registered(server, "bob")
    first = await ada.get("/api/admin/users", params={"limit": 2})
    assert [user["name"] for user in first.json()["users"]] == ["ada", "bob"]
    assert first.json()["has_more"] is True
    assert f"cursor={first.json()['cursor']}".replace("=", "%3D", 0) in first.headers["link"].replace("%3D", "=")
    rest = await ada.get("/api/admin/users", params={"limit": 2, "cursor": first.json()["cursor"]})
    assert [user["name"] for user in rest.json()["users"]] == ["eve"]
    assert (rest.json()["has_more"], "link" in rest.headers) == (False, False)
    found = (await ada.get("/api/admin/users", params={"q": "BOB@"})).json()["users"]
    assert [user["email"] for user in found] == ["bob@example.org"]
    assert "secret" not in str(found)
    assert (await ada.get("/api/admin/users", params={"cursor": "no cursor"})).status_code == 422


async def test_disabled_account_is_out_at_once_with_its_streams(
    server: Server, ada: httpx2.AsyncClient, eve: httpx2.AsyncClient
) -> None:
    url, eves = (await eve.post("/api/conversations", json={})).headers["location"], await id_of(eve)
    async with open_stream(eve, f"{url}/events") as stream:
        assert (await stream.event() or {})["type"] == "snapshot"
        answer = await ada.patch(f"/api/admin/users/{eves}", json={"disabled": True})
        assert (answer.status_code, answer.json()["disabled"]) == (200, True)
        with trio.fail_after(10):
            assert await stream.event() is None
    assert (await eve.get("/api/auth/me")).status_code == 401
    async with server.client() as client:
        body = {"email": "eve@example.org", "password": PASSWORD}
        refused = await client.post("/api/auth/login", json=body)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        wrong = await client.post("/api/auth/login", json={**body, "password": "wrong password"})
        assert wrong.status_code == 401, "who does not know the password learns nothing"
        await ada.patch(f"/api/admin/users/{eves}", json={"disabled": False})
        assert (await client.post("/api/auth/login", json=body)).status_code == 200
    assert (await eve.get("/api/auth/me")).status_code == 401, "its sessions are gone for good"


async def test_role_counts_from_the_next_request_on(ada: httpx2.AsyncClient, eve: httpx2.AsyncClient) -> None:
    eves = await id_of(eve)
    for role, status in (("admin", 200), ("user", 403)):
        assert (await ada.patch(f"/api/admin/users/{eves}", json={"role": role})).json()["role"] == role
        assert (await eve.get("/api/admin/users")).status_code == status


@pytest.mark.parametrize("change", [{"role": "user"}, {"disabled": True}, None])
async def test_last_administrator_stays(
    ada: httpx2.AsyncClient, eve: httpx2.AsyncClient, change: dict[str, Any] | None
) -> None:
    url = f"/api/admin/users/{await id_of(ada)}"
    answer = await (ada.delete(url) if change is None else ada.patch(url, json=change))
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert (await ada.get("/api/admin/users")).status_code == 200


async def test_deleted_account_is_gone(ada: httpx2.AsyncClient, eve: httpx2.AsyncClient) -> None:
    url = f"/api/admin/users/{await id_of(eve)}"
    assert (await ada.delete(url)).status_code == 204
    assert (await eve.get("/api/auth/me")).status_code == 401
    assert (await ada.delete(url)).status_code == 404
    assert (await ada.patch(url, json={"name": "x"})).status_code == 404


# --- resets ------------------------------------------------------------------------------------------------------


async def test_reset_sets_a_password_once(server: Server, ada: httpx2.AsyncClient, eve: httpx2.AsyncClient) -> None:
    url = f"/api/admin/users/{await id_of(eve)}/password"
    stale = (await ada.post(url)).json()["token"]
    offered = (await ada.post(url)).json()
    assert (await eve.get("/api/auth/me")).status_code == 200, "offering changes nothing"
    async with server.client() as client:

        async def reset(token: str, password: str = NEW) -> int:
            return (await client.post("/api/auth/reset", json={"token": token, "password": password})).status_code

        assert await reset(offered["token"], "short") == 422
        assert await reset(stale) == 403
        assert await reset(offered["token"]) == 204
        assert await reset(offered["token"]) == 403
        assert (await eve.get("/api/auth/me")).status_code == 401
        for password, status in ((PASSWORD, 401), (NEW, 200)):
            answer = await client.post("/api/auth/login", json={"email": "eve@example.org", "password": password})
            assert answer.status_code == status


async def test_reset_is_overtaken_by_a_new_password(
    server: Server, ada: httpx2.AsyncClient, eve: httpx2.AsyncClient
) -> None:
    token = (await ada.post(f"/api/admin/users/{await id_of(eve)}/password")).json()["token"]
    assert (await eve.post("/api/auth/password", json={"old": PASSWORD, "new": NEW})).status_code == 204
    answer = await eve.post("/api/auth/reset", json={"token": token, "password": "another password"})
    assert answer.status_code == 403


async def test_reset_that_fails_on_our_side_is_no_guess() -> None:
    store = MemoryStore()
    async with serve(store=store) as server, server.client() as client:
        store.faults.next("reset", *(Fault(fail="before") for _ in range(60)))
        body = {"token": "tl_reset_guess", "password": NEW}
        answers = [(await client.post("/api/auth/reset", json=body)).status_code for _ in range(61)]
    assert answers == [503] * 60 + [403]


async def test_guessing_resets_is_throttled(server: Server) -> None:
    async with server.client() as client:
        body = {"token": "guess", "password": NEW}
        answers = [(await client.post("/api/auth/reset", json=body)).status_code for _ in range(51)]
    assert answers == [403] * 50 + [429]


# --- invitations -------------------------------------------------------------------------------------------------


@asynccontextmanager
async def by_invitation(store: MemoryStore | None = None) -> AsyncGenerator[tuple[Server, httpx2.AsyncClient]]:
    """A server that takes newcomers by invitation, and its administrator."""
    async with serve(registration="invite", store=store) as server, server.user("ada") as ada:
        yield server, ada


async def invite(ada: httpx2.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await ada.post("/api/admin/invitations", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_invitation_admits_one_newcomer() -> None:
    async with by_invitation() as (server, ada):
        assert (await registered(server, "bob")).status_code == 403
        made = await invite(ada, role="admin")
        answer = await registered(server, "bob", invitation=made["token"])
        assert (answer.status_code, answer.json()["role"]) == (201, "admin")
        again = await registered(server, "eve", invitation=made["token"])
        assert (again.status_code, again.json()["errors"][0]["pointer"]) == (403, "/invitation")
        (listed,) = (await ada.get("/api/admin/invitations")).json()["invitations"]
        assert listed["used_by"] == answer.json()["id"]
        assert made["token"] not in str(listed)


async def test_invitation_is_single_use_when_many_try_at_once() -> None:
    async with by_invitation() as (server, ada):
        token, answers = (await invite(ada))["token"], []

        async def register(number: int) -> None:
            answers.append((await registered(server, f"u{number}", invitation=token)).status_code)

        async with trio.open_nursery() as nursery:
            for number in range(6):
                nursery.start_soon(register, number)
        assert sorted(answers) == [201] + [403] * 5
        assert len((await ada.get("/api/admin/users")).json()["users"]) == 2


async def test_invitation_for_an_address_is_for_that_one() -> None:
    async with by_invitation() as (server, ada):
        token = (await invite(ada, email="Bob@Example.org"))["token"]
        assert (await registered(server, "eve", invitation=token)).status_code == 403
        assert (await registered(server, "bob", invitation=token)).status_code == 201


async def test_revoked_or_expired_invitation_admits_nobody() -> None:
    store = MemoryStore()
    async with by_invitation(store) as (server, ada):
        revoked, expired = await invite(ada), await invite(ada)
        url = f"/api/admin/invitations/{revoked['invitation']['id']}"
        assert [(await ada.delete(url)).status_code for _ in range(2)] == [204, 404]
        page = await store.accounts.invitations(limit=5)
        (kept,) = [one for one in page.invitations if one.id == expired["invitation"]["id"]]
        await store.accounts.add_invitation(replace(kept, expires_at=datetime.now(UTC) - timedelta(seconds=1)))
        for made in (revoked, expired):
            assert (await registered(server, "bob", invitation=made["token"])).status_code == 403
        assert (await registered(server, "bob", invitation="guess")).status_code == 403


async def test_closed_registration_takes_no_invitation() -> None:
    async with serve(registration="closed") as server, server.user("ada") as ada:
        token = (await invite(ada))["token"]
        assert (await registered(server, "bob", invitation=token)).status_code == 403


async def test_refused_newcomer_keeps_the_invitation() -> None:
    """A password that is too short, an address that is taken: it is not used up."""
    async with by_invitation() as (server, ada):
        token = (await invite(ada))["token"]
        assert (await registered(server, "ada", invitation=token)).status_code == 409
        assert (await registered(server, "bob", invitation=token, password="short")).status_code == 422
        assert (await registered(server, "bob", invitation=token)).status_code == 201


@pytest.mark.parametrize(
    ("body", "pointer"),
    [({"email": "nowhere"}, "/email"), ({"days": 0}, "/days"), ({"days": 400}, "/days"), ({"role": "root"}, "/role")],
)
async def test_invitation_that_cannot_be_is_refused(
    ada: httpx2.AsyncClient, body: dict[str, Any], pointer: str
) -> None:
    answer = await ada.post("/api/admin/invitations", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


# --- what goes on ------------------------------------------------------------------------------------------------


async def test_audit_tells_who_did_what_to_whom(ada: httpx2.AsyncClient, eve: httpx2.AsyncClient) -> None:
    adas, eves = await id_of(ada), await id_of(eve)
    change = {"role": "admin", "name": "Eve", "disabled": True}
    await ada.patch(f"/api/admin/users/{eves}", json=change, headers={"X-Request-Id": "promotion"})
    await ada.patch(f"/api/admin/users/{eves}", json=change)
    answer = (await ada.get("/api/admin/audit", params={"actor": adas, "subject": eves})).json()
    assert [(entry["action"], entry["detail"]) for entry in answer["entries"]] == [
        ("account.updated", "name"),
        ("account.disabled", ""),
        ("role.changed", "user to admin"),
    ]
    assert {(entry["address"], entry["request"]) for entry in answer["entries"]} == {("127.0.0.1", "promotion")}
    logins = (await ada.get("/api/admin/audit", params={"action": "login", "limit": 1})).json()
    assert (logins["entries"][0]["subject"], logins["has_more"]) == (eves, True)
    params = {"from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z"}
    assert (await ada.get("/api/admin/audit", params=params)).json()["entries"] == []


@pytest.mark.parametrize(
    "params", [{"action": "theft"}, {"from": "yesterday"}, {"cursor": "x"}, {"limit": 0}, {"who": "ada"}]
)
async def test_audit_is_not_asked_nonsense(ada: httpx2.AsyncClient, params: dict[str, Any]) -> None:
    assert (await ada.get("/api/admin/audit", params=params)).status_code == 422


async def test_actors_are_counted(server: Server, ada: httpx2.AsyncClient) -> None:
    url = (await ada.post("/api/conversations", json={})).headers["location"]
    async with open_stream(ada, f"{url}/events") as stream:
        await stream.event()
        actors = (await ada.get("/api/admin/actors")).json()
    assert actors["streams"] == 1
    assert {"cells", "flusher", "shards", "store"} <= set(actors["statistics"])
    assert any(line.strip().startswith("clearing") for line in actors["tree"])


async def test_plugins_are_told_with_what_was_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `trialogue plugins` does; the tests' server has none, so it is given those that are installed."""
    plugins = load_plugins(disabled=["echo"])
    monkeypatch.setattr(Services, "plugins", property(lambda _: plugins, lambda *_: None), raising=False)
    async with serve() as other, other.user() as ada:
        answer = (await ada.get("/api/admin/plugins")).json()
    loaded = {plugin["name"]: plugin for plugin in answer["loaded"]}
    assert loaded["password"]["hooks"] == ["trialogue_authenticators"]
    assert loaded["password"]["distribution"].startswith("trialogue ")
    assert answer["set_aside"]["echo"] == "disabled by the configuration"


async def test_unknown_account_is_not_found(ada: httpx2.AsyncClient) -> None:
    for name in (new_id(), "x", "x" * 5000):
        assert (await ada.patch(f"/api/admin/users/{name}", json={})).status_code == 404
        assert (await ada.post(f"/api/admin/users/{name}/password")).status_code == 404


# --- oversight ---------------------------------------------------------------------------------------------------


async def test_key_of_somebody_is_seen_and_taken_away(ada: httpx2.AsyncClient, eve: httpx2.AsyncClient) -> None:
    made = (await eve.post("/api/auth/keys", json={"name": "script", "scopes": ["read"]})).json()
    key, bearer = made["key"]["id"], {"Authorization": f"Bearer {made['token']}"}
    listed = await ada.get(f"/api/admin/users/{await id_of(eve)}/keys")
    assert [one["id"] for one in listed.json()["keys"]] == [key]
    assert made["token"] not in listed.text
    assert (await eve.get("/api/conversations", headers=bearer)).status_code == 200
    assert (await ada.delete(f"/api/admin/keys/{key}")).status_code == 204
    assert (await eve.get("/api/conversations", headers=bearer)).status_code == 401
    assert (await ada.delete(f"/api/admin/keys/{key}")).status_code == 404
    told = (await ada.get("/api/admin/audit", params={"action": "key.revoked"})).json()["entries"]
    assert [(entry["actor"], entry["subject"], entry["thing"]) for entry in told] == [
        (await id_of(ada), await id_of(eve), key)
    ]


async def test_settings_are_shown_without_their_secrets() -> None:
    async with serve(redis_url="redis://:s3cret@127.0.0.1:1/0", max_body_bytes=2048) as server, server.user() as ada:
        answer = await ada.get("/api/admin/settings")
        assert "s3cret" not in answer.text
        shown = {one["name"]: (one["value"], one["default"]) for one in answer.json()["settings"]}
        assert shown["max_body_bytes"] == ("2048", "1048576")
