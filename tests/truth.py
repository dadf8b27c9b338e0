"""Holds every answer against what its route declares, so that the OpenAPI document is true wherever a test has been.

status     one that the route names, or that of an error it can end in
JSON       decodes as the declared type, and the type holds all there is: encoded again, it is the same
problems   have a code that the document lists
405        has the ``Allow`` of the routing table
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

import httpx2
import msgspec

from trialogue_server._http.problems import Problem
from trialogue_server._http.queries import check_names
from trialogue_server._openapi.problems import MEDIA_TYPE, codes, errors_of
from trialogue_server._surface.routes import Route
from trialogue_server._surface.table import Table
from trialogue_server.api import BLUEPRINTS

TABLE = Table(route for routes in BLUEPRINTS.values() for route in routes)


async def hold(answer: httpx2.Response) -> None:
    """A hook of httpx2: fails the test whose answer is not as declared."""
    request = answer.request
    method, path = request.method, request.url.path
    media_type = answer.headers.get("content-type", "").partition(";")[0]
    if answer.status_code == 405:
        assert answer.headers["allow"].split(", ") == list(TABLE.methods(path)) or not TABLE.methods(path), path
    found = TABLE.find(method, path)
    if found is None or method in ("HEAD", "OPTIONS"):
        return
    where = f"{method} {path}: {answer.status_code}"
    declared = _declared(found.route)
    assert answer.status_code in declared, f"{where} is not declared: name it in the route's `also` or `problems`"
    if media_type == MEDIA_TYPE:
        _hold_problem(found.route, json.loads(await answer.aread()), where)
        return
    if answer.is_success and not found.route.any_query:
        check_names(dict(parse_qsl(request.url.query.decode(), keep_blank_values=True)), found.route.query)
    types = declared[answer.status_code]
    assert media_type in types or "*/*" in types, f"{where} is {media_type!r}, which is not declared"
    if media_type == "application/json" and "*/*" not in types:
        _hold_json(types[media_type], await answer.aread(), where)


def _declared(route: Route) -> dict[int, dict[str, Any]]:
    """Media types by status, each with the type of what it carries."""
    declared: dict[int, dict[str, Any]] = {error.status: {} for error in errors_of(route)}
    for status, reply, media_type in [
        (route.status, route.reply, route.media_type),
        *((answer.status, answer.reply, answer.media_type) for answer in route.also),
    ]:
        types = declared.setdefault(status, {})
        if media_type is not None:
            types[media_type] = None
        if reply is not None:
            types["application/json"] = reply
        if media_type is None and reply is None:
            # Nothing to carry; the head of an empty answer names a type all the same.
            types |= {"": None, "application/json": None}
    return declared


def _hold_json(kind: Any, body: bytes, where: str) -> None:
    if kind is None:
        assert body == b"", f"{where} carries a body, and none is declared"
        return
    try:
        value = msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise AssertionError(f"{where} is not what is declared: {error}; {body[:500]!r}") from error
    again = json.loads(msgspec.json.encode(value))
    assert again == json.loads(body), f"{where} holds what is not declared"


def _hold_problem(route: Route, body: Any, where: str) -> None:
    problem = msgspec.convert(body, Problem)
    assert problem.code in codes(), f"{where}: the document has no code {problem.code!r}"
    expected = {error.code for error in errors_of(route) if error.status == problem.status}
    assert problem.code in expected, f"{where}: {problem.code!r} is not declared: name it in the route's `problems`"
