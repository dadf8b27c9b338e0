"""What corrected messages said before, as far as the log still tells: the first wording of an answer stands in its single
tokens, which are not kept for ever.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime

from trialogue import Answer, Event, Message, MessageAdded, MessageRevised, Store, decode_event
from trialogue_server._exchange._document import Wording

#: Entries read at a time.
PAGE = 500


async def wordings_of(store: Store, conversation: str) -> dict[str, tuple[Wording, ...]]:
    """The wordings of each message that was corrected, oldest first, by its id. Reads the log twice; keeps only these."""
    corrected: set[str] = set()
    async with aclosing(_events(store, conversation)) as log:
        async for _, event in log:
            if isinstance(event, MessageRevised):
                corrected.add(event.message.id)
    position = await store.position(conversation)
    telling = _Telling(corrected, position[0] if position else 0)
    async with aclosing(_events(store, conversation)) as log:
        async for seq, event in log:
            telling.hear(seq, event)
    return {name: tuple(found) for name, found in telling.wordings.items()}


async def _events(store: Store, conversation: str) -> AsyncGenerator[tuple[int, Event]]:
    seq = 0
    while entries := await store.events(conversation, seq, PAGE):
        for entry in entries:
            yield entry.seq, decode_event(entry.data)
        seq = entries[-1].seq + 1


class _Telling:
    """Follows some messages through the log. Below ``floor`` there may be tokens missing."""

    def __init__(self, corrected: set[str], floor: int) -> None:
        self.wordings: dict[str, list[Wording]] = {name: [] for name in corrected}
        self._floor = floor
        # What is written of each, until its first correction; None when that is not known.
        self._first: dict[str, Answer | None] = {}

    def hear(self, seq: int, event: Event) -> None:
        match event:
            case MessageAdded(message):
                if message.id in self.wordings:
                    known = message.status != "in_progress" or seq >= self._floor
                    self._first[message.id] = Answer(message) if known else None
            case MessageRevised(message):
                if (first := self._first.pop(message.id, None)) is not None:
                    self._told(first.message(), first.message().created_at)
                self._told(message, event.at)
            case _:
                answer = self._first.get(getattr(event, "message", ""))
                if answer is not None:
                    answer.apply(event)

    def _told(self, message: Message, at: datetime) -> None:
        self.wordings[message.id].append(Wording(message.revision, at, message.parts))
