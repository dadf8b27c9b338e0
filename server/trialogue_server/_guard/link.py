"""What a connection's parts know of the connection that they are parts of: its limits, its deadlines and its end."""

from __future__ import annotations

from typing import Protocol

from trialogue_server._guard.limits import Limits


class Link(Protocol):
    """A ``Connection``, as ``protocol`` and ``websocket`` see it."""

    #: A WebSocket's Close frame was sent.
    parted: bool

    @property
    def limits(self) -> Limits:
        """How long and how much."""
        ...

    @property
    def stopping(self) -> bool:
        """Whether the server is shutting down."""
        ...

    def set_busy(self) -> None:
        """A request has begun."""
        ...

    def set_idle(self) -> None:
        """Nothing is in progress."""
        ...

    def expect_goodbye(self) -> None:
        """The peer is to close within its time."""
        ...

    def wake_reader(self) -> None:
        """Have it look again."""
        ...

    async def refuse(self) -> None:
        """Answer 400 past the HTTP machinery, and close."""
        ...

    def abort(self) -> None:
        """Break off: the client sees a reset."""
        ...
