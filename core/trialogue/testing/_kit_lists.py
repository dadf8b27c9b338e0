"""Store checks: lists, filters, cursors and search."""

from __future__ import annotations

import base64

from trialogue._facts.errors import InvalidError
from trialogue._search.search import SearchQuery
from trialogue._storage.store import Store
from trialogue.testing._kit_making import StoreCheck, begin, checks_in, minutes

LIST_CHECKS: list[StoreCheck] = []
check = checks_in(LIST_CHECKS)

#: Texts that are syntax to one query language or another, and nothing to us.
ODD_TEXTS = (
    "", " ", '"', '""', "'", "AND", "owl AND", "NOT", "OR OR", "NEAR(owl, 2)", "*", "owl*", "* owl", "(", "owl)", "text:owl",
    "-owl", "^owl", "{owl}", "%", "_", "\\", "owl\x00", "\x00", "🦉", "👩‍👩‍👧", "\ud800", "a" * 5_000, "owl " * 500,
    "--", ";", "é" * 100, "\x02\x03", "owl & | ! <-> :*", 'o"wl', 'say "owl', "o'wl",
)  # fmt: skip


@check
async def list_shows_the_newest_activity_first(store: Store) -> None:
    talks = [await begin(store, updated_at=minutes(count)) for count in (1, 3, 2)]
    await begin(store, owner="another")
    listed = await store.conversations("owner", limit=10)
    assert listed.conversations == (talks[1].header, talks[2].header, talks[0].header)
    assert listed.cursor is None
    await talks[0].change(updated_at=minutes(9))
    assert (await store.conversations("owner", limit=1)).conversations == (talks[0].header,)


@check
async def paging_shows_each_once_though_others_move(store: Store) -> None:
    talks = [await begin(store, updated_at=minutes(count // 3)) for count in range(20)]  # Several share a moment.
    seen: list[str] = []
    cursor: str | None = None
    for step in range(20):
        listed = await store.conversations("owner", limit=4, cursor=cursor)
        seen += [header.id for header in listed.conversations]
        cursor = listed.cursor
        if cursor is None:
            break
        shown = next(talk for talk in talks if talk.id == seen[-1])
        await shown.change(updated_at=minutes(100 + step))  # To the front, behind our back.
        await begin(store, updated_at=minutes(200 + step))
    assert sorted(seen) == sorted(talk.id for talk in talks)


@check
async def page_that_is_exactly_full_has_no_cursor(store: Store) -> None:
    for _ in range(4):
        await begin(store)
    assert (await store.conversations("owner", limit=4)).cursor is None
    assert (await store.conversations("nobody", limit=4)).conversations == ()


@check
async def foreign_cursor_is_invalid(store: Store) -> None:
    await begin(store)
    endless = base64.urlsafe_b64encode(b"9" * 30 + b" x").decode()  # A moment that no column can have.
    for cursor in ("", "x", "0001.0000000001.000000000001", "MTIz", "é", "=" * 50, "\ud800", endless):
        try:
            await store.conversations("owner", limit=4, cursor=cursor)
        except InvalidError:
            continue
        raise AssertionError(f"{cursor!r} was taken for a cursor")


@check
async def filters_select(store: Store) -> None:
    plain = await begin(store, updated_at=minutes(1))
    archived = await begin(store, updated_at=minutes(2), archived=True)
    pinned = await begin(store, updated_at=minutes(3), pinned=True, folder="work")
    await begin(store, updated_at=minutes(4), deleted_at=minutes(5))

    async def listed(**filters: str | bool | None) -> list[str]:
        found = await store.conversations("owner", limit=10, **filters)  # type: ignore[arg-type]  # each is one of them
        return [header.id for header in found.conversations]

    assert await listed() == [pinned.id, plain.id]
    assert await listed(archived=True) == [archived.id]
    assert await listed(archived=None) == [pinned.id, archived.id, plain.id]
    assert await listed(pinned=True) == [pinned.id]
    assert await listed(pinned=False) == [plain.id]
    assert await listed(folder="work") == [pinned.id]
    assert await listed(folder="play") == []
    await plain.change(folder="work", archived=True)
    assert await listed(folder="work", archived=None) == [pinned.id, plain.id]


@check
async def trash_is_hidden_and_not_lost(store: Store) -> None:
    talk = await begin(store)
    message = await talk.say("owl")
    await talk.change(deleted_at=minutes(1))
    assert (await store.conversations("owner", limit=10, archived=None)).conversations == ()
    assert (await store.index.search("owner", SearchQuery("owl"), 10)).hits == ()
    assert await store.header(talk.id) == talk.header
    await talk.change(deleted_at=None)
    assert (await store.conversations("owner", limit=10)).conversations == (talk.header,)
    assert [hit.id for hit in (await store.index.search("owner", SearchQuery("owl"), 10)).hits] == [message.id]


@check
async def text_filter_looks_in_titles_and_messages(store: Store) -> None:
    titled = await begin(store, title="Owls of the north", updated_at=minutes(1))
    spoken = await begin(store, updated_at=minutes(2))
    await spoken.say("in the north an owl")
    await begin(store, title="Nothing", updated_at=minutes(3))

    async def listed(text: str) -> list[str]:
        return [header.id for header in (await store.conversations("owner", limit=10, text=text)).conversations]

    assert await listed("north") == [spoken.id, titled.id]
    assert await listed("north ow") == [spoken.id, titled.id]
    assert await listed("owls") == [titled.id]
    first = await store.conversations("owner", limit=1, text="north")
    assert first.cursor is not None
    assert (await store.conversations("owner", limit=1, text="north", cursor=first.cursor)).conversations == (
        titled.header,
    )
    await titled.change(title="Geese")
    assert await listed("owls") == []
    assert await listed("geese") == [titled.id]


@check
async def odd_texts_are_no_error(store: Store) -> None:
    talk = await begin(store, title="An owl")
    for text in ODD_TEXTS:
        if text != "\ud800":  # No event can carry it.
            await talk.say(text)
    for text in ODD_TEXTS:
        await store.index.search("owner", SearchQuery(text), 3)
        await store.conversations("owner", limit=3, text=text)
    assert (await store.index.search("owner", SearchQuery('"*"'), 3)).hits == ()
    assert (await store.index.search("owner", SearchQuery('"owl"'), 3)).hits
