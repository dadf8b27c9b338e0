"""MCP: tools of servers that speak the Model Context Protocol, over stdio or Streamable HTTP.

Which servers there are stands in a TOML file that ``TRIALOGUE_MCP_FILE`` names (docs/mcp.md); without it there are none.
Each is a source of tools with a connection of its own, which is kept in the background: opened when the server starts,
without anyone waiting for it, and opened anew with growing pauses when it ends. The protocol is the package ``mcp``'s,
which is imported when the first connection is opened.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

from trialogue import ConfigurationError, ToolLike, hookimpl
from trialogue_mcp._source import McpSource as McpSource
from trialogue_mcp._specs import McpServer as McpServer
from trialogue_mcp._specs import read_specs as read_specs

__all__ = ["McpServer", "McpSource", "read_specs", "trialogue_tools"]


@hookimpl
def trialogue_tools(environment: Mapping[str, str]) -> Sequence[ToolLike]:
    """One source per server in the file. Raises ``ConfigurationError`` for a file that cannot be meant."""
    file = environment.get("TRIALOGUE_MCP_FILE")
    if not file:
        return []
    if importlib.util.find_spec("mcp") is None:
        raise ConfigurationError(
            "TRIALOGUE_MCP_FILE is set, and the package mcp is missing: pip install 'trialogue[mcp]'"
        )
    return [McpSource(server) for server in read_specs(Path(file), environment)]
