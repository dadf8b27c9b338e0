"""Store checks: searches by words and by places. Those by meaning stand in ``_kit_vectors``."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import msgspec
import trio

from trialogue._facts.errors import InvalidError
from trialogue._facts.ids import new_id
from trialogue._facts.values import Location, ReasoningPart, TextPart
from trialogue._files.files import FileText
from trialogue._search.search import Circle, Hit, SearchQuery, distance
from trialogue._storage.store import Store
from trialogue.testing._kit_files import a_file, add
from trialogue.testing._kit_making import StoreCheck, begin, checks_in, minutes

SEARCH_CHECKS: list[StoreCheck] = []
check = checks_in(SEARCH_CHECKS)


async def found(store: Store, text: str, limit: int = 10, *, owner: str = "owner", **filters: Any) -> Sequence[Hit]:
    """What a search finds; ``filters`` are fields of ``SearchQuery``, of which each is of its own type."""
    return (await store.index.search(owner, SearchQuery(text, **filters), limit)).hits


async def ids(store: Store, text: str, limit: int = 10, **filters: Any) -> list[str]:
    """The ids of what is found."""
    return [hit.id for hit in await found(store, text, limit, **filters)]


# --- words -----------------------------------------------------------------------------------------------------------


@check
async def search_finds_what_was_acknowledged_at_once(store: Store) -> None:
    talk = await begin(store)
    for count in range(20):
        message = await talk.say(f"the word is needle{count}")
        assert await ids(store, f"needle{count}") == [message.id]


@check
async def search_wants_all_words_and_the_last_may_be_begun(store: Store) -> None:
    talk = await begin(store)
    both = await talk.say("A barn owl hunts at night")
    await talk.say("An owl sleeps")
    await talk.say("A barn burns")
    assert await ids(store, "owl barn") == [both.id]
    assert await ids(store, "OWL nig") == [both.id]
    assert await ids(store, "nig owl") == []
    assert await ids(store, "owl parrot") == []
    assert await ids(store, "") == []


@check
async def search_ignores_case_and_accents(store: Store) -> None:
    message = await (await begin(store)).say("Über die Ägäis nach Łódź, señor")
    for text in ("uber", "ÄGÄIS", "agais", "senor"):
        assert await ids(store, text) == [message.id], text


@check
async def word_said_ten_thousand_times_is_found_at_once(store: Store) -> None:
    talk = await begin(store)
    await talk.say("owl " * 10_000)
    with trio.fail_after(2):
        assert len(await found(store, "owl owl ow")) == 1


@check
async def search_keeps_to_the_owner_and_the_limit(store: Store) -> None:
    talk = await begin(store)
    for _ in range(4):
        await talk.say("owl")
    await (await begin(store, owner="another")).say("owl")
    assert len(await found(store, "owl")) == 4
    assert len(await found(store, "owl", 3)) == 3
    assert await found(store, "owl", owner="nobody") == ()


@check
async def search_looks_at_what_people_read(store: Store) -> None:
    """Text parts of users' and assistants' messages, and nothing else."""
    talk = await begin(store)
    said = await talk.say("owl", role="assistant")
    await talk.say("owl", role="system")
    await talk.say("owl", role="tool")
    thought = await talk.say("done", role="assistant")
    parts = (ReasoningPart("an owl, perhaps"), TextPart("done"))
    await talk.write("message.revised", messages=(msgspec.structs.replace(thought, parts=parts),))
    assert await ids(store, "owl") == [said.id]


@check
async def search_puts_the_best_first(store: Store) -> None:
    talk = await begin(store)
    await talk.say("Among many other things that were said at length on that day there was an owl, once")
    best = await talk.say("owl, owl and owl")
    await talk.say("Something about another subject that mentions the owl in passing and then goes on and on")
    assert (await found(store, "owl"))[0].id == best.id


@check
async def search_finds_titles_and_files_too(store: Store) -> None:
    talk = await begin(store, title="Owls of the north")
    message = await talk.say("An owl")
    file = await add(store, a_file(name="Birds.txt"))
    learnt = msgspec.structs.replace(file, text=FileText("done", 20))
    assert await store.files.learn(learnt, "Of the owl and others")
    hits = await found(store, "owl")
    assert {(hit.kind, hit.id) for hit in hits} == {("title", talk.id), ("message", message.id), ("file", file.id)}
    named = {hit.kind: (hit.title, hit.conversation) for hit in hits}
    assert named == {
        "title": ("Owls of the north", talk.id),
        "message": ("Owls of the north", talk.id),
        "file": ("Birds.txt", None),
    }
    for kind in ("title", "message", "file"):
        assert [hit.kind for hit in await found(store, "owl", kinds=(kind,))] == [kind]
    assert await found(store, "owl", kinds=()) == ()
    await store.files.drop(file.id)
    assert await ids(store, "owl", kinds=("file",)) == []


@check
async def snippet_shows_the_match(store: Store) -> None:
    talk = await begin(store)
    await talk.say("word " * 200 + "the <b>barn</b> 🦉 owl " + "tail " * 200)
    (hit,) = await found(store, "owl")
    assert (hit.kind, hit.conversation, hit.role) == ("message", talk.id, "user")
    assert [hit.snippet[start:stop] for start, stop in hit.matches] == ["owl"]
    assert len(hit.snippet) < 600


@check
async def removed_and_trashed_are_not_found(store: Store) -> None:
    talk = await begin(store)
    message = await talk.say("owl")
    other = await begin(store, title="Owl")
    assert set(await ids(store, "owl")) == {message.id, other.id}
    await talk.write("message.removed", removed=(message.id,))
    await other.change(deleted_at=minutes(1))
    assert await ids(store, "owl") == []
    await store.purge(other.id)
    assert await ids(store, "owl") == []


# --- filters ---------------------------------------------------------------------------------------------------------


@check
async def search_filters(store: Store) -> None:
    talk, other = await begin(store, title="owl"), await begin(store)
    asked = await talk.say("owl", created_at=minutes(0))
    answer = await talk.say("owl owl", role="assistant", model="echo:one", created_at=minutes(60 * 24))
    later = await other.say("owl owl owl", role="assistant", model="echo:two", created_at=minutes(60 * 24 * 400))
    messages: dict[str, Any] = {"kinds": ("message",)}  # Any: fields of SearchQuery, each of its own type.
    assert set(await ids(store, "owl", **messages)) == {asked.id, answer.id, later.id}
    assert set(await ids(store, "owl", conversation=talk.id)) == {asked.id, answer.id, talk.id}
    assert await ids(store, "owl", conversation=new_id()) == []
    assert await ids(store, "owl", role="user") == [asked.id]
    assert await ids(store, "owl", model="echo:two") == [later.id]
    assert await ids(store, "owl", model="echo:one", conversation=other.id) == []
    assert await ids(store, "owl", since=minutes(60 * 24), **messages) == [later.id, answer.id]
    assert await ids(store, "owl", since=minutes(60 * 24 + 1), **messages) == [later.id]
    assert await ids(store, "owl", until=minutes(60 * 24), **messages) == [asked.id]
    assert await ids(store, "owl", until=minutes(60 * 24 + 1), **messages) == [answer.id, asked.id]
    assert await ids(store, "owl", since=minutes(1), until=minutes(60 * 24 * 399), **messages) == [answer.id]
    assert await ids(store, "owl", since=minutes(2), until=minutes(1)) == []


@check
async def span_ends_where_it_says(store: Store) -> None:
    """To the microsecond, and across the ends of days, months and years."""
    talk = await begin(store)
    choose = random.Random(3)
    moments = sorted(minutes(choose.randrange(-2_000_000, 400_000)) for _ in range(60))
    said = [(await talk.say("owl", created_at=moment)).id for moment in moments]
    for _ in range(25):
        since, until = sorted(choose.choices(range(60), k=2))
        span = {"since": moments[since], "until": moments[until]}
        expected = {said[place] for place in range(60) if moments[since] <= moments[place] < moments[until]}
        assert set(await ids(store, "owl", 100, **span)) == expected, span


@check
async def pages_show_each_once_though_more_is_said(store: Store) -> None:
    talk = await begin(store, title="An owl")
    said = {(await talk.say("owl " * (count % 4 + 1))).id for count in range(12)} | {talk.id}
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(20):
        page = await store.index.search("owner", SearchQuery("owl"), 3, cursor)
        seen += [hit.id for hit in page.hits]
        cursor = page.cursor
        if cursor is None:
            break
        await talk.say("owl " * 9)
    assert len(seen) == len(set(seen))
    assert said <= set(seen)


@check
async def foreign_cursor_of_a_search_is_invalid(store: Store) -> None:
    await (await begin(store)).say("owl")
    for cursor in ("", "x", "MTIz", "é", "=" * 50, "\ud800", "e30=", "W10=", "WzFd"):
        try:
            await store.index.search("owner", SearchQuery("owl"), 4, cursor)
        except InvalidError:
            continue
        raise AssertionError(f"{cursor!r} was taken for a cursor")


# --- places ----------------------------------------------------------------------------------------------------------

#: Where boxes of degrees go wrong: poles, the antimeridian, and places beside them.
AWKWARD = (
    (90, 0),
    (-90, 77),
    (89.9, 180),
    (0, 180),
    (0, -180),
    (-17.5, 179.99),
    (-17.5, -179.99),
    (89.99, -90),
    (0, 0),
)


@check
async def near_finds_what_is_within_the_circle(store: Store) -> None:
    choose = random.Random(5)
    places = [(choose.uniform(-90, 90), choose.uniform(-180, 180)) for _ in range(60)]
    places += [*AWKWARD, *((lat + choose.uniform(-1, 1) * (abs(lat) < 89), lon) for lat, lon in AWKWARD)]
    talk = await begin(store)
    said = {(await talk.say("owl", location=Location(*place))).id: place for place in places}
    await talk.say("owl")  # Of which nobody knows where.
    circles = [
        Circle(*choose.choice(places), radius) for radius in (0, 1, 1_000, 200_000, 5e6, 1.9e7, 2.1e7) for _ in range(6)
    ]
    for circle in circles:
        expected = {name for name, place in said.items() if distance(*place, circle) <= circle.radius}
        assert set(await ids(store, "owl", 100, near=circle)) == expected, circle
        hits = await found(store, "", 100, near=circle)
        assert {hit.id for hit in hits} == expected, circle
        metres = [hit.distance for hit in hits if hit.distance is not None]
        assert len(metres) == len(hits)
        assert metres == sorted(metres)


@check
async def circle_ends_at_its_radius(store: Store) -> None:
    talk = await begin(store)
    for lat, lon in AWKWARD:
        place = Location(lat, lon)
        message = await talk.say("owl", location=place)
        middle = Circle(max(-90, min(90, lat * 0.999 + 0.01)), lon * 0.999, 0)
        metres = distance(lat, lon, middle)
        for text in ("", "owl"):
            within = await ids(store, text, 100, near=msgspec.structs.replace(middle, radius=metres))
            without = await ids(store, text, 100, near=msgspec.structs.replace(middle, radius=metres - 0.01))
            assert message.id in within, place
            assert message.id not in without, place


@check
async def near_knows_where_photographs_were_taken(store: Store) -> None:
    file = await add(store, a_file(lat=46.95, lon=7.45))
    await add(store, a_file(b"other", owner="another", lat=46.95, lon=7.45))
    here, there = Circle(46.95, 7.44, 2_000), Circle(46.95, 7.3, 2_000)
    assert await ids(store, "", near=here) == [file.id]
    assert await ids(store, "", near=there) == []
    assert await ids(store, "", near=here, kinds=("message", "title")) == []


@check
async def place_goes_with_its_message(store: Store) -> None:
    talk = await begin(store)
    message = await talk.say("owl", location=Location(1, 2))
    await talk.write("message.removed", removed=(message.id,))
    assert await ids(store, "", near=Circle(1, 2, 5)) == []
    await talk.say("owl", location=Location(1, 2))
    await store.purge(talk.id)
    assert await ids(store, "", near=Circle(1, 2, 5)) == []
