"""A conversation that was taken in before, and has grown at its source since: what is new there is added here.

Nothing that is here is changed, and nothing that was removed comes back: the log tells what was ever in it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime

from trialogue import AddMessages, Beginning, Conversation, Engine, Message, MessageAdded, Store, decode_event, new_id

#: Entries, and messages, read at a time.
PAGE = 500
#: Messages added in one transaction.
AT_ONCE = 100


async def grow(engine: Engine, header: Conversation, beginning: Beginning) -> int:
    """Add to the conversation of ``header`` what ``beginning`` has and it never had; returns how many messages."""
    if header.deleted_at is not None:
        return 0  # It was thrown away: it stays there as it is.
    new = await _new(engine.store, header.id, beginning.messages)
    revised = {revision.message.id: revision.message for revision in beginning.revisions}
    for start in range(0, len(new), AT_ONCE):
        some = tuple(revised.get(message.id, message) for message in new[start : start + AT_ONCE])
        last = start + AT_ONCE >= len(new)
        # Whoever went on here stays where they are; otherwise the source's newest branch is shown.
        head = beginning.header.head if last and header.head in _ids(beginning.messages) else None
        await engine.submit(header.id, AddMessages(new_id(), datetime.now(UTC), some, head, header.head))
    return len(new)


async def _new(store: Store, conversation: str, messages: Sequence[Message]) -> list[Message]:
    ever: set[str] = set()
    async with aclosing(_added(store, conversation)) as log:
        async for name in log:
            ever.add(name)
    wanted = [message for message in messages if message.id not in ever]
    if not wanted:
        return []
    present = await _present(store, conversation)
    new: list[Message] = []
    for message in wanted:
        if message.parent is None or message.parent in present:
            new.append(message)
            present.add(message.id)
    return new


async def _added(store: Store, conversation: str) -> AsyncGenerator[str]:
    seq = 0
    while entries := await store.events(conversation, seq, PAGE):
        for entry in entries:
            if entry.type == "message.added" and isinstance(event := decode_event(entry.data), MessageAdded):
                yield event.message.id
        seq = entries[-1].seq + 1


async def _present(store: Store, conversation: str) -> set[str]:
    present: set[str] = set()
    cursor: str | None = None
    while (page := await store.tree(conversation, PAGE, cursor)) is not None:
        present |= _ids(page.messages)
        cursor = page.cursor
        if cursor is None:
            break
    return present


def _ids(messages: Sequence[Message]) -> set[str]:
    return {message.id for message in messages}
