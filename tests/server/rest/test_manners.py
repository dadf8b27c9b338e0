"""What every answer has in common, and what becomes of requests that are not what they should be."""

from __future__ import annotations

import logging
from typing import Any

import httpx2
import pytest
from rest import Server, serve

from trialogue import StorageError
from trialogue.testing import Fault, MemoryStore
from trialogue_server._openapi.operation import path_of
from trialogue_server.api import BLUEPRINTS

JSON = {"Content-Type": "application/json"}
ROUTES = [route for routes in BLUEPRINTS.values() for route in routes]


def is_problem(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """Checks the form of an error answer, and returns it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail", "code", "instance"} <= set(problem)
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"].endswith(f":{code}")
    assert problem["instance"] == answer.headers["x-request-id"]
    return problem


# --- bodies ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"title":',
        b'{"title":"\xff\xfe"}',
        b'{"title":"\\ud800"}',
        b"\xef\xbb\xbf{}",
        b"{} trailing",
        b'{"metadata":{"a":NaN}}',
        b'{"metadata":{"a":' + b"[" * 5000 + b"]" * 5000 + b"}}",
        "{}".encode("utf-16"),
    ],
    ids=["empty", "cut", "cut in a value", "not UTF-8", "half a pair", "BOM", "trailing", "NaN", "deep", "UTF-16"],
)
async def test_body_that_is_not_json_is_malformed(ada: httpx2.AsyncClient, body: bytes) -> None:
    is_problem(await ada.post("/api/conversations", content=body, headers=JSON), 400, "malformed")


@pytest.mark.parametrize("body", [b"[]", b"1", b'"text"', b"null"])
async def test_body_that_is_no_object_is_invalid(ada: httpx2.AsyncClient, body: bytes) -> None:
    problem = is_problem(await ada.post("/api/conversations", content=body, headers=JSON), 422, "invalid")
    assert problem["errors"][0]["pointer"] == ""


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
async def test_body_of_another_type_is_refused(ada: httpx2.AsyncClient, headers: dict[str, str]) -> None:
    is_problem(await ada.post("/api/conversations", content=b"{}", headers=headers), 415, "media_type")


@pytest.mark.parametrize(
    "media_type", ["application/json", "Application/JSON; charset=UTF-8", "application/merge-patch+json"]
)
async def test_json_by_its_other_names(ada: httpx2.AsyncClient, media_type: str) -> None:
    answer = await ada.post("/api/conversations", content=b"{}", headers={"Content-Type": media_type})
    assert answer.status_code == 201


@pytest.mark.parametrize("declared", [True, False])
async def test_body_over_the_limit_is_refused(declared: bool) -> None:
    """Whether the length is declared or found out while reading."""

    async def pieces() -> Any:
        for _ in range(4):
            yield b" " * 1024

    async with serve(max_body_bytes=2048) as server, server.user() as ada:
        content: Any = b" " * 4096 if declared else pieces()
        problem = is_problem(await ada.post("/api/conversations", content=content, headers=JSON), 413, "limit")
        assert "2048 bytes (max_body_bytes)" in problem["detail"]
        exact = b'{"title":"' + b"x" * 100 + b'"}'
        assert (await ada.post("/api/conversations", content=exact.ljust(2048), headers=JSON)).status_code == 201


@pytest.mark.parametrize("framing", ["Content-Length: 100\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\nff\r\n"])
async def test_body_that_breaks_off_harms_nobody(server: Server, ada: httpx2.AsyncClient, framing: str) -> None:
    head = f"POST /api/conversations HTTP/1.1\r\nHost: x\r\nCookie: trialogue={ada.cookies['trialogue']}\r\n"
    request = head + "Content-Type: application/json\r\n" + framing + '{"title":"half'
    answer = await server.raw(request.encode())
    assert not answer or answer.split(b" ", 2)[1].startswith(b"4")
    assert (await ada.get("/api/conversations")).json()["conversations"] == []


# --- methods and paths -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/healthz", {"GET"}),
        ("/api/auth/login", {"POST"}),
        ("/api/conversations", {"GET", "POST"}),
        ("/api/conversations/x", {"GET", "PATCH", "DELETE"}),
        ("/api/conversations/x/messages", {"GET", "POST"}),
        ("/api/conversations/x/events", {"GET"}),
        ("/api/messages/x", {"GET", "PATCH", "DELETE"}),
    ],
)
async def test_other_methods_are_told_what_is_allowed(server: Server, path: str, allowed: set[str]) -> None:
    """405 with the truth in ``Allow``, and the same from OPTIONS: each method listed is answered otherwise."""
    expected = allowed | {"OPTIONS"} | ({"HEAD"} if "GET" in allowed else set())
    async with server.client() as client:
        for method in ("PUT", "TRACE", "BREW", *({"POST", "GET", "DELETE"} - allowed)):
            answer = await client.request(method, path)
            problem = is_problem(answer, 405, "method")
            assert set(answer.headers["allow"].split(", ")) == expected
            assert all(name in problem["detail"] for name in expected)
        options = await client.options(path)
        assert options.status_code == 200
        assert set(options.headers["allow"].split(", ")) == expected
        for method in allowed:
            assert (await client.request(method, path)).status_code != 405


@pytest.mark.parametrize(
    "path", ["/api", "/api/nothing", "/api/conversations/a/b/c", "/api/conversations/", "/%ff%fe", "/healthz/"]
)
async def test_unknown_path_is_not_found(ada: httpx2.AsyncClient, path: str) -> None:
    is_problem(await ada.get(path), 404, "not_found")


async def test_head_is_get_without_its_body(ada: httpx2.AsyncClient) -> None:
    url = (await ada.post("/api/conversations", json={})).headers["location"]
    got, head = await ada.get(url), await ada.head(url)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(got.content))
    assert head.headers["etag"] == got.headers["etag"]


@pytest.mark.parametrize(
    ("method", "path"), [(route.method, path_of(route)) for route in ROUTES if not route.any_query]
)
async def test_misspelt_query_parameter_is_refused_everywhere(ada: httpx2.AsyncClient, method: str, path: str) -> None:
    answer = await ada.request(method, path.replace("{", "").replace("}", ""), params={"misspelt": "true"})
    assert "'misspelt' is no query parameter here" in is_problem(answer, 422, "invalid")["detail"]


# --- headers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/healthz", "/api/auth/me", "/nothing"])
async def test_every_answer_is_dressed(server: Server, path: str) -> None:
    async with server.client() as client:
        headers = (await client.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "strict-transport-security" not in headers
    assert "server" not in headers


async def test_page_keeps_its_own_headers(server: Server) -> None:
    async with server.client() as client:
        answer = await client.get("/")
    assert answer.status_code == 200
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers.get_list("content-security-policy") == [answer.headers["content-security-policy"]]
    assert answer.headers["cache-control"] == "no-cache"


async def test_request_id_is_the_callers_or_ours(server: Server) -> None:
    async with server.client() as client:
        given = await client.get("/nothing", headers={"X-Request-Id": "trace-1.2_3"})
        assert is_problem(given, 404, "not_found")["instance"] == "trace-1.2_3"
        ids = set()
        for bad in ("", "x" * 129, "two words", "<script>"):
            answer = await client.get("/healthz", headers={"X-Request-Id": bad})
            ids.add(answer.headers["x-request-id"])
        assert len(ids) == 4
        assert not ids & {"", "x" * 129, "two words", "<script>"}


# --- failures of ours --------------------------------------------------------------------------------------------


async def test_failure_we_did_not_foresee_is_reported_by_its_id(
    server: Server, ada: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object) -> None:
        raise ExceptionGroup("two", [ValueError("secret inside"), KeyError("more")])

    monkeypatch.setattr(server.engine, "snapshot", fail)
    url = (await ada.post("/api/conversations", json={})).headers["location"]
    with caplog.at_level(logging.ERROR):
        problem = is_problem(await ada.get(url, headers={"X-Request-Id": "find-me"}), 500, "internal")
    assert "find-me" in problem["detail"]
    assert "secret" not in str(problem)
    assert "find-me" in caplog.text
    assert "secret inside" in caplog.text


async def test_storage_that_is_full_says_when_to_come_back() -> None:
    store = MemoryStore()
    async with serve(store=store) as server, server.user() as ada:
        store.faults.full = True
        answer = await ada.post("/api/conversations", json={})
        assert is_problem(answer, StorageError.status, "storage")["status"] == 503
        assert answer.headers["retry-after"] == "1"
        store.faults.full = False
        assert (await ada.post("/api/conversations", json={})).status_code == 201


async def test_draining_server_takes_no_commands(server: Server, ada: httpx2.AsyncClient) -> None:
    url = (await ada.post("/api/conversations", json={})).headers["location"]
    await server.engine.drain(0)
    answer = await ada.post(f"{url}/messages", json={"text": "Hi"})
    is_problem(answer, 503, "closed")
    assert int(answer.headers["retry-after"]) >= 1
    assert (await ada.get(url)).status_code == 200


# --- health and models -------------------------------------------------------------------------------------------


async def test_liveness_asks_nothing(server: Server) -> None:
    async with server.client() as client:
        answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_readiness_names_what_is_missing() -> None:
    store = MemoryStore()
    async with serve(store=store) as server, server.client() as client:
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "ok")
        assert set(ready.json()["checks"]) == {"engine", "loop", "storage"}
        assert all(check["ok"] and check["detail"] for check in ready.json()["checks"].values())
        store.faults.next("check", Fault(fail="before"))
        missing = await client.get("/readyz")
        assert missing.status_code == 503
        assert {name: check["ok"] for name, check in missing.json()["checks"].items()} == {
            "engine": True,
            "loop": True,
            "storage": False,
        }
        await server.engine.drain(0)
        draining = await client.get("/readyz")
        assert draining.status_code == 503
        assert "draining" in draining.json()["checks"]["engine"]["detail"]


async def test_models_are_listed_with_the_default(server: Server, ada: httpx2.AsyncClient) -> None:
    answer = (await ada.get("/api/models")).json()
    assert answer["default"] == "scripted:script"
    assert [model["id"] for model in answer["models"]] == ["scripted:script"]
    assert {"id", "provider", "name", "context_tokens"} <= set(answer["models"][0])
    async with server.client() as nobody:
        is_problem(await nobody.get("/api/models"), 401, "unauthenticated")
