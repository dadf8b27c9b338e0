"""Searches in PostgreSQL: windows, extensions that are there or not, and vectors that several servers keep."""

from __future__ import annotations

import base64
import struct
from collections.abc import AsyncGenerator, Iterator, Sequence

import msgspec
import psycopg
import pytest
import trio
from postgres_stores import open_dsn, open_schema, opening

from trialogue import (
    Circle,
    Embedded,
    FileText,
    HitPage,
    InvalidError,
    Location,
    Message,
    Passage,
    SearchQuery,
    Store,
    TextPart,
    Unembedded,
    new_id,
)
from trialogue.testing._kit_files import a_file, add
from trialogue.testing._kit_making import Talk, begin, minutes
from trialogue_postgres import _embedding, _windows
from trialogue_postgres._store import PostgresStore
from trialogue_postgres._url import parse_url
from trialogue_postgres._windows import Place, write_place

VECTOR = struct.pack("<16f", *range(16))


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    with open_dsn() as dsn:
        yield dsn


@pytest.fixture
def url(dsn: str) -> Iterator[str]:
    with open_schema(dsn) as url:
        yield url


@pytest.fixture
async def store(url: str) -> AsyncGenerator[PostgresStore]:
    async with opening(url) as store:
        assert isinstance(store, PostgresStore)
        yield store


def embedded(texts: Sequence[Unembedded]) -> list[Embedded]:
    """Each text as two passages."""
    passages = (Passage(0, 2, VECTOR), Passage(2, 4, VECTOR))
    return [Embedded(text.key, text.text, passages) for text in texts]


async def pages(store: Store, query: SearchQuery, limit: int) -> list[HitPage]:
    found: list[HitPage] = []
    cursor: str | None = None
    while not found or cursor is not None:
        found.append(await store.index.search("owner", query, limit, cursor))
        cursor = found[-1].cursor
        assert len(found) < 200
    return found


# --- words and places ------------------------------------------------------------------------------------------------


async def test_older_windows_follow_on_the_newest(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    talk, trashed = await begin(store, title="owl"), await begin(store)
    said = [(await talk.say("owl " * (count % 5 + 1))).id for count in range(60)]
    for _ in range(10):
        await trashed.say("owl")
    await trashed.change(deleted_at=minutes(1))
    monkeypatch.setattr(_windows, "WINDOW", 7)
    found = await pages(store, SearchQuery("owl", kinds=("message",)), 4)
    seen = [hit.id for page in found for hit in page.hits]
    assert sorted(seen) == sorted(said)
    assert all(page.ranked == "newest" for page in found)
    assert all(len(page.hits) == 4 for page in found[:-1])
    # The windows of the newest come first; seven and three of their rows are in the trash.
    assert set(seen[:4]) == set(said[-4:])
    assert set(seen[4:11]) == set(said[-11:-4])
    monkeypatch.setattr(_windows, "WINDOW", 100)
    assert (await store.index.search("owner", SearchQuery("owl"), 5)).ranked == "all"


async def test_much_in_the_trash_hides_nothing(store: PostgresStore) -> None:
    talk, trashed = await begin(store), await begin(store)
    said = await talk.say("owl")
    for _ in range(40):
        await trashed.say("owl owl")
    await trashed.change(deleted_at=minutes(1))
    for limit in (0, 1, 5):
        (page,) = await pages(store, SearchQuery("owl"), limit)
        assert [hit.id for hit in page.hits] == [said.id][:limit]


async def test_cursor_of_another_search_finds_nothing_strange(store: PostgresStore) -> None:
    await (await begin(store, title="owl")).say("owl", location=Location(1, 1))
    every = write_place(Place({"message": 2**62, "title": 2**62, "file": 2**62}, (9.0, 0, 1)))
    for query in (SearchQuery(), SearchQuery(near=Circle(1, 1, 9)), SearchQuery("owl", role="user"), SearchQuery("!")):
        page = await store.index.search("owner", query, 5, every)
        assert {hit.kind for hit in page.hits} <= {"message"}
    for uppers in ({"message": 2**63}, {"message": -1}, {"other": 1}):
        cursor = base64.urlsafe_b64encode(msgspec.json.encode([uppers])).decode()
        with pytest.raises(InvalidError):
            await store.index.search("owner", SearchQuery("owl"), 5, cursor)


# --- vectors ---------------------------------------------------------------------------------------------------------


async def counted(url: str) -> tuple[int, int]:
    """Passages that are kept, and texts that wait."""

    def count() -> tuple[int, int]:
        with psycopg.connect(parse_url(url).conninfo) as connection:
            row = connection.execute(
                "SELECT (SELECT count(*) FROM passage), (SELECT count(*) FROM unembedded)"
            ).fetchone()
        assert row is not None
        return row[0], row[1]

    return await trio.to_thread.run_sync(count)


async def test_vectors_go_with_what_they_are_of(store: PostgresStore, url: str) -> None:
    await store.index.use_embedder("one", 16)
    talk, other = await begin(store), await begin(store)
    said = [await talk.say(f"text {count}") for count in range(3)]
    await other.say("text")
    file = await add(store, a_file())
    await store.files.learn(msgspec.structs.replace(file, text=FileText("done", 4)), "text")
    await store.index.add_embedded("one", embedded(await store.index.unembedded(100)))
    assert await counted(url) == (10, 0)
    await revise(talk, said[0], "another")
    assert await counted(url) == (10, 1)
    await store.index.add_embedded("one", embedded(await store.index.unembedded(100)))
    assert await counted(url) == (10, 0)
    await revise(talk, said[0], "...")  # Which says nothing.
    assert await counted(url) == (8, 0)
    await talk.write("message.removed", removed=(said[2].id,))
    assert await counted(url) == (6, 0)
    await store.purge(talk.id)
    assert await counted(url) == (4, 0)
    await store.files.drop(file.id)
    assert await counted(url) == (2, 0)
    await store.index.use_embedder("two", 16)
    assert await counted(url) == (0, 1)


async def revise(talk: Talk, message: Message, text: str) -> None:
    await talk.write("message.revised", messages=(msgspec.structs.replace(message, parts=(TextPart(text),)),))


async def test_commits_of_vectors_are_short(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_embedding, "TOGETHER", 10)
    await store.index.use_embedder("one", 16)
    talk = await begin(store)
    for count in range(12):
        await talk.say(f"text {count}")
    waiting = await store.index.unembedded(100)
    before = store.database.jobs
    await store.index.add_embedded("one", embedded(waiting))
    assert store.database.jobs - before == 4
    assert list(await store.index.unembedded(100)) == []


async def test_vectors_that_do_not_fit_are_not_kept(store: PostgresStore) -> None:
    await store.index.use_embedder("one", 16)
    await (await begin(store)).say("text")
    (text,) = await store.index.unembedded(9)
    for vector in (VECTOR[:32], struct.pack("<16f", *[float("nan")] * 16)):
        await store.index.add_embedded("one", [Embedded(text.key, text.text, (Passage(0, 1, vector),))])
        assert list(await store.index.similar("owner", SearchQuery(), VECTOR, 5)) == []
    assert list(await store.index.similar("owner", SearchQuery(), VECTOR[:32], 5)) == []


async def test_several_servers_begin_with_an_embedder_at_once(
    store: PostgresStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_embedding, "STEP", 3)
    talk = await begin(store)
    for count in range(20):
        await talk.say(f"text {count}")
    async with opening(url) as other:
        for name in ("one", "two"):
            async with trio.open_nursery() as nursery:
                for one in (store, other, store, other):
                    nursery.start_soon(begin_and_embed, one, name)
            assert await counted(url) == (40, 0)


async def begin_and_embed(store: Store, name: str) -> None:
    await store.index.use_embedder(name, 16)
    while texts := await store.index.unembedded(7):
        await store.index.add_embedded(name, embedded(texts))


async def test_without_the_extension_there_are_words_and_no_vectors(dsn: str) -> None:
    """It stands in a schema that the store does not look into; once it does, what was said before is found too."""
    with open_schema(dsn) as url, psycopg.connect(dsn, autocommit=True) as connection:
        hidden = "hidden_" + new_id().replace("-", "")
        connection.execute(f"CREATE SCHEMA {hidden}".encode())
        connection.execute("DROP EXTENSION IF EXISTS vector CASCADE")
        connection.execute(f"CREATE EXTENSION vector SCHEMA {hidden}".encode())
        try:
            async with opening(url) as store:
                talk = await begin(store)
                message = await talk.say("owl")
                assert "pgvector" in (store.index.lacks or "")
                assert await store.index.pending("owner") == 0
                with pytest.raises(InvalidError, match="CREATE EXTENSION vector"):
                    await store.index.similar("owner", SearchQuery(), VECTOR, 5)
                assert len((await store.index.search("owner", SearchQuery("owl"), 5)).hits) == 1
            connection.execute(b"ALTER EXTENSION vector SET SCHEMA public")
            async with opening(url) as store:
                assert store.index.lacks is None
                await begin_and_embed(store, "one")
                (hit,) = await store.index.similar("owner", SearchQuery(), VECTOR, 5)
                assert hit.id == message.id
        finally:
            connection.execute(f"DROP SCHEMA {hidden} CASCADE".encode())
