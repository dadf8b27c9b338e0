"""The routing table: which route answers, and what a path takes."""

from __future__ import annotations

import pytest

from trialogue_server._http.call import Call, Reply
from trialogue_server._serving.services import Services
from trialogue_server._surface.routes import Route
from trialogue_server._surface.table import Table


async def handler(services: Services, call: Call) -> Reply:
    """Never called."""
    return Reply(204)


PATHS = [
    ("GET", "/api/things"),
    ("POST", "/api/things"),
    ("GET", "/api/things/<id>"),
    ("DELETE", "/api/things/<name>"),
    ("PUT", "/api/things/all"),
    ("GET", "/api/things/<id>/parts/<part>"),
    ("GET", "/api/<kind>/latest/parts/first"),
]
TABLE = Table(Route(method, path, handler) for method, path in PATHS)


@pytest.mark.parametrize(
    ("method", "path", "route", "arguments"),
    [
        ("GET", "/api/things", "/api/things", {}),
        ("HEAD", "/api/things", "/api/things", {}),
        ("GET", "/api/things/1", "/api/things/<id>", {"id": "1"}),
        ("DELETE", "/api/things/1", "/api/things/<name>", {"name": "1"}),
        ("PUT", "/api/things/all", "/api/things/all", {}),
        # Spelled out, and it does not take the method: the argument does.
        ("GET", "/api/things/all", "/api/things/<id>", {"id": "all"}),
        ("GET", "/api/things/1/parts/2", "/api/things/<id>/parts/<part>", {"id": "1", "part": "2"}),
        # Spelled out first and back again when it leads nowhere.
        ("GET", "/api/things/latest/parts/first", "/api/things/<id>/parts/<part>", {"id": "latest", "part": "first"}),
        ("GET", "/api/others/latest/parts/first", "/api/<kind>/latest/parts/first", {"kind": "others"}),
    ],
)
def test_route_is_found_with_its_arguments(method: str, path: str, route: str, arguments: dict[str, str]) -> None:
    found = TABLE.find(method, path)
    assert found is not None
    assert (found.route.path, found.arguments) == (route, arguments)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", "/api/things"),
        ("GET", "/api/things/"),
        ("GET", "/api//things"),
        ("GET", "/api/things/1/parts"),
        ("GET", "/api"),
        ("GET", "/"),
        ("GET", ""),
        ("OPTIONS", "/api/things"),
    ],
)
def test_nothing_else_is_found(method: str, path: str) -> None:
    assert TABLE.find(method, path) is None


def test_methods_of_a_path_are_those_of_all_its_routes() -> None:
    assert TABLE.methods("/api/things") == ("GET", "HEAD", "OPTIONS", "POST")
    assert TABLE.methods("/api/things/1") == ("DELETE", "GET", "HEAD", "OPTIONS")
    assert TABLE.methods("/api/things/all") == ("DELETE", "GET", "HEAD", "OPTIONS", "PUT")
    assert TABLE.methods("/api/nothing") == ()
