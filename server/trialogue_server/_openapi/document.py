"""The document as a whole: what it is about, its tags, its paths, and what they refer to."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from trialogue_server._callers.sessions import PLAIN_NAME, SECURE_NAME
from trialogue_server._http.problems import Problem
from trialogue_server._openapi import headers, problems
from trialogue_server._openapi.examples import examples_of
from trialogue_server._openapi.headers import Json
from trialogue_server._openapi.operation import KEY, SESSION, make_operation, path_of, types_of
from trialogue_server._openapi.schemas import Schemas, markdown
from trialogue_server._surface.routes import Route

_ABOUT = """\
An LLM conversation server: user, model and tools in one durable, live conversation.

JSON in and out. Errors are `application/problem+json` with a stable `code` and a `detail` that says what to do. Times are \
RFC 3339 in UTC, ids are UUIDs in lower case; an id that the client chose makes a repeat of the request answer as the first \
one did. A field or a query parameter that is not described here is refused. What is not the caller's answers 404."""


def make_document(blueprints: Mapping[str, Sequence[Route]]) -> Json:
    """The document for routes by tag."""
    routes = [(tag, route) for tag, routes in blueprints.items() for route in routes]
    schemas = _schemas([route for _, route in routes])
    examples = examples_of(blueprints)
    paths: dict[str, Json] = {}
    for tag, route in routes:
        operation = make_operation(tag, route, schemas, examples.get((route.method, route.path), ()))
        paths.setdefault(path_of(route), {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Trialogue",
            "version": version("trialogue"),
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "This server."}],
        "tags": [{"name": tag, "description": _module(routes)} for tag, routes in blueprints.items() if routes],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.components.items())),
            "responses": problems.components(route for _, route in routes),
            "headers": headers.components(),
            "securitySchemes": _SCHEMES,
        },
    }


_SCHEMES: Json = {
    SESSION: {
        "type": "apiKey",
        "in": "cookie",
        "name": PLAIN_NAME,
        "description": f"The cookie that logging in gives; behind TLS its name is `{SECURE_NAME}`. With it, what changes "
        "something must come from a page of this server, or of an origin that is configured.",
    },
    KEY: {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, `tl_...`, with the scopes that an operation names.",
    },
}


def _schemas(routes: Sequence[Route]) -> Schemas:
    taken: list[Any] = []
    given: list[Any] = [Problem]  # Any: type expressions.
    for route in routes:
        inward, outward = types_of(route)
        taken += inward
        given += outward
    schemas = Schemas(taken, given)
    schemas.components["Problem"]["properties"]["code"]["enum"] = problems.codes()
    return schemas


def _module(routes: Sequence[Route]) -> str:
    # The module's own words for what its routes have in common; the sentences behind the first are for its readers.
    module = sys.modules[routes[0].handler.__module__]
    return markdown(module.__doc__ or "").partition(". ")[0].partition("\n")[0].removesuffix(".") + "."
