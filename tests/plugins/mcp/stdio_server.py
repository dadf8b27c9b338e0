"""An MCP server over stdio for tests: what real ones do, and what they do wrong. ``STATE`` is a file it notes things in."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import anyio
import mcp_types as types
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError

STATE = Path(os.environ["STATE"])
server = MCPServer("probe")
#: A picture of one red pixel.
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"


def note(text: str) -> None:
    with STATE.open("a") as file:
        file.write(f"{text}\n")


@server.tool(annotations=types.ToolAnnotations(read_only_hint=True))
def add(one: int, two: int) -> str:
    """Adds two numbers."""
    return str(one + two)


@server.tool()
def boom() -> str:
    """Fails."""
    raise ToolError("there is no such city")


@server.tool()
async def wait() -> str:
    """Waits for ever, and notes when it is cancelled."""
    note("waiting")
    try:
        await anyio.sleep_forever()
    finally:
        note("cancelled")
    return ""


@server.tool()
def die() -> str:
    """Ends the process in the midst of the call."""
    os._exit(3)


@server.tool()
def big(size: int) -> str:
    """Says very much."""
    return "x" * size


@server.tool()
def spawn() -> str:
    """Starts a process that ignores what it can."""
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(300)"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.DEVNULL)
    return str(child.pid)


@server.tool()
def picture(data: str = PIXEL, mime_type: str = "image/png") -> types.ImageContent:
    """Returns a picture."""
    return types.ImageContent(type="image", data=data, mime_type=mime_type)


@server.tool()
def embedded() -> list[types.TextContent | types.EmbeddedResource]:
    """Returns a text, and a picture as a resource."""
    resource = types.BlobResourceContents(uri="memory://plots/red.png?at=1", blob=PIXEL, mime_type="image/png")
    return [types.TextContent(type="text", text="See:"), types.EmbeddedResource(type="resource", resource=resource)]


@server.tool()
def linked() -> list[types.TextContent | types.ResourceLink]:
    """Returns a text and where it is from."""
    return [
        types.TextContent(type="text", text="The barn is old."),
        types.ResourceLink(type="resource_link", name="barn", uri="https://example.org/barn"),
    ]


@server.tool()
async def grow(context: Context) -> str:
    """Adds a tool, and says so."""

    def grown() -> str:
        """Was not there before."""
        return "grown"

    server.add_tool(grown)
    await context.session.send_tool_list_changed()
    return "done"


if __name__ == "__main__":
    note(f"started {os.getpid()}")
    print("hello, secret is", os.environ.get("TOKEN"), file=sys.stderr)
    if "DEAF" in os.environ:
        time.sleep(300)
    server.run("stdio")
