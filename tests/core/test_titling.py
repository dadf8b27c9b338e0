"""Titles that a model gives: whose they replace, what they cost, and that nothing waits for them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import pytest
import trio
from support import NOW, Talk, open_talk
from trio.testing import MockClock, wait_all_tasks_blocked

from trialogue import (
    Charge,
    Limits,
    PriceList,
    Prices,
    Request,
    UpdateConversation,
    Usage,
    UsagePiece,
    new_id,
    open_engine,
)
from trialogue._paying.prices import Listed
from trialogue._runs.titling import clean_title
from trialogue.testing import Fail, MemoryStore, Pause, ScriptedProvider
from trialogue.testing.memory_faults import Fault
from trialogue.testing.providers import Step

PRICED = PriceList(own={"scripted:*": Listed(Prices(1_000_000, 2_000_000))})


class Answers(ScriptedProvider):
    """Answers every question with "fine", and plays ``script`` where a title is asked for."""

    def __init__(self, *script: Step) -> None:
        super().__init__(self._play)
        self._script = script

    def _play(self, request: Request) -> Sequence[Step]:
        return self._script if request.purpose == "title" else ["fine"]

    @property
    def asked(self) -> list[Request]:
        """What was asked for titles."""
        return [request for request in self.requests if request.purpose == "title"]


@asynccontextmanager
async def talking(provider: ScriptedProvider, titles: str = "same") -> AsyncGenerator[Talk]:
    async with open_engine(
        MemoryStore(), [provider], Limits(titles=titles), prices=PRICED, default_model="scripted:script"
    ) as engine:
        await engine.models()
        yield await open_talk(engine)
    assert provider.open_streams == 0


async def title_of(talk: Talk) -> str | None:
    header = await talk.engine.header(talk.id)
    assert header is not None
    return header.title


async def titles_charged(talk: Talk) -> list[Charge]:
    page = await talk.engine.store.ledger.charges("ann", limit=10)
    return [charge for charge in page.charges if charge.kind == "title"]


async def rename(talk: Talk, **changes: object) -> None:
    await talk.engine.submit(talk.id, UpdateConversation(new_id(), NOW, **changes))  # type: ignore[arg-type]  # of its fields


async def quiet() -> None:
    await trio.sleep(60)  # In virtual time: longer than a title may take.


async def test_first_answer_gives_a_title_that_is_charged(autojump_clock: MockClock) -> None:
    provider = Answers('"Lunch', ' plans."', UsagePiece(Usage("reported", 40, 3)))
    async with talking(provider) as talk:
        await talk.post("what shall we have for lunch?")
        await talk.settled()
        await quiet()
        assert await title_of(talk) == "Lunch plans"
        (charge,) = await titles_charged(talk)
        assert (charge.message, charge.status, charge.billed) == (
            "",
            "completed",
            Usage("reported", 40, 3, cost=46_000),
        )
        assert (await talk.engine.store.ledger.charges("ann", limit=10)).charges[1].kind == "answer"


async def test_only_the_first_answer_gives_one(autojump_clock: MockClock) -> None:
    provider = Answers("one")
    async with talking(provider) as talk:
        for text in ("hi", "and?", "so?"):
            await talk.post(text)
            await talk.settled()
            await quiet()
        assert len(provider.asked) == 1


async def test_title_of_a_person_is_never_replaced(autojump_clock: MockClock) -> None:
    provider = Answers(Pause(5), "a model's")
    async with talking(provider) as talk:
        await talk.post("hi")
        await talk.settled()
        await trio.sleep(1)
        await rename(talk, title="mine")
        await quiet()
        assert await title_of(talk) == "mine"
        assert len(await titles_charged(talk)) == 1


async def test_conversation_that_has_a_title_is_left_alone(autojump_clock: MockClock) -> None:
    provider = Answers("a model's")
    async with talking(provider) as talk:
        await rename(talk, title="mine")
        await talk.post("hi")
        await talk.settled()
        await quiet()
        assert provider.asked == []


async def test_off_asks_nobody(autojump_clock: MockClock) -> None:
    provider = Answers("a model's")
    async with talking(provider, "") as talk:
        await talk.post("hi")
        await talk.settled()
        await quiet()
        assert (await title_of(talk), provider.asked) == ("hi", [])


async def test_removal_ends_the_asking(autojump_clock: MockClock) -> None:
    provider = Answers(Pause(20), "late")
    async with talking(provider) as talk:
        await talk.post("hi")
        await talk.settled()
        await trio.sleep(1)
        assert provider.open_streams == 1
        began = trio.current_time()
        await rename(talk, deleted=True)
        await wait_all_tasks_blocked()
        assert (provider.open_streams, trio.current_time()) == (0, began)


async def test_next_message_is_answered_while_a_title_is_asked_for(autojump_clock: MockClock) -> None:
    async with talking(Answers(Pause(20), "late")) as talk:
        await talk.post("hi")
        await talk.settled()
        await trio.sleep(1)
        began = trio.current_time()
        await talk.post("and?")
        await talk.settled()
        assert trio.current_time() - began < 1
        await quiet()
        assert await title_of(talk) == "late"


@pytest.mark.parametrize("script", [(Fail("refused"),), (Pause(3600), "never"), ("  \n",), ("", Fail("broken"))])
async def test_without_a_title_the_first_line_stays(script: tuple[Step, ...], autojump_clock: MockClock) -> None:
    async with talking(Answers(*script)) as talk:
        await talk.post("hi")
        await talk.settled()
        await trio.sleep(200)
        assert await title_of(talk) == "hi"
        await talk.post("still there?")
        await talk.settled()


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Title: **Trains in Norway**\nmore", "Trains in Norway"),
        ("\n\n# „Züge“\n", "Züge"),
        ("a\x00b\u202ec  d", "a b c d"),
        ("x" * 500, "x" * 59 + "…"),
        ('"""', None),
        ("", None),
    ],
)
def test_title_is_one_short_line(text: str, title: str | None) -> None:
    assert clean_title(text) == title


async def test_slow_store_costs_no_title(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    provider = Answers("a title")
    async with open_engine(store, [provider], Limits(titles="same"), default_model="scripted:script") as engine:
        await engine.models()
        talk = await open_talk(engine)
        store.faults.next("append", *[Fault(delay=3)] * 10)
        await talk.post("hi")
        await quiet()
        assert await title_of(talk) == "a title"
        assert "fine" in str(provider.asked[0].messages)
