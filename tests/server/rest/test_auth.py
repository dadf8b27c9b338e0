"""Registering, logging in and out over HTTP: sessions, cookies, throttling, and forged requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import httpx2
import pytest
from rest import PASSWORD, Server, serve

from trialogue import is_id
from trialogue.testing import MemoryStore

T = TypeVar("T")
#: What the services of the engine ask for at any time.
BACKGROUND = {"unfinished", "prune", "trash", "deletions", "drop_audit", "purge", "unembedded"}


def account(name: str, password: str = PASSWORD) -> dict[str, str]:
    return {"email": f"{name}@example.org", "password": password, "name": name.title()}


async def test_register_logs_in(server: Server) -> None:
    async with server.client() as client:
        answer = await client.post("/api/auth/register", json=account("ada"))
        assert answer.status_code == 201
        user = answer.json()
        assert user == {**user, "email": "ada@example.org", "name": "Ada", "role": "admin"}
        assert sorted(user) == ["created_at", "disabled", "email", "id", "name", "preferences", "role"]
        assert is_id(user["id"])
        assert (await client.get("/api/auth/me")).json() == user


async def test_cookie_is_out_of_reach_of_scripts_and_other_sites(server: Server) -> None:
    async with server.client() as client:
        cookie = (await client.post("/api/auth/register", json=account("ada"))).headers["set-cookie"]
    name, _, rest = cookie.partition("=")
    token, *attributes = rest.split("; ")
    assert name == "trialogue"
    assert len(token) >= 43, "256 bits in base64"
    assert set(attributes) == {"Max-Age=34560000", "Path=/", "HttpOnly", "SameSite=Lax"}


async def test_cookie_behind_tls_is_bound_to_the_host() -> None:
    async with serve(public_url="https://chat.example.org") as server, server.client() as client:
        answer = await client.post("/api/auth/register", json=account("ada"))
        name, _, rest = answer.headers["set-cookie"].partition("=")
        assert name == "__Host-trialogue"
        assert {"Secure", "HttpOnly", "Path=/"} <= set(rest.split("; "))
        assert "Domain" not in rest
        assert "strict-transport-security" in answer.headers
        token = rest.partition(";")[0]
        # One that a plain page could have set is not taken.
        plain = await client.get("/api/auth/me", headers={"Cookie": f"trialogue={token}"})
        bound = await client.get("/api/auth/me", headers={"Cookie": f"__Host-trialogue={token}"})
        assert (plain.status_code, bound.status_code) == (401, 200)


@pytest.mark.parametrize(("proxies", "name"), [(["127.0.0.1"], "__Host-trialogue"), ([], "trialogue")])
async def test_forwarded_scheme_is_believed_only_from_a_trusted_proxy(proxies: list[str], name: str) -> None:
    async with serve(trusted_proxies=tuple(proxies)) as server, server.client() as client:
        answer = await client.post("/api/auth/register", json=account("ada"), headers={"X-Forwarded-Proto": "https"})
        assert answer.headers["set-cookie"].startswith(f"{name}=")


async def test_only_a_hash_of_the_token_is_stored(server: Server, ada: httpx2.AsyncClient) -> None:
    token = ada.cookies["trialogue"]
    assert token not in repr(vars(server.engine.store))


async def test_login_rotates_the_session(server: Server, ada: httpx2.AsyncClient) -> None:
    old = ada.cookies["trialogue"]
    answer = await ada.post("/api/auth/login", json={"email": "ADA@example.org", "password": PASSWORD})
    assert answer.status_code == 200
    assert ada.cookies["trialogue"] != old
    assert (await ada.get("/api/auth/me")).status_code == 200
    async with server.client(cookies={"trialogue": old}) as thief:
        assert (await thief.get("/api/auth/me")).status_code == 401


async def test_logout_ends_the_session_for_every_copy_of_the_cookie(server: Server, ada: httpx2.AsyncClient) -> None:
    token = ada.cookies["trialogue"]
    answer = await ada.post("/api/auth/logout")
    assert answer.status_code == 204
    assert "Max-Age=0" in answer.headers["set-cookie"]
    async with server.client(cookies={"trialogue": token}) as copy:
        assert (await copy.get("/api/auth/me")).status_code == 401


async def test_logout_of_nobody_is_no_error(server: Server) -> None:
    async with server.client() as client:
        assert (await client.post("/api/auth/logout")).status_code == 204


@pytest.mark.parametrize("cookie", ["", "trialogue=", "trialogue=guess", "trialogue=\xff\xfe", "other=1; trialogue"])
async def test_guessed_cookie_is_nobody(server: Server, cookie: str) -> None:
    async with server.client() as client:
        answer = await client.get("/api/auth/me", headers=[(b"Cookie", cookie.encode("latin-1"))])
        assert answer.status_code == 401
        assert answer.json()["code"] == "unauthenticated"


async def test_unknown_address_and_wrong_password_get_one_answer(server: Server, ada: httpx2.AsyncClient) -> None:
    async with server.client() as client:
        answers = [
            await client.post("/api/auth/login", json={"email": email, "password": "wrong password"})
            for email in ("ada@example.org", "nobody@example.org")
        ]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].json()["detail"] == answers[1].json()["detail"]


class Noting(MemoryStore):
    """Notes every call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    async def _call(self, name: str, effect: Callable[[], T], *, writes: bool = False) -> T:
        self.calls.append(name)
        return await super()._call(name, effect, writes=writes)


async def test_unknown_address_and_wrong_password_take_one_path_through_the_store() -> None:
    """What is recorded of a failed login included; the hash that both cost is tried with the plugin."""
    store = Noting()
    async with serve(store=store) as server, server.user(), server.client() as client:
        paths: list[list[str]] = []
        for email in ("ada@example.org", "nobody@example.org"):
            store.calls.clear()
            answer = await client.post("/api/auth/login", json={"email": email, "password": "wrong password"})
            assert answer.status_code == 401
            paths.append([name for name in store.calls if name not in BACKGROUND])
        assert paths[0] == paths[1] == ["user_secret", "user_by_email", "note"]


@pytest.mark.parametrize("email", ["ada@example.org", "nobody@example.org"])
async def test_failed_logins_are_throttled_by_account(server: Server, ada: httpx2.AsyncClient, email: str) -> None:
    """Whether or not the account exists; another account is not touched, and the right password does not help."""
    async with server.client() as client:
        for _ in range(10):
            answer = await client.post("/api/auth/login", json={"email": email, "password": "wrong password"})
            assert answer.status_code == 401
        for password in ("wrong password", PASSWORD):
            answer = await client.post("/api/auth/login", json={"email": email.upper(), "password": password})
            assert answer.status_code == 429
            assert answer.json()["code"] == "throttled"
            assert 1 <= int(answer.headers["retry-after"]) <= 30
        other = await client.post("/api/auth/login", json={"email": "eve@example.org", "password": "wrong password"})
        assert other.status_code == 401


async def test_failed_logins_are_throttled_by_address(server: Server) -> None:
    async with server.client() as client:
        statuses = [
            (await client.post("/api/auth/login", json={"email": f"u{n}@example.org", "password": "wrong"})).status_code
            for n in range(51)
        ]
    assert statuses == [401] * 50 + [429]


async def test_address_behind_a_trusted_proxy_is_the_callers() -> None:
    """The nearest address that is no proxy; what the caller wrote further left is not believed."""
    async with serve(trusted_proxies=("127.0.0.1",)) as server, server.client() as client:

        async def fail(forwarded: str, name: str) -> int:
            body = {"email": f"{name}@example.org", "password": "wrong password"}
            answer = await client.post("/api/auth/login", json=body, headers={"X-Forwarded-For": forwarded})
            return answer.status_code

        for n in range(50):
            assert await fail(f"10.0.0.{n}, 192.0.2.1", f"u{n}") == 401
        assert await fail("192.0.2.2, 192.0.2.1", "v") == 429
        assert await fail("192.0.2.1, 192.0.2.2", "v") == 401


async def test_successful_logins_are_not_throttled(server: Server, ada: httpx2.AsyncClient) -> None:
    for _ in range(15):
        answer = await ada.post("/api/auth/login", json={"email": "ada@example.org", "password": PASSWORD})
        assert answer.status_code == 200


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"email": "no address", "password": PASSWORD}, "/email"),
        ({"email": "bob@example.org", "password": "short"}, "/password"),
        ({"email": "bob@example.org"}, "/password"),
        ({"email": 7, "password": PASSWORD}, "/email"),
        ({"email": "bob@example.org", "password": PASSWORD, "name": "x" * 201}, "/name"),
        ({"email": "bob@example.org", "password": PASSWORD, "role": "admin"}, "/role"),
    ],
)
async def test_registration_says_what_is_wrong(server: Server, body: dict[str, object], pointer: str) -> None:
    async with server.client() as client:
        answer = await client.post("/api/auth/register", json=body)
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]
    assert "short" not in answer.json()["detail"] or "too short" in answer.json()["detail"]


async def test_taken_address_is_a_conflict(server: Server, ada: httpx2.AsyncClient) -> None:
    answer = await ada.post("/api/auth/register", json=account("ada"))
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (409, "/email")


@pytest.mark.parametrize("mode", ["closed", "invite"])
async def test_closed_registration_takes_the_first_account_only(mode: str) -> None:
    async with serve(registration=mode) as server, server.client() as client:
        first = await client.post("/api/auth/register", json=account("ada"))
        second = await client.post("/api/auth/register", json=account("bob"))
        assert (first.status_code, first.json()["role"]) == (201, "admin")
        assert (second.status_code, second.json()["code"]) == (403, "forbidden")
        assert "administrator" in second.json()["detail"]


async def test_second_account_is_no_administrator(eve: httpx2.AsyncClient) -> None:
    assert (await eve.get("/api/auth/me")).json()["role"] == "user"


# --- forged requests ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 201),
        ({"Origin": "{url}"}, 201),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "{url}.evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 201),
    ],
)
async def test_cookie_counts_only_for_our_own_pages(
    server: Server, ada: httpx2.AsyncClient, headers: dict[str, str], status: int
) -> None:
    sent = {name: value.format(url=server.url) for name, value in headers.items()}
    answer = await ada.post("/api/conversations", json={}, headers=sent)
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["code"] == "origin"


async def test_reading_needs_no_origin(ada: httpx2.AsyncClient) -> None:
    assert (await ada.get("/api/auth/me", headers={"Origin": "http://evil.example"})).status_code == 200


@pytest.mark.parametrize("path", ["/api/auth/register", "/api/auth/login"])
async def test_another_site_cannot_log_its_visitors_in(server: Server, path: str) -> None:
    async with server.client() as client:
        answer = await client.post(path, json=account("ada"), headers={"Origin": "http://evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (403, "origin")


async def test_configured_origins_are_our_own() -> None:
    settings: dict[str, Any] = {
        "public_url": "http://chat.example.org/",
        "trusted_origins": ("http://app.example.org",),
    }
    async with serve(**settings) as server, server.user() as ada:
        for origin, status in [
            ("http://chat.example.org", 201),
            ("http://app.example.org", 201),
            ("http://www.example.org", 403),
        ]:
            answer = await ada.post("/api/conversations", json={}, headers={"Origin": origin})
            assert answer.status_code == status
