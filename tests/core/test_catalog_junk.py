"""A provider that lists junk is left out of the list, and all others are in it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from trialogue import Model, Provider, Request, ResponseStream
from trialogue._asking.catalog import Catalog
from trialogue.testing import ScriptedProvider


class Lists(Provider):
    """Lists what it was given, or raises it."""

    name = "lists"

    def __init__(self, given: Any) -> None:
        self.given = given

    async def models(self) -> Sequence[Model]:
        if isinstance(self.given, Exception):
            raise self.given
        return self.given  # type: ignore[no-any-return]  # that is the fault

    def open_response(self, request: Request) -> AbstractAsyncContextManager[ResponseStream]:
        raise NotImplementedError


JUNK = [
    None,
    3,
    "text",
    [None],
    [3],
    {"a": 1},
    [Model("script:script", "script", "Not its own", 1)],
    OSError("no disk"),
]


@pytest.mark.parametrize("junk", JUNK)
async def test_junk_is_left_out(junk: object, caplog: pytest.LogCaptureFixture) -> None:
    good = ScriptedProvider()
    catalog = Catalog([Lists(junk), good])
    assert list(await catalog.models()) == list(await good.models())
    assert "lists failed to list its models" in caplog.text
