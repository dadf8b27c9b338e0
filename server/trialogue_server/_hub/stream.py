"""One client's place in one source, and how it ended."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import NamedTuple

import trio

from trialogue_server._hub.sink import Sink
from trialogue_server._hub.source import Source


class Tag(NamedTuple):
    """Whose stream it is, and of what: for the limit per user, and for ending streams with a session or a conversation."""

    user: str = ""
    #: The session, or the API key, by which its reader came (``Principal.credential``).
    session: str = ""
    conversation: str = ""


class Ending(enum.Enum):
    """Why a stream ended."""

    LEFT = "left"  # The client hung up.
    DRAINED = "drained"  # We said goodbye.
    REVOKED = "revoked"  # Its session ended.
    BROKEN = "broken"  # We failed, or the client took nothing for too long: it must not look complete.


class Stream:
    """One subscriber. All of its state is changed by the hub's task, or while ``busy`` by the task that carries a rest."""

    __slots__ = (
        "batch",
        "busy",
        "dirty",
        "ending",
        "heartbeat",
        "idle_since",
        "over",
        "queue",
        "seq",
        "sink",
        "source",
        "tag",
    )

    def __init__(self, source: Source, seq: int, sink: Sink, tag: Tag, queue: Callable[[Stream], None]) -> None:
        self.source = source
        #: The number of the next frame that the client gets.
        self.seq = seq
        self.sink = sink
        #: What the sink sends after a silence, if it does.
        self.heartbeat = sink.heartbeat
        self.tag = tag
        #: Frames to read from the log at a time, when it is behind.
        self.batch = 20
        #: Puts the stream on the hub's list for its next round.
        self.queue = queue
        #: Whether it is on that list.
        self.dirty = False
        #: Whether a task carries something of it; then rounds pass it by.
        self.busy = False
        #: When something was last written, in Trio's time.
        self.idle_since = trio.current_time()
        self.ending: Ending | None = None
        #: Around the handler's wait for the client to leave; cancelled by the hub when the stream ends otherwise.
        self.over = trio.CancelScope()

    def __repr__(self) -> str:
        return f"<Stream {self.tag} seq={self.seq} busy={self.busy} ending={self.ending}>"

    def wake(self) -> None:
        """There is more to read. Called by the flusher for hundreds of streams in one go: a flag and a list."""
        if not self.dirty:
            self.dirty = True
            self.queue(self)

    def end(self, ending: Ending) -> None:
        """Once; the first reason stands."""
        if self.ending is None:
            self.ending = ending
            self.over.cancel()
