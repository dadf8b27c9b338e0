"""What corrected messages said before, as far as the log still tells: the first wording of an answer stands in its single
tokens, which are not kept for ever.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime

from trialogue import Answer, Event, MessageAdded, MessageRevised, Store, decode_event
from trialogue_server._exchange.document import Wording

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
    for name in corrected:
        telling.tell(name)
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
        # What each says now, and since when; nothing where its beginning is not known.
        self._now: dict[str, tuple[Answer, datetime]] = {}

    def hear(self, seq: int, event: Event) -> None:
        match event:
            case MessageAdded(message):
                if message.id in self.wordings and (message.status != "in_progress" or seq >= self._floor):
                    self._now[message.id] = (Answer(message), message.created_at)
            case MessageRevised(message):
                self.tell(message.id)
                self._now[message.id] = (Answer(message), event.at)
            case _:
                # An answer that was corrected may have been gone on with.
                now = self._now.get(getattr(event, "message", ""))
                if now is not None:
                    now[0].apply(event)

    def tell(self, name: str) -> None:
        """What it says now is to be another wording."""
        now = self._now.pop(name, None)
        if now is None:
            return
        message, told = now[0].message(), self.wordings[name]
        if told and told[-1].revision == message.revision:
            # It was taken in without what came before: the time of the correction stands in its own event.
            told.pop()
        told.append(Wording(message.revision, now[1], message.parts))
