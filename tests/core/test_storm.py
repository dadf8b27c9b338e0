"""Thousands of answers by providers that fail in every way: none hangs, none says a thing twice, none costs what it did not.

``TRIALOGUE_RUNS=10000 pytest tests/core/test_storm.py`` asks until there were so many runs.
"""

from __future__ import annotations

import os
import random
from collections import Counter, defaultdict
from collections.abc import Sequence

import trio
from msgspec.structs import replace
from support import NOW, Talk, fold, open_talk
from trio.testing import MockClock

from trialogue import (
    AskingLimits,
    Event,
    LaneLimits,
    Limits,
    PartDelta,
    PriceList,
    Prices,
    RunStarted,
    open_engine,
)
from trialogue._facts.values import Usage
from trialogue._paying.prices import Listed, cost_of
from trialogue.testing import Asked, FaultyProvider, MemoryStore
from trialogue.testing.faulty_provider import question_of

#: Runs of the ordinary test: about five seconds of one core.
RUNS = int(os.environ.get("TRIALOGUE_RUNS", "1200"))
#: Questions in one conversation, one after the other; conversations go on beside each other.
TURNS, BESIDE = 10, 40
#: Virtual seconds in which the longest chain of failures of one answer ends, and all before it in its conversation.
PATIENCE = 100_000
PRICES = {"on": Prices(1_500, 2_000), "anew": Prices(700, 900), "last": Prices(10, 20)}
LIMITS = Limits(
    fallbacks={"on:model": ("anew:model", "last:model"), "anew:model": ("on:model",)},
    asking=AskingLimits(lanes={"on": LaneLimits(concurrency=25), "last": LaneLimits(requests_per_minute=6000)}),
)


def providers(seed: int) -> list[FaultyProvider]:
    """One that goes on from a prefix, two that begin anew; the last one fails rarely."""
    return [
        FaultyProvider(random.Random(f"{seed}/on"), 0.5, name="on", continues=True),
        FaultyProvider(random.Random(f"{seed}/anew"), 0.4, name="anew"),
        FaultyProvider(random.Random(f"{seed}/last"), 0.05, name="last"),
    ]


async def test_nothing_hangs_is_doubled_or_overcharged(autojump_clock: MockClock) -> None:
    found, store, runs, seed = providers(7), MemoryStore(), 0, 0
    before = trio.lowlevel.current_statistics().tasks_living
    prices = PriceList(own={f"{name}:*": Listed(price) for name, price in PRICES.items()})
    async with open_engine(store, found, LIMITS, prices=prices, random=random.Random(7)) as engine:
        await engine.models()
        while runs < RUNS:
            talks = [await open_talk(engine) for _ in range(BESIDE)]
            with trio.fail_after(PATIENCE):
                async with trio.open_nursery() as nursery:
                    for talk in talks:
                        seed += 1
                        nursery.start_soon(converse, talk, random.Random(seed))
            for talk in talks:
                runs += judge(await talk.events(), found)
        assert [provider.open_streams for provider in found] == [0, 0, 0]
        total = await store.ledger.total("ann", NOW.date(), NOW.date().replace(year=9999))
    assert trio.lowlevel.current_statistics().tasks_living == before
    billed = [(asked, PRICES[provider.name]) for provider in found for asked in provider.asked]
    assert total.runs == runs
    assert total.input_tokens == sum(asked.billed[0] for asked, _ in billed)
    assert total.output_tokens == sum(asked.billed[1] for asked, _ in billed)
    assert total.cost == sum(cost(asked, price) for asked, price in billed)
    assert {asked.fault for asked, _ in billed} >= {
        "reset",
        "throttled",
        "stall",
        "garbage",
        "truncated",
        "cut",
        "slow",
        "error",
    }


def cost(asked: Asked, prices: Prices) -> int:
    """What a request costs, in nano-dollars."""
    said, answered = asked.billed
    return cost_of(Usage("estimated", said, answered), prices) or 0


async def converse(talk: Talk, source: random.Random) -> None:
    """Ask a few questions, each when the one before is answered, one way or the other."""
    for number in range(TURNS):
        model = f"{source.choice(('on', 'on', 'anew'))}:model"
        await talk.engine.submit(talk.id, replace(talk.post_command(f"{talk.id[-6:]}/{number}"), model=model))
        await talk.settled()


def judge(events: Sequence[Event], found: Sequence[FaultyProvider]) -> int:
    """Every text is what its runs' providers have handed out, in order, and what the question's answer begins with."""
    reader, starts = fold(events), [event for event in events if isinstance(event, RunStarted)]
    assert set(map(len, reader.ends.values())) == {1}, "each run ends once"
    assert reader.live is None
    questions = {
        text for name in reader.messages if reader.messages[name]["role"] == "user" for text in [reader.text(name)]
    }
    handed_out = [asked.text for one in found for asked in one.asked if question_of(asked.request) in questions]
    assert written(events) == Counter(filter(None, handed_out)), "what is shown is not what was said"
    answers = {start.message for start in starts}
    for answer in answers:
        question = reader.text(str(reader.messages[answer]["parent"]))
        text = reader.text(answer)
        assert "".join(found[0].answer(question)).startswith(text), "a text with a hole, or something said twice"
        if reader.ends[next(s.run for s in reversed(starts) if s.message == answer)] == ["RunCompleted"]:
            assert text == "".join(found[0].answer(question))
    return len(starts)


def written(events: Sequence[Event]) -> Counter[str]:
    """What each run has written, of those that have written anything."""
    texts: defaultdict[str, str] = defaultdict(str)
    for event in events:
        if isinstance(event, PartDelta):
            texts[event.run] += event.text
    return Counter(texts.values())
