"""What a browser lets pages of other origins do."""

from __future__ import annotations

import httpx2
import pytest
from rest import Server, serve
from truth import TABLE

from trialogue_server._openapi.operation import path_of
from trialogue_server.api import BLUEPRINTS

ORIGIN = "https://app.example.org"
ASKED = {"Origin": ORIGIN, "Access-Control-Request-Method": "PATCH"}
PATHS = sorted({path_of(route) for routes in BLUEPRINTS.values() for route in routes})


async def test_other_origins_are_given_nothing_unless_configured(ada: httpx2.AsyncClient) -> None:
    for answer in (
        await ada.get("/api/auth/me", headers={"Origin": ORIGIN}),
        await ada.options("/api/conversations/x", headers=ASKED),
    ):
        assert answer.status_code == 200
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert "vary" not in answer.headers


async def test_configured_origin_reads_answers_problems_and_streams() -> None:
    async with serve(cors_origins=[f"{ORIGIN}/"]) as server, server.user("ada") as ada:
        for path, status in (("/api/auth/me", 200), ("/api/conversations/x", 404), ("/nothing", 404)):
            answer = await ada.get(path, headers={"Origin": ORIGIN})
            assert answer.status_code == status
            assert answer.headers["access-control-allow-origin"] == ORIGIN
            assert answer.headers["access-control-allow-credentials"] == "true"
            assert "X-Request-Id" in answer.headers["access-control-expose-headers"]
            assert answer.headers["vary"] == "Origin"
        made = await ada.post("/api/conversations", json={}, headers={"Origin": ORIGIN})
        assert made.status_code == 201


@pytest.mark.parametrize("origin", ["https://evil.example", "null", f"{ORIGIN}.evil.example", "http://app.example.org"])
async def test_another_origin_is_given_nothing_but_the_warning_to_caches(origin: str) -> None:
    async with serve(cors_origins=[ORIGIN]) as server, server.user("ada") as ada:
        answer = await ada.get("/api/auth/me", headers={"Origin": origin})
        assert answer.headers["vary"] == "Origin"
        assert "access-control-allow-origin" not in answer.headers
        asked = await ada.options("/api/conversations/x", headers={**ASKED, "Origin": origin})
        assert "access-control-allow-methods" not in asked.headers
        assert (await ada.post("/api/conversations", json={}, headers={"Origin": origin})).status_code == 403


async def test_page_varies_with_both() -> None:
    async with serve(cors_origins=[ORIGIN]) as server, server.client() as nobody:
        answer = await nobody.get("/", headers={"Origin": ORIGIN})
        assert set(", ".join(answer.headers.get_list("vary")).split(", ")) == {"Origin", "Accept-Encoding"}


async def test_browser_may_ask_before() -> None:
    async with serve(cors_origins=[ORIGIN]) as server, server.client() as nobody:
        answer = await nobody.options("/api/conversations/x", headers=ASKED)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-methods"] == answer.headers["allow"]
        assert answer.headers["allow"].split(", ") == list(TABLE.methods("/api/conversations/x"))
        assert "Idempotency-Key" in answer.headers["access-control-allow-headers"]
        assert answer.headers["access-control-allow-credentials"] == "true"


@pytest.mark.parametrize("path", PATHS)
async def test_allow_is_what_the_document_says(server: Server, path: str) -> None:
    """On OPTIONS, and on every method that is not taken."""
    described = {route.method for routes in BLUEPRINTS.values() for route in routes if path_of(route) == path}
    allowed = described | {"OPTIONS"} | ({"HEAD"} if "GET" in described else set())
    target = path.replace("{", "").replace("}", "")
    async with server.client() as nobody:
        options = await nobody.options(target)
        assert options.status_code == 200
        assert set(options.headers["allow"].split(", ")) == allowed
        for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"} - allowed:
            answer = await nobody.request(method, target)
            assert answer.status_code == 405, (method, target)
            assert set(answer.headers["allow"].split(", ")) == allowed
