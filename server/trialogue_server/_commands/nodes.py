"""``trialogue nodes``: the nodes over the configured storage, as the storage has them. No server need be up."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import trio

from trialogue import ConfigurationError, Members, TrialogueError, load_plugins
from trialogue_server.api.nodes import NodeList, ShownNode, shown_node
from trialogue_server.config import Config


def list_nodes(config: Config) -> NodeList:
    """What there is. Raises ``ConfigurationError``."""
    if config.storage_url.partition(":")[0] == "sqlite":
        return NodeList(shared=False)
    try:
        members = trio.run(_members, config)
    except TrialogueError as error:
        raise ConfigurationError(str(error)) from error
    if members is None:
        return NodeList(shared=False)
    return NodeList(shared=True, nodes=tuple(map(shown_node, members.nodes)), generation=members.generation)


async def _members(config: Config) -> Members | None:
    plugins = load_plugins(disabled=config.disabled_plugins)
    async with plugins.open_store(config.storage_url, config.data_dir) as store:
        return None if store.nodes is None else await store.nodes.members()


def lines(found: NodeList, *, as_json: bool) -> list[str]:
    """What is printed."""
    if as_json:
        return [msgspec.json.format(msgspec.json.encode(found)).decode()]
    if not found.shared:
        return ["this storage belongs to one process: there are no nodes"]
    rows = [("NODE", "STATE", "LEASE", "AWAKE", "RUNNING", "VERSION", "ADDRESS"), *map(_row, found.nodes)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [_line(row, widths) for row in rows]


def _row(node: ShownNode) -> tuple[str, ...]:
    state = "draining" if node.draining and node.alive else "alive" if node.alive else "gone"
    address = node.address or "(by way of the storage)"
    return (node.name, state, f"{node.lease_seconds:.1f}s", str(node.active), str(node.running), node.version, address)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
