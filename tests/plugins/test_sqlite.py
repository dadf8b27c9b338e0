"""The SQLite store conforms, as every store must."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

import trialogue_sqlite
from trialogue import Entry, Flush, SearchQuery, Store
from trialogue.testing import STORE_CHECKS, StoreCheck, check_name
from trialogue.testing._kit_making import begin


@pytest.mark.parametrize("check", STORE_CHECKS, ids=check_name)
async def test_conforms(check: StoreCheck, tmp_path: Path) -> None:
    def open_store() -> AbstractAsyncContextManager[Store]:
        store = trialogue_sqlite.trialogue_store("sqlite:", tmp_path / "data")
        assert store is not None
        return store

    await check(open_store)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opening = trialogue_sqlite.trialogue_store("sqlite:", tmp_path)
    assert opening is not None
    async with opening as store:
        yield store


async def test_search_finds_words_that_no_space_parts(store: Store) -> None:
    message = await (await begin(store)).say("夜になると梟が森で狩りをする")
    for text in ("森で", "梟", "夜 狩り"):
        assert [hit.id for hit in (await store.index.search("owner", SearchQuery(text), 5)).hits] == [message.id], text
    (hit,) = (await store.index.search("owner", SearchQuery("狩り"), 5)).hits
    assert hit.snippet == "夜になると梟が森で狩りをする"
    assert [hit.snippet[start:stop] for start, stop in hit.matches] == ["狩り"]
    assert (await store.index.search("owner", SearchQuery("鷲"), 5)).hits == ()


async def test_entries_that_are_no_text_are_kept_as_they_are(store: Store) -> None:
    talk = await begin(store)
    odd = Flush(talk.id, talk.node, 1, 1, (Entry(1, 1, "part.delta", b"\xff\x00\xfe"),))
    even = (await begin(store)).flush("usage")
    assert list(await store.append([odd, even])) == ["committed", "committed"]
    assert (await store.events(talk.id, 1, 1))[0].data == b"\xff\x00\xfe"
