"""Tools that are none, and sources that return junk: they are set aside with the reason, and all others are offered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from support import open_talk

from trialogue import Settings, Tool, Toolbox, ToolContext, ToolOutput, ToolSource, open_engine, tool
from trialogue.testing import MemoryStore, ScriptedProvider


class Odd(Tool):
    """A tool with whatever attributes."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update({"name": "odd", "description": "Odd.", "parameters": {}, **attributes})

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> ToolOutput:
        return ToolOutput("done")


class Nameless(Tool):
    """It was forgotten to say anything of it."""

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> ToolOutput:
        return ToolOutput("done")


class Moody(Odd):
    @property
    def description(self) -> str:  # type: ignore[override]  # that is the fault
        raise OSError("not today")


@tool
async def fine(word: str) -> str:
    """Is as it should be."""
    return word


FLAWED = [
    Odd(name=None),
    Odd(description=None),
    Odd(description=b"bytes"),
    Odd(parameters=None),
    Odd(parameters={"type": object()}),
    Odd(timeout=-1),
    Odd(timeout="long"),
    Nameless(),
]


class Gives(ToolSource):
    """A source that gives what it was given."""

    name = "gives"

    def __init__(self, given: Any) -> None:
        self.given = given

    async def tools(self) -> Sequence[Tool]:
        return self.given  # type: ignore[no-any-return]  # that is the fault


@pytest.mark.parametrize("flawed", FLAWED)
@pytest.mark.parametrize("by_source", [False, True])
async def test_one_that_cannot_be_described_is_set_aside_alone(flawed: Tool, by_source: bool) -> None:
    toolbox = Toolbox([Gives([flawed, fine])] if by_source else [flawed, fine])
    assert [one.name for one in await toolbox.look()] == ["fine"]
    assert [spec.name for spec in toolbox.specs(Settings())] == ["fine"]
    assert len(toolbox.set_aside) == 1
    assert "" not in toolbox.set_aside.values()


async def test_what_is_set_aside_is_forgotten_when_its_source_has_it_no_more() -> None:
    source = Gives([Odd(timeout=-1), fine])
    toolbox = Toolbox([source])
    await toolbox.look()
    assert toolbox.set_aside
    source.given = [fine]
    await toolbox.look()
    assert toolbox.set_aside == {}


@pytest.mark.parametrize("junk", [None, 3, "text", [None], [3], {"a": 1}, [object()]])
async def test_a_source_that_gives_junk_harms_no_answer(junk: object, autojump_clock: object) -> None:
    provider = ScriptedProvider(["So it is."], tools=True)
    toolbox = Toolbox([Gives(junk), fine])
    async with open_engine(MemoryStore(), [provider], toolbox=toolbox) as engine:
        talk = await open_talk(engine)
        await talk.post("hello")
        await talk.settled()
    assert [spec.name for spec in provider.requests[0].tools] == ["fine"]


async def test_a_source_without_a_name_is_asked_all_the_same() -> None:
    class Anonymous(Gives):
        @property
        def name(self) -> str:  # type: ignore[override]  # that is the fault
            raise OSError("not today")

    assert [one.name for one in await Toolbox([Anonymous([fine])]).look()] == ["fine"]
    assert await Toolbox([Anonymous(None)]).look() == ()
