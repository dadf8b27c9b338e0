"""Searches in SQLite: windows, filters that are words, circles as boxes, and lists that have a common word."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import AsyncGenerator
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import trialogue_sqlite
from trialogue import (
    Circle,
    Embedded,
    FileText,
    HitPage,
    Location,
    Passage,
    SearchQuery,
    Store,
    TextPart,
    box_of,
    distance,
    query_words,
    snippet_of,
)
from trialogue.testing._kit_files import a_file, add
from trialogue.testing._kit_making import BEGAN, begin, minutes
from trialogue_sqlite import _embedding, _facts, _finding, _mentioning
from trialogue_sqlite._driver import Connection
from trialogue_sqlite._store import SQLiteStore
from trialogue_sqlite._text import text_match


@pytest.fixture
async def store(tmp_path: Path) -> AsyncGenerator[Store]:
    opening = trialogue_sqlite.trialogue_store("sqlite:", tmp_path)
    assert opening is not None
    async with opening as store:
        yield store


async def pages(store: Store, query: SearchQuery, limit: int) -> list[HitPage]:
    found: list[HitPage] = []
    cursor: str | None = None
    while not found or cursor is not None:
        found.append(await store.index.search("owner", query, limit, cursor))
        cursor = found[-1].cursor
        assert len(found) < 200
    return found


async def test_older_windows_follow_on_the_newest(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    talk, trashed = await begin(store, title="owl"), await begin(store)
    said = [(await talk.say("owl " * (count % 5 + 1))).id for count in range(60)]
    for _ in range(10):
        await trashed.say("owl")
    await trashed.change(deleted_at=minutes(1))
    monkeypatch.setattr(_finding, "WINDOW", 7)
    found = await pages(store, SearchQuery("owl", kinds=("message",)), 4)
    seen = [hit.id for page in found for hit in page.hits]
    assert sorted(seen) == sorted(said)
    assert all(page.ranked == "newest" for page in found)
    assert all(len(page.hits) == 4 for page in found[:-1])
    # The windows of the newest come first; seven and three of their rows are in the trash.
    assert set(seen[:4]) == set(said[-4:])
    assert set(seen[4:11]) == set(said[-11:-4])
    monkeypatch.setattr(_finding, "WINDOW", 100)
    assert (await store.index.search("owner", SearchQuery("owl"), 5)).ranked == "all"


async def test_common_word_of_the_list_is_found_by_going_through_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose = random.Random(2)
    for count in range(40):
        talk = await begin(store, title="owl" if count % 7 == 0 else None, updated_at=minutes(count), folder="even")
        for _ in range(3):
            await talk.say(choose.choice(("owl", "goose", "duck", "an owl and a goose")))

    async def listed(text: str) -> list[list[str]]:
        found: list[list[str]] = []
        cursor: str | None = None
        while not found or cursor is not None:
            page = await store.conversations("owner", limit=3, text=text, cursor=cursor, folder="even")
            found.append([header.id for header in page.conversations])
            cursor = page.cursor
        return found

    texts = ("owl", "goo", "owl goose", "duck", "heron")
    looked_up = [await listed(text) for text in texts]
    monkeypatch.setattr(_mentioning, "MANY", 4)
    assert [await listed(text) for text in texts] == looked_up
    assert len(looked_up[0]) > 5
    assert looked_up[-1] == [[]]


# --- facts -----------------------------------------------------------------------------------------------------------

MOMENTS = st.integers(-10 * 365, 140 * 365).map(
    lambda days: datetime(1970, 1, 1, 12, tzinfo=UTC) + timedelta(days=days)
)


@given(MOMENTS, MOMENTS, MOMENTS)
def test_span_is_made_of_whole_years_months_and_days(since: datetime, until: datetime, at: datetime) -> None:
    words = _facts._span(since, until, date(2026, 1, 1))
    day = _facts._date(at)
    said = {_facts._year(day), _facts._month(day), _facts._day(day)}
    assert bool(said & {*words}) == (_facts._date(since) <= day <= _facts._date(until, before=True))
    assert len(words) <= 130 + 2 * (11 + 30)


def test_span_up_to_now_is_no_filter() -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert _facts._span(None, now, now.date()) == []
    assert _facts._span(None, now - timedelta(days=1), now.date()) != []
    assert _facts._span(now, None, now.date()) != []


# --- circles ---------------------------------------------------------------------------------------------------------

LATITUDES, LONGITUDES = st.floats(-90, 90), st.floats(-180, 180)


@given(LATITUDES, LONGITUDES, st.floats(0, 2.1e7), st.floats(0, 2 * math.pi), st.floats(0, 1))
def test_box_holds_the_circle(lat: float, lon: float, radius: float, bearing: float, share: float) -> None:
    """Any place within the circle, found by going from its middle in some direction for some of its radius."""
    circle = Circle(lat, lon, radius)
    angle, start = circle.angle * share, math.radians(lat)
    north = math.asin(
        max(-1, min(1, math.sin(start) * math.cos(angle) + math.cos(start) * math.sin(angle) * math.cos(bearing)))
    )
    east = math.atan2(
        math.sin(bearing) * math.sin(angle) * math.cos(start), math.cos(angle) - math.sin(start) * math.sin(north)
    )
    place = Location(math.degrees(north), (lon + math.degrees(east) + 540) % 360 - 180)
    if distance(place.lat, place.lon, circle) <= radius:
        box = box_of(circle)
        assert box["south"] <= place.lat <= box["north"]
        assert box["west"] <= place.lon <= box["east"] or box["west2"] <= place.lon <= box["east2"]


# --- texts -----------------------------------------------------------------------------------------------------------


def test_one_letter_is_no_beginning() -> None:
    assert text_match(query_words("owl n")) == 'text : ("owl" "n")'
    assert text_match(query_words("owl ni")) == 'text : ("owl" "ni" *)'
    assert query_words('" * ()') == []


@given(st.text(max_size=400), st.text(max_size=20))
def test_matches_are_places_in_the_snippet(text: str, query: str) -> None:
    snippet, matches = snippet_of(query_words(query), text)
    assert "\u200b" not in snippet
    ends = [0, *(place for match in matches for place in match)]
    assert ends == sorted(ends)
    assert all(start < stop <= len(snippet) for start, stop in matches)


async def test_deep_in_the_past_and_the_future(store: Store) -> None:
    talk = await begin(store)
    early = await talk.say("owl", created_at=datetime(1950, 1, 1, tzinfo=UTC))
    late = await talk.say("owl", created_at=datetime(2200, 1, 1, tzinfo=UTC))

    async def found(since: datetime | None, until: datetime | None) -> list[str]:
        hits = (await store.index.search("owner", SearchQuery("owl", since=since, until=until), 5)).hits
        return [hit.id for hit in hits]

    assert await found(None, BEGAN) == [early.id]
    ahead = timezone(timedelta(hours=14))
    assert await found(
        datetime.min.replace(tzinfo=ahead), datetime.max.replace(tzinfo=timezone(-timedelta(hours=9)))
    ) == [
        late.id,
        early.id,
    ]
    assert await found(None, datetime.min.replace(tzinfo=ahead)) == []
    assert await found(BEGAN, None) == [late.id]
    assert await found(datetime(1940, 1, 1, tzinfo=UTC), datetime(1960, 1, 1, tzinfo=UTC)) == [early.id]


# --- vectors ---------------------------------------------------------------------------------------------------------


async def test_vectors_go_with_what_they_are_of(store: Store) -> None:
    assert isinstance(store, SQLiteStore)
    await store.index.use_embedder("one", 16)
    talk, other = await begin(store), await begin(store)
    said = [await talk.say(f"text {count}") for count in range(3)]
    await other.say("text")
    file = await add(store, a_file())
    await store.files.learn(msgspec.structs.replace(file, text=FileText("done", 4)), "text")
    vector = struct.pack("<16f", *range(16))

    async def embed() -> None:
        waiting = await store.index.unembedded(100)
        passages = (Passage(0, 2, vector), Passage(2, 4, vector))
        await store.index.add_embedded("one", [Embedded(text.key, text.text, passages) for text in waiting])

    async def counted() -> tuple[int, int]:
        def count(connection: Connection) -> tuple[int, int]:
            kept = connection.execute("SELECT count(*) FROM passage").get
            return kept, connection.execute("SELECT count(*) FROM passage_sign").get

        return await store.writer.run(count)

    await embed()
    assert await counted() == (10, 10)
    await talk.write("message.revised", messages=(msgspec.structs.replace(said[0], parts=(TextPart("another"),)),))
    await embed()
    assert await counted() == (10, 10)
    await talk.write("message.removed", removed=(said[1].id,))
    assert await counted() == (6, 6)
    await store.purge(talk.id)
    assert await counted() == (4, 4)
    await store.files.drop(file.id)
    assert await counted() == (2, 2)
    await store.index.use_embedder("two", 16)
    assert await counted() == (0, 0)


async def test_commits_of_vectors_are_short(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(store, SQLiteStore)
    monkeypatch.setattr(_embedding, "TOGETHER", 10)
    await store.index.use_embedder("one", 16)
    talk = await begin(store)
    for count in range(12):
        await talk.say(f"text {count}")
    vector = struct.pack("<16f", *range(16))
    waiting = await store.index.unembedded(100)
    before = store.writer.jobs
    passages = tuple(Passage(place, place + 1, vector) for place in range(4))
    await store.index.add_embedded("one", [Embedded(text.key, text.text, passages) for text in waiting])
    assert store.writer.jobs - before == 6
    assert list(await store.index.unembedded(100)) == []
