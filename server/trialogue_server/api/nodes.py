"""For administrators: the nodes over this server's storage."""

from __future__ import annotations

from datetime import datetime

import msgspec

from trialogue import Cluster, Member
from trialogue_server._http.call import Call, Reply, json_reply
from trialogue_server._serving.services import Services
from trialogue_server._surface.routes import Route


class ShownNode(msgspec.Struct, frozen=True):
    """One process. ``lease_seconds`` is how long it still counts as alive, 0 when it does not any more.

    ``active`` are the conversations that are awake there, ``running`` those in which an answer is being written.
    ``unreachable`` says why the node that answers cannot ask this one directly.
    """

    id: str
    name: str
    address: str
    version: str
    started_at: datetime
    alive: bool
    lease_seconds: float
    draining: bool
    active: int
    running: int
    unreachable: str | None = None


class NodeList(msgspec.Struct, frozen=True):
    """Nodes that are alive, or were in the last minutes. ``answering`` is the id of the one that answers.

    ``shared`` is false where the storage belongs to one process; then nothing is listed.
    """

    shared: bool
    nodes: tuple[ShownNode, ...] = ()
    generation: int | None = None
    answering: str | None = None


async def list_nodes(services: Services, call: Call) -> Reply:
    """``GET /api/admin/nodes``: list the nodes: who is alive, who owns how much, and who is about to stop."""
    await services.principal(call)
    cluster = services.engine.cluster
    return json_reply(NodeList(shared=False) if cluster is None else await _listed(cluster))


async def _listed(cluster: Cluster) -> NodeList:
    members = await cluster.nodes.members()
    reasons = cluster.greeter.unreachable
    nodes = tuple(shown_node(member, reasons.get(member.node.id)) for member in members.nodes)
    return NodeList(shared=True, nodes=nodes, generation=members.generation, answering=cluster.info.id)


def shown_node(member: Member, unreachable: str | None = None) -> ShownNode:
    """A node as it is shown."""
    node, load = member.node, member.load
    return ShownNode(
        id=node.id,
        name=node.name,
        address=node.address,
        version=node.version,
        started_at=node.started_at,
        alive=member.alive,
        lease_seconds=round(max(member.lease, 0.0), 2),
        draining=load.draining,
        active=load.active,
        running=load.running,
        unreachable=unreachable,
    )


ROUTES = (Route("GET", "/api/admin/nodes", list_nodes, access="admin", reply=NodeList),)
