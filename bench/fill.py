"""Filling a data folder through the product's own store and engine, while no server has it open."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import trio

from trialogue import (
    Beginning,
    Conversation,
    ConversationCreated,
    CreateConversation,
    Done,
    Entry,
    PostMessage,
    Receipt,
    Store,
    TextPart,
    encode_event,
    load_plugins,
    new_id,
    open_engine,
)

#: Creations under way at once: the store commits them in groups.
TOGETHER = 500


def conversations(data_dir: Path, owner: str, count: int) -> list[str]:
    """So many conversations that are known, and empty."""
    return trio.run(_conversations, data_dir, owner, count)


def messages(data_dir: Path, owner: str, counts: Sequence[int], text: str) -> list[str]:
    """A conversation for each count, with so many messages of the user's, all saying ``text``."""
    return trio.run(_messages, data_dir, owner, counts, text)


def histories(data_dir: Path, beginnings: Iterable[Beginning]) -> list[str]:
    """Conversations that begin with what was said in them."""
    return trio.run(_histories, data_dir, beginnings)


async def _conversations(data_dir: Path, owner: str, count: int) -> list[str]:
    ids = [new_id() for _ in range(count)]
    async with load_plugins().open_store("sqlite:", data_dir) as store:
        for start in range(0, count, TOGETHER):
            async with trio.open_nursery() as nursery:
                for one in ids[start : start + TOGETHER]:
                    nursery.start_soon(_create, store, one, owner)
    return ids


async def _create(store: Store, conversation: str, owner: str) -> None:
    now = datetime.now(UTC)
    header = Conversation(conversation, owner, now, now, title=f"Conversation {conversation}")
    entry = Entry(0, 1, "conversation.created", encode_event(ConversationCreated(header)))
    await store.create(header, "bench", entry, Done(conversation, b"", Receipt(0)))


async def _histories(data_dir: Path, beginnings: Iterable[Beginning]) -> list[str]:
    ids: list[str] = []
    waiting = iter(beginnings)
    async with load_plugins().open_store("sqlite:", data_dir) as store, open_engine(store, []) as engine:
        while some := list(itertools.islice(waiting, TOGETHER)):
            ids += [one.header.id for one in some]
            async with trio.open_nursery() as nursery:
                for one in some:
                    nursery.start_soon(engine.begin, one, one.header.id)
    return ids


async def _messages(data_dir: Path, owner: str, counts: Sequence[int], text: str) -> list[str]:
    ids = [new_id() for _ in counts]
    async with load_plugins().open_store("sqlite:", data_dir) as store, open_engine(store, []) as engine:
        for conversation, count in zip(ids, counts, strict=True):
            await engine.create(CreateConversation(conversation, owner, datetime.now(UTC)))
            for _ in range(count):
                await engine.submit(conversation, _post(text))
    return ids


def _post(text: str) -> PostMessage:
    return PostMessage(
        id=new_id(),
        at=datetime.now(UTC),
        message=new_id(),
        run=new_id(),
        answer=new_id(),
        parts=(TextPart(text),),
        model="echo:echo",
        respond=False,
    )
