"""What an attacker sends: odd paths, methods, heads, numbers, texts and bodies, and other people's ids in every place."""

from __future__ import annotations

import json
from itertools import product
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
import trio
from rest import Server, serve
from sockets import Refused, cookies_of, open_socket
from talking import make, note

PROBLEM = "application/problem+json"


def head(answer: bytes) -> tuple[int, dict[str, str]]:
    """Status and headers of the first answer in ``answer``."""
    status, *lines = answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    return int(status.split()[1]), {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


# --- the wire ----------------------------------------------------------------------------------------------------

PATHS = (
    "//api/auth/me /api//auth/me /api/auth/me/ /API/auth/me /api/auth%252Fme /api/%2e%2e/api/auth/me /api/auth/me;x=1 "
    "/page/ /page/../config.py /page/%2e%2e/config.py /page//index.html /page/index.html%00.js /page/_page.py /c//x //c/x "
    "/s//t //evil.example/.. /%5Cevil.example /%00 /%ff /%0d%0aSet-Cookie:x=1 /page/a%0d%0aX:b /docs/ /docs// //"
)


@pytest.mark.parametrize("path", PATHS.split())
async def test_odd_path_leads_nowhere(server: Server, path: str) -> None:
    status, headers = head(await server.raw(f"GET {path} HTTP/1.1\r\nHost: evil.example\r\n\r\n".encode()))
    assert (status, headers["content-type"]) == (404, PROBLEM)
    assert not headers.keys() & {"location", "set-cookie", "x"}


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "GET2", "DELETE", "PUT", "POST"])
@pytest.mark.parametrize("path", ["/", "/page/index.html", "/healthz", "/api/events", "/api/ws", "/docs"])
async def test_other_method_is_told_which_there_are(server: Server, method: str, path: str) -> None:
    request = f"{method} {path} HTTP/1.1\r\nHost: x\r\nX-HTTP-Method-Override: GET\r\nContent-Length: 0\r\n\r\n"
    status, headers = head(await server.raw(request.encode()))
    assert (status, headers["content-type"], headers["allow"]) == (405, PROBLEM, "GET, HEAD, OPTIONS")


SECOND = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n"),
        ("Content-Length: 5\r\nContent-Length: 6", "12345"),
        ("Content-Length: +5", "12345"),
        ("Content-Length: 0x5", "12345"),
        (f"Content-Length: {'9' * 5000}", ""),
        ("Transfer-Encoding: xchunked", "0\r\n\r\n"),
        ("Transfer-Encoding: identity, chunked", "0\r\n\r\n"),
        ("Transfer-Encoding : chunked", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked", "2\r\nabXX0\r\n\r\n"),
        ("Host: y\r\nContent-Length: 0", ""),
        ("X: a\x00b\r\nContent-Length: 0", ""),
    ],
)
async def test_request_that_others_read_otherwise_is_the_connections_last(
    server: Server, lines: str, body: str
) -> None:
    """A proxy that saw the end elsewhere would take what follows for somebody else's."""
    request = f"POST /api/auth/logout HTTP/1.1\r\nHost: x\r\n{lines}\r\n\r\n{body}{SECOND}"
    with trio.fail_after(5):
        answer = await server.raw(request.encode())
    assert answer.count(b"HTTP/1.1 ") == 1
    assert head(answer)[0] in (400, 501)


async def test_handshakes_count_as_requests() -> None:
    async with serve(burst_per_user=3, rate_per_user=1, burst_per_address=4, rate_per_address=1) as server:
        async with server.user("ada") as ada:
            cookie = cookies_of(ada)

        async def open_all(cookie: str, count: int) -> None:
            for _ in range(count):
                async with open_socket(server.address[1], Cookie=cookie):
                    pass

        await open_all(cookie, 3)
        for whose in (cookie, "none=of-ours"):
            with pytest.raises(Refused, match="429"):
                await open_all(whose, 5)


# --- numbers, moments and texts ----------------------------------------------------------------------------------

TEXTS = (
    "\0",
    "a\0b",
    "\u202e",
    "\U0001f600",
    "\ufffe",
    "%_';\"--",
    "*",
    '"',
    "((((",
    "NEAR(a b)",
    "a OR",
    "^a",
    "{a}",
    "a:b",
    "x" * 5000,
)
NUMBERS = ("0", "-1", "1e3", "+5", "1_0", "٣", "0x1", "9" * 20, "9" * 900, "9" * 5000)
CURSORS = (*TEXTS, "-1.x", "1.2.3", "0", "e30", "bnVsbA", "WzEsMl0", "-9223372036854775809.x", "9" * 30)
MOMENTS = ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "9999-12-31T23:59:59Z", "2027-02-30T00:00:00Z")
#: Address up to the value -> the values; ``ID`` stands for a conversation of one's own.
QUERIES: dict[str, tuple[str, ...]] = {
    "/api/conversations?q=": TEXTS,
    "/api/conversations?folder=": TEXTS,
    "/api/conversations?limit=": NUMBERS,
    "/api/conversations?cursor=": CURSORS,
    "/api/conversations/": TEXTS,
    "/api/conversations/ID?tree=true&cursor=": CURSORS,
    "/api/conversations/ID/messages?branch=": TEXTS,
    "/api/conversations/ID/messages?before=": TEXTS,
    "/api/files?q=": TEXTS,
    "/api/files?cursor=": CURSORS,
    "/api/files/": TEXTS,
    "/api/search?q=": TEXTS,
    "/api/search?q=a&conversation=": TEXTS,
    "/api/search?q=a&model=": TEXTS,
    "/api/search?q=a&cursor=": CURSORS,
    "/api/search?q=a&from=": MOMENTS,
    "/api/search?q=a&to=": MOMENTS,
    "/api/search?near=0,0&radius=": NUMBERS,
    "/api/shared/": TEXTS,
    "/api/import/": TEXTS,
    "/api/usage?cursor=": CURSORS,
    "/api/usage?from=": ("0001-01-01", "9999-12-31"),
    "/api/usage?to=": ("0001-01-01", "9999-12-31"),
    "/api/usage/runs?cursor=": CURSORS,
    "/api/admin/users?q=": TEXTS,
    "/api/admin/users?cursor=": CURSORS,
    "/api/admin/audit?actor=": TEXTS,
    "/api/admin/audit?cursor=": CURSORS,
    "/api/admin/audit?from=": MOMENTS,
    "/api/admin/invitations?cursor=": CURSORS,
    "/api/admin/usage?user=": TEXTS,
    "/api/admin/budgets/keys/": TEXTS,
}


async def test_no_parameter_is_our_failure(ada: httpx2.AsyncClient) -> None:
    own = (await make(ada)).rpartition("/")[2]
    for address, values in QUERIES.items():
        for value in values:
            answer = await ada.get(address.replace("ID", own) + quote(value, safe=""))
            assert answer.status_code < 500, (address, value[:20], answer.text)
            assert len(answer.content) < 5_000


BODIES: tuple[tuple[bytes, int], ...] = (
    (rb'{"title":"\ud800"}', 400),
    (rb'{"title":"\udc00\ud800"}', 400),
    (b'{"title":"\xed\xa0\x80"}', 400),
    (b"\xff{}", 400),
    (b"\xef\xbb\xbf{}", 400),
    (b'{"metadata":' + b'{"a":' * 5000 + b"1" + b"}" * 5001, 400),
    (b'{"metadata":' + b'{"a":' * 40 + b"1" + b"}" * 41, 413),
    (b"[" * 100_000, 422),
    (b"[]", 422),
    (b"null", 422),
    (b'{"title":1}', 422),
    (b'{"title":["a"]}', 422),
    (b'{"id":{"$ne":1}}', 422),
    (b'{"metadata":{"x":1e999}}', 422),
    (b'{"metadata":{"x":12345678901234567890123}}', 422),
    (b'{"metadata":{"x":NaN}}', 400),
    (b'{"owner":"x"}', 422),
    (b'{"version":7}', 422),
    (b'{"deleted_at":null}', 422),
    (b'{"' + b"x" * 500_000 + b'":1}', 422),
    (b'{"metadata":{"' + b"x" * 500_000 + b'":1e999}}', 422),
)


async def test_odd_body_is_refused_in_few_words(ada: httpx2.AsyncClient) -> None:
    for body, status in BODIES:
        answer = await ada.post("/api/conversations", content=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM), body[:40]
        assert len(answer.content) < 1_500, body[:40]


@pytest.mark.parametrize("moment", MOMENTS)
async def test_no_moment_in_a_body_is_our_failure(ada: httpx2.AsyncClient, moment: str) -> None:
    url = await make(ada)
    await note(ada, url, "one")
    for path, body in (("/api/auth/keys", {"name": "k", "expires_at": moment}), (f"{url}/share", {"expires": moment})):
        assert (await ada.post(path, json=body)).status_code in (201, 422)
    assert (await ada.get("/api/auth/keys")).status_code == 200
    assert (await ada.get(f"{url}/share")).status_code == 200


async def test_what_grows_patch_by_patch_is_held_to_one_body() -> None:
    async with serve(max_body_bytes=4096) as server, server.user("ada") as ada:
        url = await make(ada)
        statuses = [(await ada.patch(url, json={"metadata": {str(n): "x" * 1500}})).status_code for n in range(4)]
        assert statuses == [200, 200, 413, 413]
        assert (await ada.patch(url, json={"metadata": {"0": None}})).status_code == 200
        assert (await ada.patch(url, json={"metadata": {"2": "x" * 1500}})).status_code == 200


@pytest.mark.parametrize("name", ["parts", "files"])
async def test_message_names_so_many_files_and_no_more(ada: httpx2.AsyncClient, name: str) -> None:
    file = "01890000-0000-7000-8000-000000000000"
    one: Any = file if name == "files" else {"type": "file", "file": file}
    url = await make(ada)
    assert (await ada.post(f"{url}/messages", json={name: [one] * 50})).status_code == 404
    for body in ({name: [one] * 51}, {"parts": [{"type": "file", "file": file}] * 50, "files": [file]}):
        answer = await ada.post(f"{url}/messages", json=body)
        assert answer.status_code == 422
        assert "50" in answer.text


# --- other people's ids ------------------------------------------------------------------------------------------


async def test_ids_of_others_are_nobodys(ada: httpx2.AsyncClient, eve: httpx2.AsyncClient) -> None:
    hers, mine = await make(ada), await make(eve)
    theirs, own = await note(ada, hers, "secret of ada"), await note(eve, mine, "mine")
    link = (await ada.post(f"{hers}/share")).json()
    conversation = hers.rpartition("/")[2]
    before = (await ada.get(hers)).json()
    tries: tuple[tuple[str, str, Any, int], ...] = (
        ("POST", "/api/conversations", {"id": conversation}, 409),
        ("POST", f"{mine}/fork", {"id": conversation}, 409),
        ("POST", f"{mine}/fork", {"message": theirs}, 404),
        ("POST", f"{mine}/share", {"message": theirs}, 404),
        ("POST", f"{mine}/share", {"id": link["id"]}, 404),
        ("DELETE", f"{mine}/share/{link['id']}", None, 404),
        ("DELETE", f"{mine}/share/{link['token']}", None, 404),
        ("POST", f"{mine}/messages", {"text": "over", "id": theirs}, 409),
        ("POST", f"{mine}/messages", {"text": "below", "parent": theirs}, 404),
        ("PATCH", mine, {"head": theirs}, 422),
        ("PATCH", f"/api/messages/{own}", {"text": "over", "id": theirs}, 409),
        ("DELETE", f"/api/messages/{theirs}?conversation={mine.rpartition('/')[2]}", None, 404),
        ("GET", f"{mine}/messages?branch={theirs}", None, 404),
        ("GET", f"{mine}/messages?before={theirs}", None, 404),
        ("GET", f"{mine}/messages?after={theirs}", None, 404),
    )
    for method, path, body, status in tries:
        answer = await eve.request(method, path, json=body)
        assert answer.status_code == status, (method, path, answer.text)
        assert "secret" not in answer.text
    found = await eve.get("/api/search", params={"q": "secret", "conversation": conversation})
    assert found.json()["hits"] == []
    # A link's cursor leads along its own branch, whatever stands in it.
    forged = await eve.get(f"/api/shared/{link['token']}", params={"cursor": f"0.{own}"})
    assert "mine" not in forged.text
    assert (await ada.get(hers)).json() == before


async def test_cursor_of_another_shows_nothing_of_theirs(ada: httpx2.AsyncClient, eve: httpx2.AsyncClient) -> None:
    for client, number in product((ada, eve), range(3)):
        await make(client, title=f"of {'ada' if client is ada else 'eve'} {number}")
    cursor = (await ada.get("/api/conversations?limit=1")).json()["cursor"]
    page = await eve.get("/api/conversations", params={"cursor": cursor})
    assert "of ada" not in json.dumps(page.json())
