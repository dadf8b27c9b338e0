"""The tools that models may call here."""

from __future__ import annotations

from typing import Any

import msgspec

from trialogue import Settings
from trialogue_server._http.call import Call, Reply, json_reply
from trialogue_server._serving.services import Services
from trialogue_server._surface.routes import Route


class ShownTool(msgspec.Struct, frozen=True):
    """A tool. ``approval`` says whether a person is asked before each call, unless a conversation says otherwise; where
    ``fixed``, it cannot.
    """

    name: str
    description: str
    parameters: dict[str, Any]  # A JSON Schema: any JSON.
    approval: bool
    fixed: bool
    seconds: float


class Tools(msgspec.Struct, frozen=True):
    """What may be called."""

    tools: tuple[ShownTool, ...]


async def list_tools(services: Services, call: Call) -> Reply:
    """``GET /api/tools``: list the tools that models may call, with the JSON Schema of their arguments."""
    await services.principal(call)
    toolbox = services.engine.toolbox
    shown = tuple(
        ShownTool(
            tool.name,
            tool.description,
            tool.parameters,
            toolbox.asks(tool, Settings()),
            toolbox.always_asks(tool.name),
            min(tool.timeout, services.config.tool_seconds),
        )
        for tool in await toolbox.look()
    )
    return json_reply(Tools(shown))


ROUTES = (Route("GET", "/api/tools", list_tools, reply=Tools),)
