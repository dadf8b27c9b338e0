"""The dice keep what a tool promises, and roll what they are asked for."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from trialogue_wordmill.dice import roll_dice

from trialogue import ToolContext
from trialogue.testing.tool_kit import ToolCase, ToolKit


class TestDice(ToolKit):
    @asynccontextmanager
    async def open_tool(self) -> AsyncGenerator[ToolCase]:
        misfits = ({"sides": 1}, {"count": 101}, {"count": 2, "drop_lowest": 2}, {"colour": "red"})
        yield ToolCase(roll_dice, {"sides": 20, "count": 4, "drop_lowest": 1}, misfits)


async def test_as_many_are_kept_as_are_not_dropped() -> None:
    output = await roll_dice.call({"count": 9, "drop_lowest": 6}, ToolContext("ada", "c", "r", "m-0", 0.0))
    kept, _, total = output.text.partition("; together ")
    rolled = [int(one) for one in kept.split(", ")]
    assert len(rolled) == 3
    assert set(rolled) <= set(range(1, 7))
    assert sum(rolled) == int(total)
