"""What runs are charged, and what becomes of those whose payer has nothing left."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from msgspec.structs import replace
from support import NOW, Talk, open_talk

from trialogue import (
    ApiKey,
    BudgetError,
    Charge,
    EditMessage,
    FinishPiece,
    InvalidError,
    PriceList,
    Prices,
    Regenerate,
    RunFailed,
    RunIncomplete,
    Settings,
    SpendingBudget,
    Stop,
    TextPart,
    Usage,
    UsagePiece,
    User,
    new_id,
    open_engine,
)
from trialogue._paying.prices import Listed
from trialogue.testing import OPENED, Fail, Fault, Faults, MemoryStore, Pause, ScriptedProvider, Step

#: The first moment of a month, and of a year.
AT = NOW
#: A dollar for a million tokens of input, two for output.
PRICED = PriceList(own={"scripted:*": Listed(Prices(1_000_000, 2_000_000))})
FREE = PriceList(own={"scripted:*": Listed(Prices(0, 0))})
REPORTED = UsagePiece(Usage("reported", 100, 50))


@asynccontextmanager
async def talking(
    *scripts: list[Step], prices: PriceList = PRICED, store: MemoryStore | None = None, **budget: int
) -> AsyncGenerator[tuple[Talk, ScriptedProvider]]:
    provider = ScriptedProvider(*scripts, continues=True)
    store = store or MemoryStore()
    engine = open_engine(store, [provider], now=lambda: AT, prices=prices, budget=SpendingBudget(**budget))
    async with engine as opened:
        await opened.models()
        yield await open_talk(opened), provider


async def charge_of(talk: Talk, run: str | None) -> Charge:
    found = await talk.engine.store.ledger.charge("ann", run or "")
    assert found is not None
    return found


async def failure_of(talk: Talk) -> RunFailed:
    ends = [event for event in await talk.settled() if isinstance(event, RunFailed)]
    return ends[-1]


# --- charges -----------------------------------------------------------------------------------------------------


async def test_run_is_charged_what_its_provider_reports(autojump_clock: trio.testing.MockClock) -> None:
    async with talking([("Hello", " world"), REPORTED]) as (talk, _):
        receipt = await talk.post("hi")
        await talk.settled()
        charge = await charge_of(talk, receipt.run)
        assert charge.status == "completed"
        assert charge.reported == Usage("reported", 100, 50, cost=200_000)
        assert charge.counted is not None
        assert (charge.counted.output_tokens, charge.counted.source) == (2, "estimated")
        message = await talk.engine.store.message(receipt.answer or "")
        assert message is not None
        assert message.usage == charge.reported


async def test_run_is_open_while_it_is_live(autojump_clock: trio.testing.MockClock) -> None:
    hold = trio.Event()
    async with talking(["Hello", hold]) as (talk, _):
        receipt = await talk.post("hi")
        assert (await charge_of(talk, receipt.run)).status == "reserved"
        hold.set()
        await talk.settled()
        assert (await charge_of(talk, receipt.run)).status == "completed"


async def test_stopped_run_is_charged_by_our_own_count(autojump_clock: trio.testing.MockClock) -> None:
    async with talking([("a", "b", "c"), Pause(1000)]) as (talk, provider):
        receipt = await talk.post("hi")
        await talk.until("part.delta")
        await talk.stop()
        charge = await charge_of(talk, receipt.run)
        assert (charge.status, charge.reported) == ("cancelled", None)
        assert charge.counted is not None
        assert charge.counted.output_tokens == 3
        assert charge.counted.input_tokens
        assert charge.counted.cost == charge.counted.input_tokens * 1_000 + 6_000
        assert provider.open_streams == 0


async def test_refused_request_costs_nothing(autojump_clock: trio.testing.MockClock) -> None:
    async with talking([Fail("throttled"), OPENED]) as (talk, _):
        receipt = await talk.post("hi")
        await talk.settled()
        assert (await charge_of(talk, receipt.run)).billed == Usage("estimated", 0, 0, cost=0)


async def test_unknown_price_is_no_price(autojump_clock: trio.testing.MockClock) -> None:
    async with talking(["x", REPORTED], prices=PriceList()) as (talk, _):
        receipt = await talk.post("hi")
        await talk.settled()
        assert (await charge_of(talk, receipt.run)).billed == Usage("reported", 100, 50)


async def test_free_is_said_with_a_zero(autojump_clock: trio.testing.MockClock) -> None:
    async with talking(["x"], prices=FREE) as (talk, _):
        receipt = await talk.post("hi")
        await talk.settled()
        billed = (await charge_of(talk, receipt.run)).billed
        assert billed is not None
        assert billed.cost == 0


async def test_counts_that_cannot_be_are_taken_for_absent(autojump_clock: trio.testing.MockClock) -> None:
    async with talking(["x", UsagePiece(Usage("reported", -5, 10**30, cache_read_tokens=3))]) as (talk, _):
        receipt = await talk.post("hi")
        await talk.settled()
        assert (await charge_of(talk, receipt.run)).billed == Usage("reported", cache_read_tokens=3)


async def test_crashed_run_is_charged_for_what_it_wrote(autojump_clock: trio.testing.MockClock) -> None:
    store = MemoryStore()
    async with talking([("a", "b"), Pause(1000)], store=store) as (talk, _):
        receipt = await talk.post("hi")
        await talk.until("part.delta")
    async with open_engine(store, [ScriptedProvider(["abc"], continues=True)], now=lambda: AT, prices=PRICED) as engine:
        again = Talk(engine, talk.id, talk.model)
        events = await again.until("run.completed")
        first = await charge_of(again, receipt.run)
        assert first.status == "interrupted"
        assert first.counted is not None
        assert first.counted.output_tokens == 2
        # What it asked with is worked out anew, and the prices are those of its own time.
        assert first.counted.input_tokens
        assert first.counted.cost == first.counted.input_tokens * 1_000 + 4_000
        total = await store.ledger.total("ann", AT.date(), AT.date())
        assert (total.runs, total.estimated) == (2, 2)
        assert events


async def test_prices_are_those_when_it_was_asked_for(autojump_clock: trio.testing.MockClock) -> None:
    async with talking(["x", REPORTED]) as (talk, _):
        command = talk.post_command("hi")
        terms = replace(command.terms, prices=Prices(7_000_000, 0))
        receipt = await talk.engine.submit(talk.id, replace(command, terms=terms))
        await talk.settled()
        billed = (await charge_of(talk, receipt.run)).billed
        assert billed is not None
        assert billed.cost == 700_000


async def test_repeat_under_other_terms_is_the_same_command(autojump_clock: trio.testing.MockClock) -> None:
    async with talking(["x"]) as (talk, _):
        command = talk.post_command("hi")
        receipt = await talk.engine.submit(talk.id, command)
        terms = replace(command.terms, key="another", prices=Prices(1, 1))
        assert await talk.engine.submit(talk.id, replace(command, terms=terms)) == receipt


# --- budgets -----------------------------------------------------------------------------------------------------


async def test_nothing_is_said_that_nobody_can_pay_for(autojump_clock: trio.testing.MockClock) -> None:
    async with talking(["x", REPORTED], month_micro_dollars=200) as (talk, provider):
        first = await talk.post("hi")
        await talk.settled()
        before = await talk.events()
        refused: list[Any] = [
            talk.post_command("more"),
            EditMessage(new_id(), AT, first.message or "", new_id(), new_id(), new_id(), (TextPart("x"),), talk.model),
            Regenerate(new_id(), AT, first.answer or "", new_id(), new_id(), talk.model),
        ]
        for command in refused:
            with pytest.raises(BudgetError, match="2026-02-01T00:00:00Z") as told:
                await talk.engine.submit(talk.id, command)
            assert told.value.retry_after == 31 * 86_400
        assert await talk.events() == before
        assert len(provider.requests) == 1


async def test_what_costs_nothing_is_still_allowed(autojump_clock: trio.testing.MockClock) -> None:
    async with talking(["x", REPORTED], month_micro_dollars=200) as (talk, _):
        command = talk.post_command("hi")
        first = await talk.engine.submit(talk.id, command)
        await talk.settled()
        await talk.post("a note", respond=False)
        edit = EditMessage(new_id(), AT, first.answer or "", new_id(), new_id(), new_id(), (TextPart("y"),), talk.model)
        await talk.engine.submit(talk.id, edit)
        assert await talk.engine.submit(talk.id, command) == first
        await talk.engine.submit(talk.id, Stop(new_id(), AT))


async def test_waiting_message_whose_turn_comes_too_late_fails_truthfully(
    autojump_clock: trio.testing.MockClock,
) -> None:
    hold = trio.Event()
    async with talking(["x", hold, UsagePiece(Usage("reported", 100, 4_000))], day_tokens=4_200) as (talk, provider):
        await talk.post("hi")
        await talk.until("part.delta")
        await talk.engine.budgets.set("user", "ann", SpendingBudget(day_tokens=100_000))
        second = await talk.post("and then")
        assert second.queued
        await talk.engine.budgets.set("user", "ann", SpendingBudget(day_tokens=4_100))
        hold.set()
        failed = await failure_of(talk)
        assert (failed.run, failed.failure.code) == (second.run, "budget_exhausted")
        assert "2026-01-02T00:00:00Z" in failed.failure.detail
        assert len(provider.requests) == 1
        assert (await charge_of(talk, second.run)).billed == Usage("estimated", 0, 0, cost=0)


async def test_answer_is_no_longer_than_what_is_left_pays_for(autojump_clock: trio.testing.MockClock) -> None:
    async with talking([tuple("x" * 100)], month_micro_dollars=100) as (talk, provider):
        await talk.post("hi")
        ends = [event for event in await talk.settled() if isinstance(event, RunIncomplete)]
        assert [end.reason for end in ends] == ["budget"]
        asked = provider.requests[0].settings.max_tokens
        assert asked is not None
        assert 16 <= asked < 50
        standing = await talk.engine.store.ledger.standing("ann", None, AT)
        # This provider says more than it was asked for, and is cut off at the end of its batch.
        assert standing.month_held == 0


async def test_length_that_the_budget_set_is_told_as_such(autojump_clock: trio.testing.MockClock) -> None:
    script: list[Step] = ["x", FinishPiece("length")]
    async with talking(script, day_tokens=100_000) as (talk, _):
        await talk.post("hi")
        assert [e.reason for e in await talk.settled() if isinstance(e, RunIncomplete)] == ["budget"]
        command = replace(talk.post_command("again"), settings=Settings(max_tokens=5))
        await talk.engine.submit(talk.id, command)
        assert [e.reason for e in await talk.settled() if isinstance(e, RunIncomplete)] == ["budget", "length"]


async def test_two_at_once_do_not_spend_the_same(autojump_clock: trio.testing.MockClock) -> None:
    async with talking(["x", Pause(1000)], day_tokens=5_000) as (talk, provider):
        other = await open_talk(talk.engine, talk.model)
        command = replace(talk.post_command("hi"), settings=Settings(max_tokens=3_000))
        await talk.engine.submit(talk.id, command)
        await talk.until("part.delta")
        await talk.engine.submit(other.id, replace(other.post_command("hi"), settings=Settings(max_tokens=3_000)))
        await other.until("part.delta")
        lengths = [request.settings.max_tokens for request in provider.requests]
        assert lengths[0] == 3_000
        assert lengths[1] is not None
        assert lengths[1] < 2_000
        with pytest.raises(BudgetError, match="set aside"):
            await (await open_talk(talk.engine, talk.model)).post("hi")


async def test_model_without_a_price_is_refused_where_money_counts(autojump_clock: trio.testing.MockClock) -> None:
    async with talking(["x"], prices=PriceList(), month_micro_dollars=1_000_000) as (talk, _):
        with pytest.raises(InvalidError) as told:
            await talk.post("hi")
        assert told.value.pointer == "/model"


async def test_model_that_is_free_needs_no_money(autojump_clock: trio.testing.MockClock) -> None:
    async with talking(["x"], prices=FREE, month_micro_dollars=0) as (talk, provider):
        await talk.post("hi")
        await talk.settled()
        assert provider.requests[0].settings.max_tokens is None


async def test_key_has_a_budget_of_its_own(autojump_clock: trio.testing.MockClock) -> None:
    async with talking(["x", REPORTED]) as (talk, _):
        accounts = talk.engine.store.accounts
        await accounts.add_user(User("ann", "ann@example.org", "Ann", "user", AT), None)
        await accounts.add_key(ApiKey("key-1", "ann", b"h" * 32, "mine", ("write",), AT, budget=200))
        for _ in range(2):
            await talk.post("by a session")
            await talk.settled()
        command = talk.post_command("by the key")
        await talk.engine.submit(talk.id, replace(command, terms=replace(command.terms, key="key-1")))
        await talk.settled()
        command = talk.post_command("by the key")
        with pytest.raises(BudgetError, match="API key"):
            await talk.engine.submit(talk.id, replace(command, terms=replace(command.terms, key="key-1")))
        await talk.post("by a session")


async def test_changed_budget_holds_at_once(autojump_clock: trio.testing.MockClock) -> None:
    async with talking(["x"]) as (talk, _):
        await talk.post("hi")
        await talk.settled()
        await talk.engine.budgets.set("user", "ann", SpendingBudget(day_tokens=0))
        with pytest.raises(BudgetError):
            await talk.post("hi")
        await talk.engine.budgets.set("user", "ann", None)
        await talk.post("hi")


async def test_crash_gives_back_what_was_set_aside(autojump_clock: trio.testing.MockClock) -> None:
    store = MemoryStore()
    async with talking(["x", Pause(1000)], store=store, day_tokens=5_000) as (talk, _):
        await talk.post("hi")
        await talk.until("part.delta")
        assert (await store.ledger.standing("ann", None, AT)).day_held > 4_000
    async with open_engine(store, [ScriptedProvider(["y"])], now=lambda: AT, prices=PRICED) as engine:
        await Talk(engine, talk.id, talk.model).until("run.interrupted")
        assert (await store.ledger.standing("ann", None, AT)).day_held == 0


async def test_store_that_will_not_reserve_fails_the_run(autojump_clock: trio.testing.MockClock) -> None:
    class Unwilling(Faults):
        def choose(self, name: str) -> Fault | None:
            return Fault(fail="before") if name == "reserve" else None

    store = MemoryStore()
    store.faults = Unwilling()
    async with talking(["x"], store=store, day_tokens=5_000) as (talk, provider):
        await talk.post("hi")
        assert (await failure_of(talk)).failure.code == "storage"
        assert provider.requests == []


async def test_without_a_budget_nobody_asks_for_one_twice(autojump_clock: trio.testing.MockClock) -> None:
    """What budgets cost those who have none: one look, and then nothing for a while."""
    store = MemoryStore()
    asked: list[str] = []

    class Listening(Faults):
        def choose(self, name: str) -> Fault | None:
            asked.append(name)
            return None

    store.faults = Listening()
    async with talking(["x"], store=store) as (talk, _):
        for _ in range(3):
            await talk.post("hi")
            await talk.settled()
    assert asked.count("budget") == 1
    assert not {"standing", "reserve"} & set(asked)


async def test_deleted_account_leaves_sums_without_a_name(autojump_clock: trio.testing.MockClock) -> None:
    async with talking(["x", REPORTED]) as (talk, _):
        engine, store = talk.engine, talk.engine.store
        for name in ("root", "ann"):
            await store.accounts.add_user(User(name, f"{name}@example.org", name, "user", AT), None)
        receipt = await talk.post("hi")
        await talk.settled()
        await store.accounts.remove_user("ann")
        engine.clearing.poke()
        await trio.sleep(5)  # of virtual time, in which the sweep comes to its end
        assert await store.ledger.charge("ann", receipt.run or "") is None
        (left,) = (await store.ledger.usage(None, "user", AT.date(), AT.date(), limit=9)).groups
        assert (left.name, left.runs, left.cost) == (None, 1, 200_000)
