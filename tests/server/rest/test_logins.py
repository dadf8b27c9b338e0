"""Logging in at another place, and by a proxy's headers: whose account that is, and what a stranger cannot make of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from plugins.oidc.real import CLIENT, SECRET, open_provider, query_of, walk
from rest import PASSWORD, Server, serve

from trialogue import BrokenError, Departure, Identity, Person, RedirectLogin, UnauthenticatedError
from trialogue_oidc import trialogue_redirect_logins
from trialogue_proxy import trialogue_header_logins
from trialogue_server._callers.logins import Logins, safe_target

LOGIN, CALLBACK = "/api/auth/oidc/work/login", "/api/auth/oidc/work/callback"


class Elsewhere(RedirectLogin):
    """Vouches for whomever the way back names: ``?person=ada`` is Ada."""

    name = "work"
    title = "Example Ltd"

    def __init__(self, *, links: bool = False, registers: bool = False) -> None:
        self.links_verified_email = links
        self.registers = registers
        self.is_away = False
        self._departures = 0

    async def depart(self, callback: str) -> Departure:
        if self.is_away:
            raise BrokenError("it does not answer: try again")
        self._departures += 1
        return Departure(f"https://login.example.org/?back={callback}", f"journey{self._departures}")

    async def arrive(self, callback: str, kept: str, query: Mapping[str, str]) -> Person:
        if kept != f"journey{self._departures}":
            raise UnauthenticatedError("another attempt: log in again")
        name = query["person"]
        email = None if name == "nameless" else query.get("email", f"{name}@example.org")
        return Person(Identity("https://login.example.org", name), email, "unverified" not in query, name.title())


@asynccontextmanager
async def place(login: RedirectLogin | None = None, **settings: Any) -> AsyncGenerator[Server]:
    login = login or Elsewhere()
    async with serve(logins=Logins({login.name: login}), **settings) as server:
        yield server


async def come_in(client: httpx2.AsyncClient, person: str, to: str = "/", **more: str) -> httpx2.Response:
    """Go there and come back; the answer to the latter."""
    away = await client.get(LOGIN, params={"to": to})
    assert away.status_code == 303
    return await client.get(CALLBACK, params={"person": person, **more})


async def who(client: httpx2.AsyncClient) -> str | None:
    answer = await client.get("/api/auth/me")
    return str(answer.json()["email"]) if answer.status_code == 200 else None


async def test_ways_in_are_listed() -> None:
    async with place() as server, server.client() as client:
        assert (await client.get("/api/auth/methods")).json() == {
            "password": True,
            "registration": "open",
            "redirects": [{"name": "work", "title": "Example Ltd", "url": LOGIN}],
        }
    async with serve() as server, server.client() as client:
        assert (await client.get("/api/auth/methods")).json()["redirects"] == []
        assert (await client.get(LOGIN)).status_code == 404


async def test_person_comes_back_to_an_account_of_its_own() -> None:
    async with place() as server, server.client() as client, server.client() as again:
        answer = await come_in(client, "ada", "/c/123")
        assert (answer.status_code, answer.headers["location"]) == (303, "/c/123")
        me = (await client.get("/api/auth/me")).json()
        assert (me["email"], me["name"], me["role"]) == ("ada@example.org", "Ada", "admin")
        # The address may change; who it is does not.
        await come_in(again, "ada", email="lovelace@example.org")
        assert (await again.get("/api/auth/me")).json()["id"] == me["id"]


async def test_answer_is_good_once_and_in_the_same_browser() -> None:
    async with place() as server, server.client() as client, server.client() as other:
        away = await client.get(LOGIN)
        cookie = away.headers["set-cookie"].partition(";")[0]
        assert "HttpOnly" in away.headers["set-cookie"]
        assert "SameSite=Lax" in away.headers["set-cookie"]
        # Somebody else is sent the link back (login by a cross-site request): there is no cookie.
        assert (await other.get(CALLBACK, params={"person": "mallory"})).headers["location"].endswith("unauthenticated")
        assert await who(other) is None
        assert (await client.get(CALLBACK, params={"person": "ada"})).headers["location"] == "/"
        replayed = await other.get(CALLBACK, params={"person": "ada"}, headers={"Cookie": cookie})
        assert replayed.headers["location"] == "/?login=work&problem=unauthenticated"
        assert await who(other) is None


async def test_session_is_a_new_one() -> None:
    async with place() as server, server.user("eve") as client:
        before = client.cookies["trialogue"]
        await come_in(client, "ada")
        assert client.cookies["trialogue"] != before
        assert await who(client) == "ada@example.org"
        async with server.client(cookies={"trialogue": before}) as old:
            assert await who(old) is None


async def test_address_of_another_account_is_not_taken_over() -> None:
    async with place() as server, server.user("ada"), server.client() as client:
        answer = await come_in(client, "mallory", email="ADA@example.org")
        assert answer.headers["location"] == "/?login=work&problem=conflict"
        assert await who(client) is None


@pytest.mark.parametrize(("more", "found"), [({}, "ada@example.org"), ({"unverified": "1"}, None)])
async def test_verified_address_is_linked_where_the_operator_says_so(more: dict[str, str], found: str | None) -> None:
    async with place(Elsewhere(links=True)) as server, server.user("ada") as ada, server.client() as client:
        mine = (await ada.get("/api/auth/me")).json()["id"]
        await come_in(client, "ada", **more)
        assert await who(client) == found
        if found:
            assert (await client.get("/api/auth/me")).json()["id"] == mine


async def test_address_that_is_spelled_alike_is_not_linked() -> None:
    """Two domains with two owners; to those who compare without regard to case they are one."""
    async with place(Elsewhere(links=True)) as server, server.client() as ada, server.client() as mallory:
        account = {"email": "ada@strasse.example", "password": PASSWORD}
        assert (await ada.post("/api/auth/register", json=account)).status_code == 201
        answer = await come_in(mallory, "mallory", email="ada@straße.example")
        assert answer.headers["location"] == "/?login=work&problem=conflict"
        assert await who(mallory) is None


async def test_who_made_the_account_before_its_owner_came_is_out() -> None:
    """Anybody can register with anybody's address; once its owner proves it, that was in vain."""
    async with place(Elsewhere(links=True)) as server, server.user("ada") as mallory, server.client() as owner:
        made = await mallory.post("/api/auth/keys", json={"name": "back door", "scopes": ["read", "write"]})
        key = {"Authorization": f"Bearer {made.json()['token']}"}
        await come_in(owner, "ada")
        assert await who(owner) == "ada@example.org"
        assert await who(mallory) is None
        assert (await mallory.get("/api/conversations", headers=key)).status_code == 401
        body = {"email": "ada@example.org", "password": PASSWORD}
        assert (await mallory.post("/api/auth/login", json=body)).status_code == 401


@pytest.mark.parametrize(("registers", "found"), [(True, "bob@example.org"), (False, None)])
async def test_accounts_are_made_where_registration_allows_it(registers: bool, found: str | None) -> None:
    async with place(Elsewhere(registers=registers), registration="closed") as server, server.client() as first:
        await come_in(first, "ada")
        assert await who(first) == "ada@example.org", "the first account is always made"
        async with server.client() as client:
            answer = await come_in(client, "bob")
            assert await who(client) == found
            assert found or answer.headers["location"].endswith("problem=forbidden")


async def test_disabled_account_stays_out() -> None:
    async with place() as server, server.user("admin") as admin, server.client() as client:
        await come_in(client, "bob")
        bob = (await client.get("/api/auth/me")).json()["id"]
        await admin.patch(f"/api/admin/users/{bob}", json={"disabled": True})
        assert await who(client) is None
        assert (await come_in(client, "bob")).headers["location"].endswith("problem=forbidden")
        assert await who(client) is None


@pytest.mark.parametrize("query", [{"person": "nameless"}, {"person": "x", "email": "no address"}])
async def test_person_without_an_address_gets_no_account(query: dict[str, str]) -> None:
    async with place() as server, server.client() as client:
        await client.get(LOGIN)
        assert "problem=" in (await client.get(CALLBACK, params=query)).headers["location"]
        assert await who(client) is None


async def test_place_that_is_away_is_told_to_the_page() -> None:
    login = Elsewhere()
    login.is_away = True
    async with place(login) as server, server.client() as client:
        assert (await client.get(LOGIN)).headers["location"] == "/?login=work&problem=broken"


@pytest.mark.parametrize(
    "to", ["//evil.example", "https://evil.example", "/\\evil", "javascript:x", "/a\r\nb", "/é", ""]
)
def test_nobody_is_sent_to_another_site(to: str) -> None:
    assert safe_target(to) == "/"


async def test_forged_target_leads_home() -> None:
    async with place() as server, server.client() as client:
        assert (await come_in(client, "ada", "//evil.example")).headers["location"] == "/"


async def test_cookie_is_bound_to_the_host_behind_tls() -> None:
    async with place(public_url="https://chat.example.org") as server, server.client() as client:
        away = await client.get(LOGIN)
        assert away.headers["set-cookie"].startswith("__Host-trialogue-away=")
        assert "Secure" in away.headers["set-cookie"]
        assert away.headers["location"].endswith(f"back=https://chat.example.org{CALLBACK}")


async def test_real_provider_logs_in() -> None:
    public = "http://127.0.0.1:9"
    with open_provider(public + CALLBACK) as issuer:
        (login,) = trialogue_redirect_logins(
            {
                "TRIALOGUE_OIDC_PROVIDERS": "work",
                "TRIALOGUE_OIDC_WORK_ISSUER": issuer,
                "TRIALOGUE_OIDC_WORK_CLIENT_ID": CLIENT,
                "TRIALOGUE_OIDC_WORK_CLIENT_SECRET": SECRET,
            }
        )
        async with (
            place(login, public_url=public) as server,
            server.client() as client,
            httpx2.AsyncClient() as browser,
        ):
            away = await client.get(LOGIN)
            back = await walk(browser, away.headers["location"], public + CALLBACK, "ada")
            assert (await client.get(urlsplit(back).path, params=query_of(back))).headers["location"] == "/"
            assert await who(client) == "ada@example.org"
        await login.aclose()


# --- a proxy's headers -----------------------------------------------------------------------------------------------


@asynccontextmanager
async def behind(proxy: str = "127.0.0.1", **more: str) -> AsyncGenerator[Server]:
    settings = {"TRIALOGUE_PROXY_USER_HEADER": "Remote-User", "TRIALOGUE_PROXY_EMAIL_HEADER": "Remote-Email", **more}
    headers = trialogue_header_logins(settings)
    async with serve(logins=Logins({}, headers), trusted_proxies=(proxy,)) as server:
        yield server


ADA = {"Remote-User": "ada", "Remote-Email": "ada@example.org"}


async def test_trusted_proxy_names_the_person() -> None:
    async with behind() as server, server.client(headers=ADA) as client, server.client() as nobody:
        assert await who(client) == "ada@example.org"
        assert (await client.post("/api/conversations", json={})).status_code == 201
        assert await who(nobody) is None


async def test_anybody_else_cannot() -> None:
    async with behind("10.0.0.1") as server, server.client(headers=ADA) as client:
        assert await who(client) is None


async def test_person_of_the_proxy_is_not_the_one_of_an_old_cookie() -> None:
    async with behind() as server, server.user("eve") as client:
        assert await who(client) == "eve@example.org"
        answer = await client.get("/api/auth/me", headers=ADA)
        assert answer.json()["email"] == "ada@example.org"


async def test_another_sites_page_cannot_use_the_proxys_login() -> None:
    async with behind() as server, server.client(headers=ADA) as client:
        answer = await client.post("/api/conversations", json={}, headers={"Origin": "https://evil.example"})
        assert answer.status_code == 403


async def test_account_with_a_password_is_not_the_proxys() -> None:
    async with behind() as server, server.user("ada"), server.client(headers=ADA) as client:
        assert (await client.get("/api/auth/me")).status_code == 403
