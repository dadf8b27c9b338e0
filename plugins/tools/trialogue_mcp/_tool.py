"""A tool of an MCP server as models see it: under a name of ours, with its description and schema within bounds."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from trialogue import Tool, ToolContext, ToolOutput
from trialogue_mcp._specs import McpServer

if TYPE_CHECKING:
    import mcp_types as types

#: Characters of a name, of a description, and of a schema as JSON.
NAME, DESCRIPTION, SCHEMA = 64, 4_000, 64_000

_UNWANTED = re.compile("[^a-zA-Z0-9_-]")


class McpTool(Tool):
    """Calls a tool under its own name, by way of its source."""

    def __init__(
        self,
        server: McpServer,
        listed: types.Tool,
        call: Callable[[str, dict[str, Any]], Awaitable[ToolOutput]],  # Any: a model's arguments, any JSON.
    ) -> None:
        hints = listed.annotations if server.approval == "hints" else None
        reads = bool(hints and hints.read_only_hint)
        self.name = name_of(server.name, listed.name)
        self.description = (listed.description or listed.title or listed.name)[:DESCRIPTION]
        self.parameters: dict[str, Any] = schema_of(listed.input_schema)
        self.needs_approval = server.approval == "ask" or (server.approval == "hints" and not reads)
        # Of what only reads, or says that twice is as once, a call that a crash cut off may be made again.
        self.idempotent = reads or bool(hints and hints.idempotent_hint)
        self.timeout = server.timeout
        self._own_name = listed.name
        self._call = call

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> ToolOutput:
        return await self._call(self._own_name, arguments)


def name_of(server: str, tool: str) -> str:
    """``server__tool`` with the letters that upstreams take; a name that had to be changed ends with a mark of its own."""
    wanted = f"{server}__{tool}"
    plain = _UNWANTED.sub("_", wanted)
    if plain == wanted and len(plain) <= NAME:
        return plain
    mark = sha256(wanted.encode(errors="replace")).hexdigest()[:8]
    return f"{plain[: NAME - 9]}_{mark}"


def schema_of(schema: dict[str, Any]) -> dict[str, Any]:  # A JSON Schema: any JSON.
    """The schema, or one that takes any object where it is none of an object or very large."""
    if schema.get("type") != "object" or len(msgspec.json.encode(schema)) > SCHEMA:
        return {"type": "object"}
    return {name: value for name, value in schema.items() if name != "$schema"}
