"""The kit passes tools that keep the promises of the port, and fails those that break one."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
import trio
from msgspec import Meta

from trialogue import Tool, ToolContext, ToolOutput, tool
from trialogue.testing.tool_kit import ToolCase, ToolKit

Seconds = Annotated[float, Meta(ge=0, le=60)]


@tool(idempotent=True)
async def wait(seconds: Seconds, why: str = "") -> str:
    """Waits a while."""
    await trio.sleep(seconds)
    return f"waited {seconds:g} s"


@tool
def work(seconds: Seconds) -> str:
    """Keeps a thread busy for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)  # In a thread, which is let go of.
    return "worked"


class TestAsync(ToolKit):
    @asynccontextmanager
    async def open_tool(self) -> AsyncGenerator[ToolCase]:
        yield ToolCase(
            wait, {"seconds": 0}, misfits=({"seconds": -1}, {"seconds": 0, "minutes": 1}), slow={"seconds": 60}
        )


class TestThreaded(ToolKit):
    runs = 5

    @asynccontextmanager
    async def open_tool(self) -> AsyncGenerator[ToolCase]:
        yield ToolCase(work, {"seconds": 0.01}, slow={"seconds": 10})


class Bad(Tool):
    """A tool that does as it is made to."""

    name, description = "bad", "Does what it should not."

    def __init__(self, how: str = "", **parameters: Any) -> None:
        self.how = how
        self.parameters = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], **parameters}

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> ToolOutput:
        match self.how:
            case "talks too much":
                return ToolOutput("x" * 100_000)
            case "says what cannot be written":
                return ToolOutput("\ud800")
            case "fails":
                return ToolOutput("no", failed=True)
            case "is not stopped":
                with trio.CancelScope(shield=True):
                    await trio.sleep(0.5)
            case "keeps files":
                self.kept = [*getattr(self, "kept", []), open("/dev/null")]  # noqa: SIM115, ASYNC230 - that is the fault
            case _:
                assert arguments["n"] + 1
        return ToolOutput("done")


class Over(ToolKit):
    """The kit over one given tool, for checks that shall fail."""

    def __init__(self, one: Tool, slow: bool = False) -> None:
        self.one, self.slow = one, slow

    @asynccontextmanager
    async def open_tool(self) -> AsyncGenerator[ToolCase]:
        yield ToolCase(self.one, {"n": 1}, slow={"n": 2} if self.slow else None)


@pytest.mark.parametrize("how", ["talks too much", "says what cannot be written", "fails"])
async def test_an_answer_that_is_none_is_found(how: str) -> None:
    with pytest.raises((AssertionError, UnicodeError)):
        await Over(Bad(how)).test_a_call_says_something_that_can_be_written_down()


async def test_arguments_that_are_not_looked_at_are_found() -> None:
    with pytest.raises(KeyError):  # What the tool raised, and it is no ToolError.
        await Over(Bad()).test_arguments_that_do_not_fit_are_refused_clearly()


async def test_one_that_is_not_stopped_is_found() -> None:
    with pytest.raises(AssertionError):
        await Over(Bad("is not stopped"), slow=True).test_cancelled_at_work_it_ends()


async def test_a_leak_is_found() -> None:
    one = Bad("keeps files")
    with pytest.raises(AssertionError):
        await Over(one).test_nothing_leaks()
    for file in one.kept:
        file.close()


@pytest.mark.parametrize("wrong", [{"type": "string"}, {"required": ["m"]}, {"anyOf": [{"$ref": "http://elsewhere"}]}])
async def test_a_schema_that_is_none_is_found(wrong: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        await Over(Bad(**wrong)).test_its_schema_is_one_of_an_object()
