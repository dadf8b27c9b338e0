"""Store checks: pages that are bounded in bytes, of whatever is read in pages, and what is listed beside a message."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import msgspec

from trialogue._facts.events import Entry
from trialogue._facts.values import Message, TextPart
from trialogue._storage.store import PAGE_BYTES, SIBLINGS, Store
from trialogue.testing._kit_making import StoreCheck, Talk, begin, checks_in, minutes

PAGE_CHECKS: list[StoreCheck] = []
check = checks_in(PAGE_CHECKS)

T = TypeVar("T")

#: What is long, and a page that has room for two of it and a little.
LONG = 40_000
ROOM = 100_000


async def _said(talk: Talk, count: int = 5) -> list[Message]:
    """Messages below one another, all of them long."""
    said = [await talk.say("x" * LONG) for _ in range(count)]
    talk.store.page_bytes = ROOM
    return said


async def _shown(page: Callable[[T | None], Awaitable[tuple[Sequence[Any], T | None]]]) -> list[list[Any]]:
    """Pages to the end, each asked for with what the one before gave."""
    pages: list[list[Any]] = []
    after: T | None = None
    while True:
        found, after = await page(after)
        pages.append(list(found))
        if after is None:
            return pages


@check
async def store_gives_pages_of_a_megabyte_unless_told_otherwise(store: Store) -> None:
    assert store.page_bytes == PAGE_BYTES


@check
async def branch_is_read_upwards_by_bytes(store: Store) -> None:
    talk = await begin(store)
    said = await _said(talk)

    async def page(leaf: str | None) -> tuple[Sequence[Message], str | None]:
        found = await store.path(talk.id, leaf or said[-1].id, 10)
        return found, found[0].parent

    assert await _shown(page) == [said[3:], said[1:3], said[:1]]
    assert list(await store.path(talk.id, said[-1].id, 1)) == said[4:]


@check
async def branch_is_read_downwards_by_bytes(store: Store) -> None:
    talk = await begin(store)
    said = await _said(talk)

    async def page(after: str | None) -> tuple[Sequence[Message], str | None]:
        found = await store.onward(talk.id, said[-1].id, after, 10)
        return found, None if found[-1] == said[-1] else found[-1].id

    assert await _shown(page) == [said[:2], said[2:4], said[4:]]
    assert list(await store.onward(talk.id, said[-1].id, said[-1].id, 10)) == []
    assert list(await store.onward(talk.id, said[-1].id, said[1].id, 1)) == said[2:3]


@check
async def view_is_bounded_in_bytes(store: Store) -> None:
    talk = await begin(store)
    said = await _said(talk)
    view = await store.view(talk.id, 10)
    assert view is not None
    assert (view.messages, view.has_more) == (tuple(said[3:]), True)
    assert view.siblings == {message.id: (message.id,) for message in said[3:]}
    store.page_bytes = 10 * LONG
    whole = await store.view(talk.id, 10)
    assert whole is not None
    assert (whole.messages, whole.has_more) == (tuple(said), False)


@check
async def view_of_no_messages_knows_whether_there_are_any(store: Store) -> None:
    talk = await begin(store)
    assert (view := await store.view(talk.id, 0)) is not None
    assert (view.messages, view.has_more) == ((), False)
    await talk.say("one")
    assert (view := await store.view(talk.id, 0)) is not None
    assert (view.messages, view.has_more) == ((), True)


@check
async def tree_is_read_by_bytes(store: Store) -> None:
    talk = await begin(store)
    said = await _said(talk)

    async def page(cursor: str | None) -> tuple[Sequence[Message], str | None]:
        found = await store.tree(talk.id, 10, cursor)
        assert found is not None
        assert found.siblings == {message.id: (message.id,) for message in found.messages}
        return found.messages, found.cursor

    assert await _shown(page) == [said[:2], said[2:4], said[4:]]


@check
async def log_is_read_by_bytes(store: Store) -> None:
    talk = await begin(store)
    entries = tuple(Entry(1 + place, 1, "part.delta", b'{"x":"%b"}' % (b"y" * LONG)) for place in range(5))
    flush = msgspec.structs.replace(talk.flush(), entries=entries)
    assert list(await store.append([flush])) == ["committed"]
    store.page_bytes = ROOM

    async def page(start: int | None) -> tuple[Sequence[Entry], int | None]:
        found = await store.events(talk.id, start or 1, 10)
        return found, found[-1].seq + 1 if found[-1] != entries[-1] else None

    assert await _shown(page) == [list(entries[:2]), list(entries[2:4]), list(entries[4:])]
    assert list(await store.events(talk.id, 6, 10)) == []


@check
async def list_is_read_by_bytes(store: Store) -> None:
    talks = [await begin(store, updated_at=minutes(-count), metadata={"x": "y" * LONG}) for count in range(5)]
    store.page_bytes = ROOM
    for filters in ({}, {"archived": None}, {"folder": None, "pinned": False}):

        async def page(cursor: str | None, filters: dict[str, Any] = filters) -> tuple[Sequence[str], str | None]:
            found = await store.conversations("owner", limit=10, cursor=cursor, **filters)
            return [header.id for header in found.conversations], found.cursor

        names = [talk.id for talk in talks]
        assert await _shown(page) == [names[:2], names[2:4], names[4:]]


@check
async def states_of_what_is_unfinished_are_bounded_in_bytes(store: Store) -> None:
    for _ in range(5):
        talk = await begin(store)
        await talk.write("run.started", snapshot=b"s" * LONG, unfinished=True)
    store.page_bytes = ROOM
    assert len(await store.unfinished_of("owner", 10)) == 2
    assert len(await store.unfinished_of("owner", 1)) == 1


@check
async def one_row_is_given_whatever_its_size(store: Store) -> None:
    talk = await begin(store, metadata={"x": "y" * LONG})
    said = await _said(talk)
    await talk.write("run.started", snapshot=b"s" * LONG, unfinished=True)
    store.page_bytes = 1
    assert list(await store.path(talk.id, said[-1].id, 10)) == said[4:]
    assert list(await store.onward(talk.id, said[-1].id, None, 10)) == said[:1]
    assert list(await store.onward(talk.id, said[-1].id, said[0].id, 10)) == said[1:2]
    assert (view := await store.view(talk.id, 10)) is not None
    assert view.messages == tuple(said[4:])
    assert (tree := await store.tree(talk.id, 10)) is not None
    assert tree.messages == tuple(said[:1])
    assert len(await store.events(talk.id, 0, 10)) == 1
    assert len((await store.conversations("owner", limit=10)).conversations) == 1
    assert len(await store.unfinished_of("owner", 10)) == 1


@check
async def bytes_are_counted_and_not_characters(store: Store) -> None:
    talk = await begin(store)
    said = [await talk.say("ü" * LONG) for _ in range(3)]
    store.page_bytes = ROOM
    assert list(await store.path(talk.id, said[-1].id, 10)) == said[2:]
    assert list(await store.onward(talk.id, said[-1].id, None, 10)) == said[:1]


@check
async def nearest_siblings_are_listed_of_many(store: Store) -> None:
    talk = await begin(store)
    root = await talk.say("root")
    count = 2 * SIBLINGS + 20
    answers = [_answer(talk, root, number) for number in range(count)]
    await talk.write("message.added", messages=tuple(answers))
    names = [answer.id for answer in answers]
    asked = {place: names[place] for place in (0, SIBLINGS, SIBLINGS + 5, count - 1)}
    found = await store.siblings(talk.id, list(asked.values()))
    for place, name in asked.items():
        assert list(found[name]) == names[max(place - SIBLINGS, 0) : place + SIBLINGS + 1]
    await talk.change(head=names[-1])
    assert (view := await store.view(talk.id, 1)) is not None
    assert view.siblings == {names[-1]: found[names[-1]]}
    assert (tree := await store.tree(talk.id, 2)) is not None
    assert tree.siblings == {root.id: (root.id,), names[0]: found[names[0]]}


def _answer(talk: Talk, parent: Message, number: int) -> Message:
    name = f"{parent.id[:-4]}{number:04x}"
    return Message(name, talk.id, "assistant", (TextPart(str(number)),), talk.header.updated_at, parent.id)
