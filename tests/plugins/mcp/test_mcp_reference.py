"""The reference servers of the protocol, which were not written by us: one of files, and one that does all there is."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from node_tools import FOLDER, NODE, need_packages

from trialogue import ToolContext, ToolOutput
from trialogue_mcp import McpServer, McpSource

SERVERS = FOLDER / "node_modules/@modelcontextprotocol"


class Asked:
    """A server that is there, and its tools."""

    def __init__(self, source: McpSource) -> None:
        self._source = source

    async def call(self, name: str, **arguments: object) -> ToolOutput:
        tools = {tool.name: tool for tool in await self._source.tools()}
        context = ToolContext("owner", "conversation", "run", "m-0", trio.current_time() + 30)
        return await tools[f"{self._source.name}__{name}"].call(dict(arguments), context)


@asynccontextmanager
async def open_server(name: str, *arguments: str) -> AsyncGenerator[Asked]:
    need_packages()
    command = (str(NODE), str(SERVERS / f"server-{name}/dist/index.js"), *arguments)
    source = McpSource(McpServer(name=name, command=command, start_timeout=60, approval="hints"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(source.serve)
        with trio.fail_after(90):
            await source._up.wait()
        yield Asked(source)
        nursery.cancel_scope.cancel()


async def test_files_are_read_where_that_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "owl.txt").write_text("an owl")
    async with open_server("filesystem", str(tmp_path)) as asked:
        assert (await asked.call("read_text_file", path=str(tmp_path / "owl.txt"))).text.strip() == "an owl"
        assert "owl.txt" in (await asked.call("list_directory", path=str(tmp_path))).text
        elsewhere = await asked.call("read_text_file", path="/etc/passwd")
        assert elsewhere.failed
        assert "denied" in elsewhere.text
        assert (await asked.call("read_text_file")).failed


async def test_results_of_every_kind_are_understood() -> None:
    async with open_server("everything", "stdio") as asked:
        assert (await asked.call("echo", message="hello")).text == "Echo: hello"
        assert "5" in (await asked.call("get-sum", a=2, b=3)).text
        (picture,) = (await asked.call("get-tiny-image")).files
        assert picture.media_type == "image/png"
        assert picture.data.startswith(b"\x89PNG")
        links = await asked.call("get-resource-links", count=2)
        assert len(links.citations) == 2
        (cited,) = (await asked.call("get-resource-reference", resourceType="Text", resourceId=1)).citations
        assert cited.source.endswith("/text/1")
        assert "temperature" in (await asked.call("get-structured-content", location="New York")).text
        assert "completed" in (await asked.call("trigger-long-running-operation", duration=0.1, steps=2)).text
        assert (await asked.call("get-sum", a="x")).failed
