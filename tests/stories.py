"""Carries out the API's examples: the requests of a story, each with what earlier answers gave."""

from __future__ import annotations

import re
from typing import Any

import httpx2

from trialogue_server._openapi.examples import Example


async def carry_out(client: httpx2.AsyncClient, example: Example, kept: dict[str, str]) -> httpx2.Response:
    """The answer to the example's request."""
    target = re.sub(r"\{(\w+)\}", lambda name: kept[name[1]], example.target)
    if example.body is None:
        return await client.request(example.method, target, headers=dict(example.headers))
    body = {name: _filled(value, kept) for name, value in example.body.items()}
    if example.is_form:
        files = {name: (file, content.encode()) for name, (file, content) in body.items()}
        return await client.request(example.method, target, files=files)
    return await client.request(example.method, target, json=body, headers=dict(example.headers))


def _filled(value: Any, kept: dict[str, str]) -> Any:  # Any JSON value.
    return re.sub(r"^\{(\w+)\}$", lambda name: kept[name[1]], value) if isinstance(value, str) else value


def at(value: Any, pointer: str) -> Any:  # Any JSON value, and a piece of it.
    """What a JSON pointer points to."""
    for name in pointer.split("/")[1:]:
        value = value[int(name)] if isinstance(value, list) else value[name]
    return value
