"""The provider keeps what a provider promises, against a mill that behaves and misbehaves over real sockets."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import ClassVar

import pytest
from mill import open_mill
from trialogue_wordmill import trialogue_providers
from trialogue_wordmill.provider import Wordmill

from trialogue import ConfigurationError, Message, ProviderError, Request, TextPart
from trialogue.testing.provider_kit import Case, ProviderKit, Situation


def request(text: str) -> Request:
    message = Message("m", "c", "user", (TextPart(text),), datetime.now(UTC))
    return Request("fine", (message,))


class TestWordmill(ProviderKit):
    not_applicable: ClassVar[dict[Situation, str]] = {"prefix": "a mill grinds everything anew"}
    runs = 20

    @asynccontextmanager
    async def open_case(self, situation: Situation) -> AsyncGenerator[Case]:
        turned_down = situation in ("refused", "throttled", "unavailable")
        text = f"no {situation}" if turned_down else situation
        async with open_mill() as (mill, port):
            yield Case(Wordmill("wordmill", "127.0.0.1", port), request(text), mill.wait_idle, mill.wait_busy)


async def test_no_mill_is_unavailable() -> None:
    async with open_mill() as (_, port):
        pass
    with pytest.raises(ProviderError) as caught:
        async with Wordmill("wordmill", "127.0.0.1", port).open_response(request("hello")):
            pass
    assert caught.value.kind == "unavailable"


def test_it_is_there_when_it_is_said_where_the_mill_is() -> None:
    assert trialogue_providers({}) == []
    (provider,) = trialogue_providers({"WORDMILL_ADDRESS": "localhost:7070"})
    assert provider.name == "wordmill"
    with pytest.raises(ConfigurationError, match="WORDMILL_ADDRESS='7070' is no host:port"):
        trialogue_providers({"WORDMILL_ADDRESS": "7070"})
