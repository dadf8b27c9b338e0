"""News: what nodes tell each other, and how a node finds out that it has missed some.

Each message carries its node's id and a number that grows by one, and each node says something every second, so that a
message that was lost is noticed by the next one. What then may be missing is looked up, not asked for again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec
import trio

from trialogue._cluster.bus import MOST, Bus
from trialogue._supervision.child import Child

#: Advances that wait to be said, by conversation: the later one stands for both.
WAITING = 2_000
#: Seconds between two messages about advances; the first one after a silence goes at once.
WINDOW = 0.02

_log = logging.getLogger("trialogue.cluster")


class Advance(msgspec.Struct, frozen=True, array_like=True):
    """A conversation's log goes on to ``next_seq``. ``owner`` is whose list it changes, if it does, and ``events`` why."""

    conversation: str
    epoch: int
    next_seq: int
    owner: str = ""
    events: tuple[str, ...] = ()


class Advanced(msgspec.Struct, frozen=True, tag="advanced"):
    """Conversations were written to."""

    to: tuple[Advance, ...]


class Purged(msgspec.Struct, frozen=True, tag="purged"):
    """A conversation is gone for good."""

    owner: str
    conversation: str


class FileChanged(msgspec.Struct, frozen=True, tag="file"):
    """A file was added, learnt about, or removed."""

    owner: str
    file: str


class ListUnsure(msgspec.Struct, frozen=True, tag="unsure"):
    """Something may have happened to a user's list, of which nobody knows."""

    owner: str


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """Sessions and keys that let nobody in any more."""

    credentials: tuple[str, ...]


class UserChanged(msgspec.Struct, frozen=True, tag="user"):
    """An account is to be read anew; with ``close``, its streams end."""

    user: str
    close: bool


class Asked(msgspec.Struct, frozen=True, tag="asked"):
    """A command was left for the owner of a conversation, or conversations were left to whoever is there."""


class Beat(msgspec.Struct, frozen=True, tag="beat"):
    """The node is there."""


Item: TypeAlias = Advanced | Purged | FileChanged | ListUnsure | Ended | UserChanged | Asked | Beat


class Message(msgspec.Struct, frozen=True):
    """What one node says, and its number."""

    node: str
    number: int
    item: Item


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Message).decode


class News:
    """What one node says and hears. ``told`` gets each item of another node, ``missed`` is called where some may be missing.

    Both are called in the loop, must be quick, and must not raise.
    """

    def __init__(
        self, node: str, ways: Sequence[Bus], told: Callable[[Item], None], missed: Callable[[], None]
    ) -> None:
        self._node = node
        self._ways = ways
        self._told = told
        self._missed = missed
        #: Whether anybody else is there to be told.
        self.heard_by_others: bool = True
        self._number = 0
        #: The last number heard of each node.
        self._numbers: dict[str, int] = {}
        self._waiting: dict[str, Advance] = {}
        self._wanted = trio.Event()
        self.said: int = 0
        self.heard: int = 0
        self.gaps: int = 0

    def __repr__(self) -> str:
        return f"<News said={self.said} heard={self.heard} gaps={self.gaps}>"

    # --- speaking ------------------------------------------------------------------------------------------------

    def advance(self, advance: Advance) -> None:
        """A conversation was written to. Said soon, with all others that were meanwhile."""
        if not self.heard_by_others:
            self._number += 1  # Whoever comes later finds out that something was not said to it.
            return
        before = self._waiting.get(advance.conversation)
        if before is not None and before.owner and not advance.owner:
            advance = msgspec.structs.replace(advance, owner=before.owner, events=before.events)
        elif before is not None and before.owner:
            events = tuple(dict.fromkeys((*before.events, *advance.events)))
            advance = msgspec.structs.replace(advance, events=events)
        if before is None and len(self._waiting) >= WAITING:
            # Too many at once to be told one by one: whoever listens notices that a number is missing, and looks.
            self._number += 1
            self._waiting.clear()
        self._waiting[advance.conversation] = advance
        self._wanted.set()

    def say(self, item: Item, *, everywhere: bool = False) -> None:
        """Tell all other nodes; ``everywhere``, by every way there is."""
        self._number += 1
        if not self.heard_by_others:
            return
        message = _encode(Message(self._node, self._number, item))
        ways = [way for way in self._ways if way.is_open]
        if len(message) > MOST:
            _log.warning(
                "%d bytes are too many for other nodes to be told of; they find out for themselves", len(message)
            )
            return
        for way in ways if everywhere else ways[:1]:
            way.say(message)
            self.said += 1

    async def speak(self, child: Child) -> None:
        """Say what waits, until cancelled."""
        child.started()
        while True:
            await self._wanted.wait()
            self._wanted = trio.Event()
            self._say_waiting()
            # What comes in the next moment goes together, so that a busy node says fifty things a second and not a thousand.
            await trio.sleep(WINDOW)

    def _say_waiting(self) -> None:
        waiting, self._waiting = list(self._waiting.values()), {}
        size, some = 0, list[Advance]()
        for advance in waiting:
            length = len(_encode(advance)) + 1
            if some and size + length > MOST - 200:
                self.say(Advanced(tuple(some)))
                size, some = 0, []
            some.append(advance)
            size += length
        if some:
            self.say(Advanced(tuple(some)))

    # --- hearing -------------------------------------------------------------------------------------------------

    async def listen(self, child: Child) -> None:
        """Hear what other nodes say, until cancelled."""
        async with trio.open_nursery() as nursery:
            for way in self._ways:
                nursery.start_soon(way.run)
                nursery.start_soon(self._listen_to, way)
            child.started()

    async def _listen_to(self, way: Bus) -> None:
        with way.listen() as ear:
            while True:
                message = await ear.hear()
                if message is None:
                    self.gaps += 1
                    self._missed()
                else:
                    self._take(message)

    def _take(self, data: bytes) -> None:
        try:
            message = _decode(data)
        except msgspec.DecodeError:  # Of a newer version, or not one of ours.
            _log.debug("a message of another node cannot be understood: %r", data[:200])
            return
        if message.node == self._node:
            return
        self.heard += 1
        last = self._numbers.get(message.node)
        self._numbers[message.node] = max(message.number, last or 0)
        self._told(message.item)
        if message.number > (last or 0) + 1:
            self.gaps += 1
            self._missed()

    def forget(self, nodes: Sequence[str]) -> None:
        """Keep the numbers of these nodes only."""
        self._numbers = {node: number for node, number in self._numbers.items() if node in nodes}
