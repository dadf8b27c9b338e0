"""The port to another node that is asked directly: to carry out a command in a conversation that it owns.

Carrying one out twice is harmless, since commands have ids; so whoever does not know what became of it asks again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import msgspec

from trialogue._cluster.nodes import NodeInfo
from trialogue._deciding.commands import Command, Receipt
from trialogue._facts.errors import FencedError


class UnreachableError(FencedError):
    """The node that owns a conversation does not answer; what it was asked for may or may not have happened."""

    code = "unreachable"


class Parcel(msgspec.Struct, frozen=True):
    """A command on its way to the node that is to carry it out. ``fresh`` is as for ``Engine.submit``."""

    conversation: str
    command: Command
    fresh: bool = False


class Transport(ABC):
    """How this node reaches others."""

    @abstractmethod
    async def deliver(self, node: NodeInfo, parcel: Parcel) -> Receipt:
        """Have ``node`` carry out a command, and return its receipt.

        Raises what the other node's engine raised, as ``TrialogueError``: ``ElsewhereError`` when it does not own the
        conversation either. Raises ``UnreachableError`` when it does not answer in time, or is another node by now.
        """

    @abstractmethod
    async def greet(self, node: NodeInfo) -> str | None:
        """Ask ``node`` whether it is there. Returns why it cannot be asked, in words, or ``None``. Raises nothing."""
