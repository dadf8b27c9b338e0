"""The tools of a simulated world: they take their time, fail, hang, and note each time that somebody calls them.

What is looked at is the moment of the call itself: the log has to know of it, and a tool that may have had an effect is not
called again.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import trio

from trialogue import Tool, ToolContext, ToolError, ToolOutput

if TYPE_CHECKING:
    from simulation.world import World

#: Name -> whether calling it again does no harm, and whether a person is asked.
TOOLS = {"work": (False, False), "look": (True, False), "ask": (False, True)}


class SimTool(Tool):
    """One of ``TOOLS``, at one node."""

    description = "Does something."
    timeout = 2.0

    def __init__(self, world: World, name: str, source: random.Random, *, calm: bool) -> None:
        self.name: str = name
        self.parameters: dict[str, Any] = {"type": "object"}
        self.idempotent, self.needs_approval = TOOLS[name]
        self._world = world
        self._source = source
        self._calm = calm

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> ToolOutput:
        self._note(context)
        match "well" if self._calm else self._source.choice(("well", "well", "slow", "fails", "hangs", "bug")):
            case "slow":
                await trio.sleep(self._source.uniform(0.1, 1.5))
            case "fails":
                raise ToolError("it did not work")
            case "hangs":
                await trio.sleep_forever()
            case "bug":
                raise KeyError(self.name)
            case _:
                await trio.lowlevel.checkpoint()
        return ToolOutput("done")

    def _note(self, context: ToolContext) -> None:
        if not self._world.noticed:
            return  # Nobody can know what was called in a past that the store has lost.
        made = self._world.calls.setdefault(context.call, 0)
        self._world.calls[context.call] = made + 1
        if made and not self.idempotent:
            self._world.auditor.find(f"{self.name} is called again for {context.call}")
        fold = self._world.auditor.folds[context.conversation]
        if context.call not in fold.called:
            self._world.auditor.find(f"{self.name} is called for {context.call} before the log knows of it")


def open_tools(world: World, source: random.Random, *, calm: bool) -> list[SimTool]:
    """One node's tools; ``calm`` ones do what they are for."""
    return [SimTool(world, name, source, calm=calm) for name in TOOLS]
