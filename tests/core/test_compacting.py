"""Long conversations keep their beginning: as a summary, which stands in requests for what is older."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import pytest
import trio
from support import NOW, Talk, open_talk
from trio.testing import MockClock, wait_all_tasks_blocked

from trialogue import (
    Aside,
    Charge,
    CompactContext,
    EditMessage,
    ForkConversation,
    Limits,
    Message,
    PriceList,
    Prices,
    RemoveMessage,
    Request,
    TextPart,
    UpdateConversation,
    Usage,
    new_id,
    open_engine,
    text_of,
)
from trialogue._paying.prices import Listed
from trialogue._runs.compacting import REST
from trialogue._runs.context import SUM_UP
from trialogue.testing import Fail, MemoryStore, Pause, ScriptedProvider
from trialogue.testing.memory_faults import Fault
from trialogue.testing.providers import Step

PRICED = PriceList(own={"scripted:*": Listed(Prices(1_000_000, 2_000_000))})
#: Room for history: 300 tokens, of which each turn below takes some 30.
LIMITS = Limits(summary_tokens=20, context_share=0.75)
CONTEXT = 406


class Answers(ScriptedProvider):
    """Answers every question with "fine", and plays ``script`` where a summary is wanted."""

    def __init__(self, *script: Step) -> None:
        super().__init__(self._play, context_tokens=CONTEXT)
        self._script = script

    def _play(self, request: Request) -> Sequence[Step]:
        if request.purpose == "answer":
            return [Pause(1), "fine"] if text_of(request.messages[-1].parts) == "[slow]" else ["fine"]
        return self._script or [f"summary {len(self.summed)}"]

    @property
    def summed(self) -> list[Request]:
        """What was asked for summaries."""
        return [request for request in self.requests if request.purpose == "summary"]

    @property
    def answered(self) -> list[list[str]]:
        """What each answer was asked with."""
        answers = [request for request in self.requests if request.purpose == "answer"]
        return [[text_of(message.parts) for message in request.messages] for request in answers]


@asynccontextmanager
async def talking(
    provider: ScriptedProvider, limits: Limits = LIMITS, store: MemoryStore | None = None
) -> AsyncGenerator[Talk]:
    async with open_engine(
        store or MemoryStore(), [provider], limits, prices=PRICED, default_model="scripted:script"
    ) as engine:
        await engine.models()
        yield await open_talk(engine)
    assert provider.open_streams == 0


async def say(talk: Talk, *numbers: int) -> None:
    for number in numbers:
        await talk.post(f"{number:060}")
        await talk.settled()
        await trio.sleep(1)  # In virtual time: what is done beside the traffic is done.


async def summaries(talk: Talk) -> list[Message]:
    """The messages of the active branch that have one, oldest first."""
    path = await talk.engine.store.path(talk.id, await head_of(talk), 1_000)
    return [message for message in path if message.summary is not None]


async def head_of(talk: Talk) -> str:
    header = await talk.engine.header(talk.id)
    assert header is not None
    assert header.head is not None
    return header.head


async def version_of(talk: Talk) -> int:
    header = await talk.engine.store.header(talk.id)
    assert header is not None
    return header.version


async def charged(talk: Talk) -> list[Charge]:
    page = await talk.engine.store.ledger.charges("ann", limit=100)
    return [charge for charge in page.charges if charge.kind == "summary"]


async def test_older_part_is_summed_up_before_it_is_lost(autojump_clock: MockClock) -> None:
    provider = Answers()
    async with talking(provider) as talk:
        await say(talk, *range(30))
        found = await summaries(talk)
        assert found, "none was made"
        assert await talk.engine.store.path(talk.id, found[0].id, 100), "what was said is still there"
    for shown in provider.answered[15:]:
        assert shown[0] == SUM_UP
        assert shown[1].startswith("summary ")
        assert shown[-1] == f"{provider.answered.index(shown):060}"
    assert f"{0:060}" in str(provider.summed[0].messages)
    assert "summary 0" in str(provider.summed[1].messages), "it is built upon"


async def test_nothing_is_left_out_between_a_summary_and_what_follows(autojump_clock: MockClock) -> None:
    provider = Answers()
    async with talking(provider) as talk:
        await say(talk, *range(30))
        summed = {f"{n:060}" for n in range(30) for one in provider.summed if f"{n:060}" in str(one.messages)}
    for number, shown in enumerate(provider.answered):
        missing = {f"{n:060}" for n in range(number)} - set(shown)
        assert missing <= summed, number


async def test_requests_begin_alike_between_big_steps(autojump_clock: MockClock) -> None:
    provider = Answers()
    async with talking(provider) as talk:
        await say(talk, *range(40))
    pairs = list(zip(provider.answered, provider.answered[1:], strict=False))
    changed = [number for number, (before, after) in enumerate(pairs) if after[: len(before)] != before]
    assert 0 < len(changed) <= 40 // 4
    assert len(provider.summed) - len(changed) in (0, 1), "the last one may not have been shown yet"
    assert all(after[: len(before)] == before for number, (before, after) in enumerate(pairs) if number not in changed)


async def test_summary_counts_for_branches_that_contain_it(autojump_clock: MockClock) -> None:
    provider = Answers()
    async with talking(provider) as talk:
        await say(talk, *range(9))
        (summed,) = await summaries(talk)
        head = await head_of(talk)
        path = await talk.engine.store.path(talk.id, head, 100)
        early = path[2].id
        edited = EditMessage(new_id(), NOW, early, new_id(), new_id(), new_id(), (TextPart("otherwise"),), talk.model)
        await talk.engine.submit(talk.id, edited)
        await talk.settled()
        assert provider.answered[-1] == [f"{0:060}", "fine", "otherwise"]
        await talk.engine.submit(talk.id, UpdateConversation(new_id(), NOW, head=head))
        await say(talk, 9)
        assert provider.answered[-1][:2] == [SUM_UP, summed.summary]


async def test_correction_of_what_was_summed_up_ends_it(autojump_clock: MockClock) -> None:
    provider = Answers()
    async with talking(provider) as talk:
        await say(talk, *range(9))
        (summed,) = await summaries(talk)
        path = await talk.engine.store.path(talk.id, summed.id, 100)
        await correct(talk, path[1].id)
        assert await summaries(talk) == []
        await say(talk, 9)
        assert SUM_UP not in provider.answered[-1]
        assert await summaries(talk), "it is renewed"
        assert any("corrected" in str(one.messages) for one in provider.summed[1:])


async def test_correction_of_what_follows_leaves_it(autojump_clock: MockClock) -> None:
    provider = Answers()
    async with talking(provider) as talk:
        await say(talk, *range(9))
        (summed,) = await summaries(talk)
        head = await head_of(talk)
        await correct(talk, head)
        assert await summaries(talk) == [summed]


async def correct(talk: Talk, message: str) -> None:
    parts = (TextPart("corrected"),)
    await talk.engine.submit(
        talk.id, EditMessage(new_id(), NOW, message, new_id(), new_id(), new_id(), parts, talk.model)
    )


async def test_correction_meanwhile_makes_it_void(autojump_clock: MockClock) -> None:
    provider = Answers(Pause(0.5), "late")
    async with talking(provider) as talk:
        await say(talk, *range(7))
        number = 7
        while not provider.summed:
            await talk.post(f"{number:060}")
            await talk.settled()
            await wait_all_tasks_blocked()
            number += 1
        head = await head_of(talk)
        await correct(talk, (await talk.engine.store.path(talk.id, head, 100))[1].id)
        await trio.sleep(5)
        assert await summaries(talk) == []
        assert len(await charged(talk)) == 1, "it has to be paid for all the same"


async def test_fork_takes_its_summary_along(autojump_clock: MockClock) -> None:
    provider = Answers()
    async with talking(provider) as talk:
        await say(talk, *range(9))
        (summed,) = await summaries(talk)
        name = new_id()
        await talk.engine.fork(ForkConversation(name, "ann", NOW, talk.id))
        talk.id = name
        await say(talk, 9)
        assert provider.answered[-1][:2] == [SUM_UP, summed.summary]
        path = await talk.engine.store.path(talk.id, (await summaries(talk))[0].id, 100)
        await correct(talk, path[1].id)
        assert await summaries(talk) == [], "and knows of it"


async def test_edit_of_where_it_ends_does_not_take_it_along(autojump_clock: MockClock) -> None:
    async with talking(Answers()) as talk:
        await talk.post("first", respond=False)
        first = await head_of(talk)
        version = await version_of(talk)
        asked = Aside(new_id(), talk.model, NOW, Usage("estimated"))
        await talk.engine.submit(talk.id, CompactContext(new_id(), NOW, first, version, "short", asked))
        edit = EditMessage(
            new_id(), NOW, first, new_id(), new_id(), new_id(), (TextPart("other"),), talk.model, respond=False
        )
        await talk.engine.submit(talk.id, edit)
        assert await summaries(talk) == []


async def test_fork_of_a_part_of_where_it_ends_leaves_it_behind(autojump_clock: MockClock) -> None:
    async with talking(Answers()) as talk:
        await say(talk, *range(9))
        (summed,) = await summaries(talk)
        name = new_id()
        await talk.engine.fork(ForkConversation(name, "ann", NOW, talk.id, summed.id, 2))
        talk.id = name
        assert await summaries(talk) == []


async def test_summary_is_charged(autojump_clock: MockClock) -> None:
    provider = Answers()
    async with talking(provider) as talk:
        await say(talk, *range(9))
        (summed,) = await summaries(talk)
        (charge,) = await charged(talk)
        assert (charge.message, charge.status) == (summed.id, "completed")
        assert charge.billed is not None
        assert charge.billed.cost


async def test_restart_goes_on_with_it(autojump_clock: MockClock) -> None:
    provider, store = Answers(), MemoryStore()
    async with talking(provider, store=store) as talk:
        await say(talk, *range(9))
        (summed,) = await summaries(talk)
    async with open_engine(store, [provider], LIMITS, default_model="scripted:script") as engine:
        await engine.models()
        talk.engine = engine
        await say(talk, 9)
    assert provider.answered[-1][:2] == [SUM_UP, summed.summary]


@pytest.mark.parametrize("script", [(Fail("refused"),), (Pause(3600), "never"), ("  \n",), ("a", Fail("broken"))])
async def test_without_one_the_oldest_give_way(script: tuple[Step, ...], autojump_clock: MockClock) -> None:
    provider = Answers(*script)
    async with talking(provider) as talk:
        await say(talk, *range(20))
        assert await summaries(talk) == []
        asked = len(provider.summed)
        assert asked == 1, "it is left alone for a while"
        await trio.sleep(REST)
        await say(talk, 20)
        assert len(provider.summed) == 2
    assert SUM_UP not in provider.answered[-1]
    assert provider.answered[-1][-1] == f"{20:060}"


async def test_answer_that_was_begun_before_it_calls_for_no_other(autojump_clock: MockClock) -> None:
    provider = Answers(Pause(0.5), "short")
    async with talking(provider) as talk:
        for number in range(9):
            await talk.post(f"{number:060}")
            await talk.settled()
        await talk.post("[slow]")
        await trio.sleep(0.6)
        assert len(await summaries(talk)) == 1, "while that was being answered"
        await talk.settled()
        await trio.sleep(5)
        assert len(provider.summed) == 1


async def test_off_asks_nobody(autojump_clock: MockClock) -> None:
    provider = Answers()
    async with talking(provider, Limits(summaries="", summary_tokens=20)) as talk:
        await say(talk, *range(20))
    assert provider.summed == []


async def test_next_message_does_not_wait_for_it(autojump_clock: MockClock) -> None:
    provider = Answers(Pause(50), "late")
    async with talking(provider) as talk:
        await say(talk, *range(9))
        assert provider.open_streams == 1
        began = trio.current_time()
        await talk.post("and?")
        await talk.settled()
        assert trio.current_time() - began < 1
        await trio.sleep(60)
        assert [message.summary for message in await summaries(talk)] == ["late"]


async def test_beginning_stays_when_more_is_said_than_fits(autojump_clock: MockClock) -> None:
    provider = Answers()
    async with talking(provider) as talk:
        await say(talk, *range(9))
        (summed,) = await summaries(talk)
        await talk.post("x" * 600)
        await talk.settled()
        shown = provider.answered[-1]
        assert shown[:2] == [SUM_UP, summed.summary]
        assert shown[-1] == "x" * 600
        assert len(shown) < len(provider.answered[-2]), "the messages between give way"


async def test_removal_ends_the_asking(autojump_clock: MockClock) -> None:
    provider = Answers(Pause(50), "late")
    async with talking(provider) as talk:
        await say(talk, *range(9))
        assert provider.open_streams == 1
        await talk.engine.submit(talk.id, UpdateConversation(new_id(), NOW, deleted=True))
        await wait_all_tasks_blocked()
        assert provider.open_streams == 0


async def test_summary_of_a_part_that_was_removed_is_lost(autojump_clock: MockClock) -> None:
    provider = Answers(Pause(10), "late")
    async with talking(provider) as talk:
        await say(talk, *range(9))
        head = await head_of(talk)
        path = await talk.engine.store.path(talk.id, head, 100)
        await talk.engine.submit(talk.id, RemoveMessage(new_id(), NOW, path[1].id))
        await trio.sleep(20)
        await say(talk, 30)
        assert provider.answered[-1] == [f"{0:060}", f"{30:060}"]


async def test_slow_store_costs_no_summary(autojump_clock: MockClock) -> None:
    provider, store = Answers(), MemoryStore()
    async with talking(provider, store=store) as talk:
        await say(talk, *range(8))
        store.faults.next("append", *[Fault(delay=3)] * 40)
        await say(talk, *range(8, 9))
        await trio.sleep(60)
        assert len(await summaries(talk)) == 1
