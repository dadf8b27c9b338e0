"""Searching by words and meaning together, and the service that makes vectors: in its own time, and whatever fails."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from trialogue import EmbedderError, Hit, InvalidError, SearchQuery, open_searcher
from trialogue._search.passages import passages_of
from trialogue._search.searcher import fuse
from trialogue.testing import Fault, MemoryStore, ScriptedEmbedder
from trialogue.testing._kit_making import BEGAN, begin

MEANINGS = {"owl": 0, "bird": 0, "car": 1}


@asynccontextmanager
async def searching(store: MemoryStore, embedder: ScriptedEmbedder) -> AsyncGenerator[None]:
    async with open_searcher(store.index, embedder):
        yield


async def test_what_is_said_gets_its_vectors(autojump_clock: MockClock) -> None:
    store, embedder = MemoryStore(), ScriptedEmbedder(MEANINGS)
    talk = await begin(store)
    await talk.say("owl")
    async with open_searcher(store.index, embedder) as searcher:
        await trio.sleep(1)
        await talk.say("car " * 1_000)
        assert (await searcher.search("owner", SearchQuery("bird"), 5)).pending == 1
        await trio.sleep(3)
        found = await searcher.search("owner", SearchQuery("bird"), 5, mode="semantic")
        assert ([hit.score > 0.9 for hit in found.hits], found.pending) == ([True, False], 0)
    assert embedder.closed
    assert all(len(text) <= embedder.passage for texts in embedder.asked for text in texts)


async def test_restart_goes_on_and_does_nothing_twice(autojump_clock: MockClock) -> None:
    store, embedder = MemoryStore(), ScriptedEmbedder(MEANINGS)
    talk = await begin(store)
    for count in range(40):
        await talk.say(f"owl {count}")
    embedder.failure = EmbedderError("it is away")
    async with searching(store, embedder):
        await trio.sleep(20)
    embedder.failure = None
    for _ in range(2):
        embedder.asked.clear()
        async with searching(store, embedder):
            await trio.sleep(20)
        assert await store.index.pending("owner") == 0
    assert embedder.asked == []
    async with searching(store, ScriptedEmbedder(MEANINGS, name="another")):
        assert await store.index.pending("owner") == 40
        await trio.sleep(20)
        assert await store.index.pending("owner") == 0


async def test_text_that_kills_the_embedder_is_left_out(autojump_clock: MockClock) -> None:
    store, embedder = MemoryStore(), ScriptedEmbedder(MEANINGS)
    talk = await begin(store)
    for text in ("owl", "poison", "car"):
        await talk.say(text)
    embedder.deadly = frozenset({"poison"})
    async with searching(store, embedder):
        await trio.sleep(120)
        assert await store.index.pending("owner") == 0
    assert ("car",) in embedder.asked


async def test_store_in_trouble_is_asked_again(autojump_clock: MockClock) -> None:
    store, embedder = MemoryStore(), ScriptedEmbedder(MEANINGS)
    await (await begin(store)).say("owl")
    for call in ("use_embedder", "unembedded", "add_embedded"):
        store.faults.next(call, Fault("before"))
    async with searching(store, embedder):
        await trio.sleep(30)
        assert await store.index.pending("owner") == 0


async def test_store_without_vectors_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    store, embedder = MemoryStore(), ScriptedEmbedder(MEANINGS)
    monkeypatch.setattr(type(store.index), "lacks", "it keeps no vectors")
    async with open_searcher(store.index, embedder) as searcher:
        assert embedder.closed
        with pytest.raises(InvalidError):
            await searcher.search("owner", SearchQuery("owl"), 3, mode="semantic")
        assert (await searcher.search("owner", SearchQuery("owl"), 3)).mode == "text"


def test_what_stands_in_two_orders_stands_higher() -> None:
    a, b, c, d = (Hit("message", name, BEGAN, name) for name in "abcd")
    fused = fuse((a, b, c), (d, c))
    assert [hit.id for hit in fused] == ["c", "a", "d", "b"]
    assert fuse((), ()) == []


@given(st.text(alphabet="ab .\n!?é🦉", max_size=300), st.integers(1, 40), st.integers(1, 50))
def test_passages_hold_all_that_is_said(text: str, length: int, most: int) -> None:
    passages = passages_of(text, length, most)
    assert len(passages) <= most
    assert all(0 < stop - start <= length for start, stop in passages)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(passages))
    if len(passages) < most:
        said = "".join(text[start:stop] for start, stop in passages)
        assert "".join(said.split()) == "".join(text.split())
