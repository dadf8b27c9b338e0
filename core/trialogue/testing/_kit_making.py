"""What the store checks are made of: how a check is registered, and a conversation as its owner writes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, TypeAlias

import msgspec

from trialogue._deciding.commands import Receipt
from trialogue._facts.events import Entry
from trialogue._facts.ids import new_id
from trialogue._facts.values import Conversation, Message, Role, TextPart
from trialogue._storage.store import Done, Flush, Store

#: Opens the store under test. Each call opens the same data again, which is empty the first time; one at a time.
OpenStore: TypeAlias = Callable[[], AbstractAsyncContextManager[Store]]
#: One check. Returns when the store behaves, raises ``AssertionError`` when it does not.
StoreCheck: TypeAlias = Callable[[OpenStore], Awaitable[None]]

#: When the conversations of the checks began.
BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
NODE = "node-a"


def checks_in(found: list[StoreCheck]) -> Callable[[Callable[[Store], Awaitable[None]]], StoreCheck]:
    """A decorator that turns a function of an open store into a check and adds it to ``found``."""

    def register(function: Callable[[Store], Awaitable[None]]) -> StoreCheck:
        @wraps(function)
        async def check(open_store: OpenStore) -> None:
            async with open_store() as store:
                await function(store)

        found.append(check)
        return check

    return register


def minutes(count: float) -> datetime:
    """A moment so many minutes after ``BEGAN``."""
    return BEGAN + timedelta(minutes=count)


class Talk:
    """A conversation and what its owner knows: the numbers of its next flush. Made by ``begin``."""

    def __init__(self, store: Store, header: Conversation, node: str) -> None:
        self.store = store
        self.header = header
        self.node = node
        self.epoch = 1
        self.next_seq = 1
        self.number = 1

    @property
    def id(self) -> str:
        return self.header.id

    def flush(self, *types: str, **rows: Any) -> Flush:  # Any: the fields of Flush, checked by it.
        """The next flush, with an entry of each type; asking does not advance."""
        entries = tuple(
            Entry(self.next_seq + place, self.epoch, kind, b'{"type":"%s"}' % kind.encode())
            for place, kind in enumerate(types)
        )
        return Flush(self.id, self.node, self.epoch, self.number, entries, **rows)

    async def write(self, *types: str, **rows: Any) -> Flush:  # Any: as in flush.
        """Commit the next flush."""
        flush = self.flush(*types, **rows)
        assert list(await self.store.append([flush])) == ["committed"]
        self.wrote(flush)
        return flush

    def wrote(self, flush: Flush) -> None:
        """Go on after ``flush``, which was committed."""
        self.number = flush.number + 1
        self.next_seq += len(flush.entries)
        self.header = flush.header or self.header

    async def change(self, **fields: Any) -> None:  # Any: the fields of Conversation.
        """Commit a change of the header."""
        header = msgspec.structs.replace(self.header, **fields)
        await self.write("conversation.updated", header=header)

    async def say(
        self,
        text: str,
        *,
        parent: str | None = "head",
        role: Role = "user",
        **fields: Any,  # Any: those of Message.
    ) -> Message:
        """Commit a message below the head (or ``parent``), and move the head to it."""
        parent = self.header.head if parent == "head" else parent
        message = Message(new_id(), self.id, role, (TextPart(text),), self.header.updated_at, parent)
        message = msgspec.structs.replace(message, **fields)
        header = msgspec.structs.replace(self.header, head=message.id)
        await self.write("message.added", header=header, messages=(message,))
        return message

    async def claim(self, node: str) -> None:
        """Become ``node``, and own the conversation as it."""
        claim = await self.store.claim(self.id, node)
        assert claim is not None
        assert claim.next_seq == self.next_seq
        self.node, self.epoch, self.number = node, claim.epoch, claim.flush + 1


async def begin(store: Store, *, owner: str = "owner", node: str = NODE, **fields: Any) -> Talk:  # Any: as in change.
    """A new conversation; ``fields`` are those of ``Conversation``."""
    values: dict[str, Any] = {"id": new_id(), "owner": owner, "created_at": BEGAN, "updated_at": BEGAN} | fields
    talk = Talk(store, Conversation(**values), node)
    assert await store.create(talk.header, node, FIRST, creation(talk.header)) == creation(talk.header)
    return talk


FIRST = Entry(0, 1, "conversation.created", b'{"type":"conversation.created"}')


def creation(header: Conversation) -> Done:
    """What creating it did."""
    return Done(header.id, b"digest of a creation", Receipt(0))


async def next_seq(talk: Talk) -> int:
    """The stored number of the next entry."""
    position = await talk.store.position(talk.id)
    assert position is not None
    return position[1]


async def numbers(talk: Talk) -> list[int]:
    """The numbers of all stored entries."""
    return [entry.seq for entry in await talk.store.events(talk.id, 0, 10_000)]
