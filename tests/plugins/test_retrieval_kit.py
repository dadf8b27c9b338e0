"""Retrieval's tools keep what tools promise, over a search that finds and a reader that reads."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import msgspec
import trio

from trialogue import Found, Hit, OwnedText, SearchQuery, ToolContext
from trialogue.testing.tool_kit import ToolCase, ToolKit
from trialogue_retrieval import read_my_content, search_my_content

TEXT = "The barn was built in 1893 by Ada. " * 1_000


async def search(query: SearchQuery, limit: int) -> Found:
    await trio.lowlevel.checkpoint()
    return Found((Hit("file", "f", datetime.now(UTC), TEXT[:100]),) if "barn" in query.text else (), None, "text")


async def read(source: str) -> OwnedText | None:
    await trio.lowlevel.checkpoint()
    return OwnedText(TEXT, "barn.txt") if source == "file:f" else None


class Kit(ToolKit):
    def context(self, call: str) -> ToolContext:
        return msgspec.structs.replace(super().context(call), search=search, read=read)


class TestSearch(Kit):
    @asynccontextmanager
    async def open_tool(self) -> AsyncGenerator[ToolCase]:
        misfits = ({"words": "barn", "within": "nowhere"}, {"words": ""}, {"words": "barn", "most": 21})
        yield ToolCase(search_my_content, {"words": "barn", "most": 3}, misfits)


class TestRead(Kit):
    @asynccontextmanager
    async def open_tool(self) -> AsyncGenerator[ToolCase]:
        misfits = (
            {"source": "file:other"},
            {"source": "file:f", "start": len(TEXT)},
            {"source": "file:f", "start": -1},
        )
        yield ToolCase(read_my_content, {"source": "file:f", "start": 8_000}, misfits)
