"""The clock tells the time in any zone, and says of what is none that it is none."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from trialogue import FunctionTool, ToolContext, ToolError, load_plugins
from trialogue.testing.tool_kit import ToolCase, ToolKit
from trialogue_clock import current_time

CONTEXT = ToolContext("ann", "c", "r", "m-0", 0.0)


class TestKit(ToolKit):
    @asynccontextmanager
    async def open_tool(self) -> AsyncGenerator[ToolCase]:
        yield ToolCase(current_time, {"zone": "Europe/Berlin"}, misfits=({"zone": "Mars/Olympus"}, {"place": "UTC"}))


async def told(**arguments: object) -> str:
    return (await current_time.call(arguments, CONTEXT)).text


async def test_time_is_that_of_the_zone() -> None:
    day, _, text = (await told()).partition(", ")
    now = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z")
    assert abs((datetime.now(UTC) - now).total_seconds()) < 60
    assert day == now.strftime("%A")
    assert (await told(zone="Asia/Tokyo")).endswith("+0900")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../../etc/passwd", "/etc/passwd", "Europe", "a\0b", "x" * 64])
async def test_zone_that_is_none(zone: str) -> None:
    with pytest.raises(ToolError, match="there is no time zone"):
        await told(zone=zone)


@pytest.mark.parametrize("arguments", [{"zone": 1}, {"zone": "x" * 65}, {"place": "UTC"}])
async def test_arguments_that_do_not_fit(arguments: dict[str, object]) -> None:
    with pytest.raises(ToolError, match="the arguments do not fit"):
        await told(**arguments)


def test_it_is_offered_as_any_plugin_s_tool() -> None:
    tools = load_plugins().tools({})
    (clock,) = [one for one in tools if one.name == "current_time"]
    assert isinstance(clock, FunctionTool)
    assert clock.idempotent
    assert not clock.needs_approval
