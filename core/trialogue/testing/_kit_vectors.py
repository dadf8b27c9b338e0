"""Store checks: searches by meaning, and the vectors that they need."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import msgspec

from trialogue._facts.values import Location, TextPart
from trialogue._files.files import FileText
from trialogue._search.search import Circle, Embedded, Passage, SearchQuery, Unembedded
from trialogue._storage.store import Store
from trialogue.testing._kit_files import a_file, add
from trialogue.testing._kit_making import StoreCheck, begin, checks_in, minutes

VECTOR_CHECKS: list[StoreCheck] = []
check = checks_in(VECTOR_CHECKS)


def vector_of(*numbers: float) -> bytes:
    """A vector of sixteen numbers."""
    return struct.pack("<16f", *numbers, *[0.01] * (16 - len(numbers)))


def embedded(texts: Sequence[Unembedded], vectors: dict[str, bytes]) -> list[Embedded]:
    """Each text as one passage, with the vector that stands for it; without one, none."""
    return [
        Embedded(text.key, text.text, (Passage(0, len(text.text), vectors[text.text]),) if text.text in vectors else ())
        for text in texts
    ]


#: What stands for what the texts of the checks mean.
MEANINGS = {"owl": vector_of(1, 0.1), "bird": vector_of(0.9, 0.4), "car": vector_of(-0.2, -1)}


@check
async def similar_puts_the_nearest_first(store: Store) -> None:
    if store.index.lacks is not None:
        return
    await store.index.use_embedder("one", 16)
    talk = await begin(store)
    car, owl, bird = [await talk.say(text) for text in ("car", "owl", "bird")]
    await (await begin(store, owner="another")).say("owl")
    assert await store.index.pending("owner") == 3
    await store.index.add_embedded("one", embedded(await store.index.unembedded(10), MEANINGS))
    assert await store.index.pending("owner") == 0
    assert list(await store.index.unembedded(10)) == []
    hits = await store.index.similar("owner", SearchQuery(), MEANINGS["owl"], 10)
    assert [hit.id for hit in hits] == [owl.id, bird.id, car.id]
    assert hits[0].score > 0.99 > hits[1].score > 0.8 > hits[2].score
    assert (hits[0].snippet, hits[0].conversation) == ("owl", talk.id)
    assert [hit.id for hit in await store.index.similar("owner", SearchQuery(), MEANINGS["owl"], 1)] == [owl.id]
    assert list(await store.index.similar("owner", SearchQuery(), bytes(64), 10)) == []


@check
async def similar_filters(store: Store) -> None:
    if store.index.lacks is not None:
        return
    await store.index.use_embedder("one", 16)
    talk, trashed = await begin(store), await begin(store)
    owl = await talk.say("owl", location=Location(1, 1), created_at=minutes(5))
    bird = await talk.say("bird", role="assistant", model="echo:one", created_at=minutes(9_000))
    removed = await talk.say("owl")
    await trashed.say("owl")
    await store.index.add_embedded("one", embedded(await store.index.unembedded(10), MEANINGS))
    await talk.write("message.removed", removed=(removed.id,))
    await trashed.change(deleted_at=minutes(1))

    async def similar(**filters: Any) -> list[str]:  # Any: fields of SearchQuery, each of its own type.
        hits = await store.index.similar("owner", SearchQuery(**filters), MEANINGS["owl"], 10)
        return [hit.id for hit in hits]

    assert await similar() == [owl.id, bird.id]
    assert await similar(role="assistant") == [bird.id]
    assert await similar(model="echo:one") == [bird.id]
    assert await similar(conversation=trashed.id) == []
    assert await similar(until=minutes(6)) == [owl.id]
    assert await similar(since=minutes(6)) == [bird.id]
    assert await similar(near=Circle(1, 1, 10)) == [owl.id]
    assert await similar(kinds=("file", "title")) == []


@check
async def vectors_follow_what_is_said(store: Store) -> None:
    """A text that changes waits again; vectors of what it said before are not taken."""
    if store.index.lacks is not None:
        return
    await store.index.use_embedder("one", 16)
    talk = await begin(store)
    message = await talk.say("owl", role="assistant")
    late = await store.index.unembedded(10)
    revised = msgspec.structs.replace(message, parts=(TextPart("car"),))
    await talk.write("message.revised", messages=(revised,))
    await store.index.add_embedded("one", embedded(late, MEANINGS))
    assert await store.index.pending("owner") == 1
    assert [text.text for text in await store.index.unembedded(10)] == ["car"]
    await store.index.add_embedded("one", embedded(await store.index.unembedded(10), MEANINGS))
    assert list(await store.index.unembedded(10)) == []
    await talk.write("message.revised", messages=(message,))
    assert [text.text for text in await store.index.unembedded(10)] == ["owl"]


@check
async def every_text_is_embedded_once(store: Store) -> None:
    if store.index.lacks is not None:
        return
    await store.index.use_embedder("one", 16)
    talk, gone = await begin(store), await begin(store)
    await talk.say("owl")
    await talk.say("tool's", role="tool")
    await gone.say("owl")
    file = await add(store, a_file())
    await store.files.learn(msgspec.structs.replace(file, text=FileText("done", 3)), "car")
    seen: list[str] = []
    for _ in range(12):
        waiting = await store.index.unembedded(1)
        if not waiting:
            break
        seen += [text.text for text in waiting if text.text]
        await store.index.add_embedded("one", embedded(waiting, MEANINGS))
        if seen.count("owl") == 2 and "bird" not in seen:
            await store.purge(gone.id)  # Its place may be taken by what follows.
            await talk.say("bird")
            seen.append("bird")
    assert seen.count("bird") == 2
    seen.remove("bird")
    assert sorted(seen) == ["bird", "car", "owl", "owl"]
    assert [hit.kind for hit in await store.index.similar("owner", SearchQuery(), MEANINGS["car"], 1)] == ["file"]


@check
async def text_that_got_no_answer_waits_on(store: Store) -> None:
    if store.index.lacks is not None:
        return
    await store.index.use_embedder("one", 16)
    talk = await begin(store)
    for text in ("owl", "bird", "car"):
        await talk.say(text)
    waiting = await store.index.unembedded(10)
    await store.index.add_embedded("one", embedded(waiting[1:], MEANINGS))
    assert waiting[0] in await store.index.unembedded(10)
    await store.index.add_embedded("one", embedded(await store.index.unembedded(10), MEANINGS))
    assert list(await store.index.unembedded(10)) == []
    assert len(await store.index.similar("owner", SearchQuery(), MEANINGS["owl"], 10)) == 3


@check
async def another_embedder_begins_anew(store: Store) -> None:
    if store.index.lacks is not None:
        return
    await store.index.use_embedder("one", 16)
    await (await begin(store)).say("owl")
    first = embedded(await store.index.unembedded(10), MEANINGS)
    await store.index.add_embedded("one", first)
    await store.index.use_embedder("one", 16)
    assert list(await store.index.unembedded(10)) == []
    await store.index.use_embedder("two", 16)
    assert list(await store.index.similar("owner", SearchQuery(), MEANINGS["owl"], 10)) == []
    assert await store.index.pending("owner") == 1
    await store.index.add_embedded("one", first)  # Too late.
    assert await store.index.pending("owner") == 1
    await store.index.add_embedded("two", embedded(await store.index.unembedded(10), MEANINGS))
    assert len(await store.index.similar("owner", SearchQuery(), MEANINGS["owl"], 10)) == 1
