"""What was said last in one conversation, kept while its actor is awake: what a model is shown is mostly this.

A copy of rows that the store has too or is about to get, bounded by their size; what is not here is read. A few turns fit
into it, so that a turn in a conversation that goes on costs no read.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from trialogue._facts.values import Message

#: Bytes kept of one conversation, as JSON. A thousand of them awake come to some tens of megabytes.
LIMIT = 32_768

_encode = msgspec.json.Encoder().encode


class Recent:
    """Messages by id, as they are now. Those put in first go first."""

    __slots__ = ("_limit", "_messages", "_size")

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._messages: dict[str, tuple[Message, int]] = {}
        self._size = 0

    def __repr__(self) -> str:
        return f"<Recent messages={len(self._messages)} size={self._size}>"

    def get(self, message: str) -> Message | None:
        """The message, if it is here."""
        found = self._messages.get(message)
        return None if found is None else found[0]

    def put(self, message: Message) -> None:
        """Keep the message as it is now."""
        self.drop(message.id)
        size = len(_encode(message))
        self._messages[message.id] = message, size
        self._size += size
        while self._size > self._limit:
            self.drop(next(iter(self._messages)))

    def learn(self, messages: Iterable[Message]) -> None:
        """Keep what was read, the newest first, as far as there is room; it goes before what is here."""
        more: dict[str, tuple[Message, int]] = {}
        for message in messages:
            size = len(_encode(message))
            if self._size + size > self._limit:
                break
            if message.id not in self._messages:
                more[message.id] = message, size
                self._size += size
        if more:
            self._messages = dict(reversed(more.items())) | self._messages

    def clear(self) -> None:
        """Forget all. Something was removed, and what hung below it is not known here."""
        self._messages.clear()
        self._size = 0

    def drop(self, message: str) -> None:
        """Forget the message, if it is here."""
        _, size = self._messages.pop(message, (None, 0))
        self._size -= size
