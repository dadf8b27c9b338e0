"""Which node is to take what nobody has: each finds out by itself, and they agree as long as they see the same nodes.

Every node gives every conversation a number (rendezvous hashing); the highest one takes it. When a node comes or goes, only
what it takes or took changes hands. Nodes that see different nodes may both try: the claim lets one of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from trialogue._cluster.nodes import Member


def takers(members: Iterable[Member], conversation: str) -> list[Member]:
    """The nodes that take new work, the one that is to have ``conversation`` first."""
    able = [member for member in members if member.alive and not member.load.draining]
    return sorted(able, key=lambda member: _weight(member.node.id, conversation), reverse=True)


def _weight(node: str, conversation: str) -> bytes:
    return blake2b(f"{node}/{conversation}".encode(), digest_size=8).digest()
