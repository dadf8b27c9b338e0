"""What an attacker tries with accounts, links, keys and logs; what others may see is with the things themselves."""

from __future__ import annotations

import re
import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from rest import PASSWORD, Server, serve
from served import Server as Process
from talking import make, note

from trialogue import InvalidError
from trialogue_server._callers.peer import Peers
from trialogue_server._exchange.pieces import Bounds, pieces_of
from trialogue_server._http.call import Call

ELSEWHERE = {"Origin": "https://evil.example"}


# --- pages of other sites ----------------------------------------------------------------------------------------


async def test_another_sites_form_changes_no_cookie(server: Server) -> None:
    """It comes without the user's cookie, as that is SameSite; what is set in the answer would be kept all the same."""
    async with server.client(headers=ELSEWHERE) as form:
        for path in ("login", "logout", "register", "reset"):
            answer = await form.post(f"/api/auth/{path}", data={"email": "eve@example.org", "password": PASSWORD})
            assert (answer.status_code, answer.json()["code"]) == (403, "origin")
            assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", ""]
)
async def test_what_a_form_can_send_is_not_read(ada: httpx2.AsyncClient, kind: str) -> None:
    answer = await ada.post("/api/conversations", content=b'{"title":"x"}', headers={"Content-Type": kind})
    assert answer.status_code == 415


@pytest.mark.parametrize("origin", ["null", "http://127.0.0.1.evil.example", "https://127.0.0.1", "http://127.0.0.1:1"])
async def test_lookalike_origin_is_another_site(ada: httpx2.AsyncClient, origin: str) -> None:
    answer = await ada.post("/api/conversations", json={}, headers={"Origin": origin})
    assert (answer.status_code, answer.json()["code"]) == (403, "origin")


# --- who is out is out -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [{"role": "user"}, {"disabled": True}, None])
async def test_leave_is_as_good_as_who_gave_it(
    server: Server, ada: httpx2.AsyncClient, eve: httpx2.AsyncClient, end: dict[str, object] | None
) -> None:
    """Somebody who is about to lose their rights makes no way back beforehand."""
    victim = (await ada.get("/api/auth/me")).json()["id"]
    account = f"/api/admin/users/{(await eve.get('/api/auth/me')).json()['id']}"
    assert (await ada.patch(account, json={"role": "admin"})).status_code == 200
    token = (await eve.post("/api/admin/invitations", json={"role": "admin"})).json()["token"]
    reset = (await eve.post(f"/api/admin/users/{victim}/password")).json()["token"]
    await (ada.delete(account) if end is None else ada.patch(account, json=end))
    body = {"email": "back@example.org", "password": PASSWORD, "invitation": token}
    async with server.client() as stranger:
        answer = await stranger.post("/api/auth/register", json=body)
        taken = await stranger.post("/api/auth/reset", json={"token": reset, "password": "mine from now on"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (403, "/invitation")
    assert taken.status_code == 403


@pytest.mark.parametrize("end", ["disabled", "deleted"])
async def test_links_end_with_the_account(
    server: Server, ada: httpx2.AsyncClient, eve: httpx2.AsyncClient, end: str
) -> None:
    url = await make(eve)
    await note(eve, url, "one")
    link = f"/api/shared/{(await eve.post(f'{url}/share')).json()['token']}"
    account = f"/api/admin/users/{(await eve.get('/api/auth/me')).json()['id']}"
    assert (await ada.get(link)).status_code == 200
    await (ada.delete(account) if end == "deleted" else ada.patch(account, json={"disabled": True}))
    assert (await ada.get(link)).status_code == 404


# --- who counts as one -------------------------------------------------------------------------------------------


async def test_network_of_an_attacker_is_one_caller() -> None:
    """Anyone has 2^64 addresses of IPv6; each with a bucket of its own, nothing would be slowed down."""
    async with serve(trusted_proxies=["127.0.0.1"], shared_views_per_minute=5) as server, server.client() as client:

        async def flood(method: str, path: str, *, key: bool = False, json: Any = None) -> set[int]:
            statuses: set[int] = set()
            for number in range(60):
                headers = {"X-Forwarded-For": f"2001:db8::{number:x}"} | (
                    {"Authorization": "Bearer tl_x"} if key else {}
                )
                statuses.add((await client.request(method, path, headers=headers, json=json)).status_code)
            return statuses

        reset = {"token": "tl_reset_wrong", "password": PASSWORD}
        assert await flood("GET", "/api/shared/nothing") == {404, 429}
        assert await flood("POST", "/api/auth/reset", json=reset) == {403, 429}
        assert await flood("GET", "/api/auth/me", key=True) == {401, 429}


@pytest.mark.parametrize(
    ("client", "forwarded", "address"),
    [
        ("::ffff:192.0.2.1", "", "192.0.2.1"),
        ("::ffff:10.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "192.0.2.7, ::ffff:10.0.0.1", "192.0.2.7"),
        ("10.0.0.1", "127.0.0.1, 192.0.2.7", "192.0.2.7"),
        ("192.0.2.1", "127.0.0.1", "192.0.2.1"),
    ],
)
async def test_address_is_the_one_that_a_trusted_proxy_saw(client: str, forwarded: str, address: str) -> None:
    """Also on a socket for both protocols, which shows IPv4 within IPv6: all of it would count as one network."""
    peers = Peers(public_url="", trusted_origins=(), trusted_proxies=("10.0.0.1",))
    scope = {"method": "GET", "path": "/", "client": (client, 1)}
    call = Call({**scope, "headers": [(b"x-forwarded-for", forwarded.encode())]})
    assert (peers.address(call), peers.network(call)) == (address, address)


# --- what is sent to be kept -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("record", "why"), [(b"PK\6\6", "holds more than"), (b"PK\0\0", "not where it should be")])
def test_zip_with_two_directories_is_measured_by_the_one_that_counts(tmp_path: Path, record: bytes, why: str) -> None:
    """The small figures at the end are not those that the archive is read by, where there is a record for large ones."""
    large = struct.pack("<4sQ2H2L4Q", record, 44, 45, 45, 0, 0, 10**7, 10**7, 47 * 10**7, 30)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, 30, 1)
    small = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, 47, 30, 0)
    path = tmp_path / "bomb.zip"
    path.write_bytes(b"PK\3\4" + bytes(26) + large + locator + small)
    with pytest.raises(InvalidError, match=why):
        list(pieces_of(path, "owner", datetime.now(UTC), Bounds(1000, 1000)))


# --- what is written down ----------------------------------------------------------------------------------------


def test_no_secret_is_logged_at_any_level(tmp_path: Path) -> None:
    process = Process(tmp_path, log_level="debug")
    try:
        process.start()
        with httpx2.Client(base_url=process.url, trust_env=False) as client:
            client.get("/healthz")  # Of which a line is written at this level only.
            secrets = {"a secret of mine", "what was said"}
            account = {"email": "ada@example.org", "password": "a secret of mine"}
            user = client.post("/api/auth/register", json=account).json()["id"]
            secrets |= set(client.cookies.values())
            key = client.post("/api/auth/keys", json={"name": "k"}).json()["token"]
            secrets |= {key, client.post("/api/admin/invitations", json={}).json()["token"]}
            secrets.add(client.post(f"/api/admin/users/{user}/password").json()["token"])
            url = client.post("/api/conversations", json={}).headers["location"]
            client.post(f"{url}/messages", json={"text": "what was said", "respond": False})
            link = client.post(f"{url}/share").json()["token"]
            secrets.add(link)
            for path in (f"/s/{link}", f"/api/shared/{link}", f"/api/shared/{link}?x={key}", f"/api/files/{key}"):
                client.get(path, headers={"Authorization": f"Bearer {key}", "Referer": f"http://x/s/{link}"})
            client.post("/api/auth/login", json={**account, "password": "a secret of mine, mistyped"})
            client.post("/api/auth/reset", json={"token": key, "password": "a secret of mine"})
            client.post("/api/conversations", content=b"a secret of mine", headers={"Content-Type": "text/plain"})
    finally:
        process.close()
    log = process.log()
    assert '"level":"debug"' in log
    assert [secret for secret in secrets if secret in log] == []
    assert not re.search("(?i)cookie|authorization: *bearer", log)
