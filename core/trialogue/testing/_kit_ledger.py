"""Store checks: charges, their sums, budgets and what is set aside."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import trio

from trialogue._accounts.audit import Origin
from trialogue._facts.errors import BudgetError, InvalidError, NotFoundError, TrialogueError
from trialogue._facts.ids import new_id
from trialogue._facts.values import Usage
from trialogue._paying.ledger import Charge, Hold, Judge, SpendingBudget, Standing, UsageSum, sum_of
from trialogue._storage.store import Store
from trialogue.testing._kit_making import StoreCheck, Talk, begin, checks_in, numbers

LEDGER_CHECKS: list[StoreCheck] = []
check = checks_in(LEDGER_CHECKS)

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)
ALWAYS = (date(1970, 1, 1), date(2999, 12, 31))
REPORTED = Usage("reported", 100, 20, cache_read_tokens=60, cache_write_tokens=10, reasoning_tokens=5, cost=7_000)


def started(talk: Talk, at: datetime = NOON, **fields: Any) -> Charge:  # Any: the fields of Charge.
    values: dict[str, Any] = {
        "run": new_id(),
        "conversation": talk.id,
        "message": new_id(),
        "owner": talk.header.owner,
        "model": "echo:echo",
        "started_at": at,
    } | fields
    return Charge(**values)


def ended(charge: Charge, usage: Usage | None = REPORTED, **fields: Any) -> Charge:  # Any: as above.
    counted = Usage("estimated", 90, 18, cost=6_000)
    done: dict[str, Any] = {"status": "completed", "ended_at": charge.started_at + timedelta(seconds=9)} | fields
    return msgspec.structs.replace(charge, reported=usage, counted=counted, **done)


async def spend(
    talk: Talk, usage: Usage | None = REPORTED, at: datetime = NOON, **fields: Any
) -> Charge:  # Any: as above.
    """Commit a run's start and its end."""
    charge = started(talk, at, **fields)
    await talk.write("run.started", charges=(charge,))
    done = ended(charge, usage)
    await talk.write("run.completed", charges=(done,))
    return done


@contextmanager
def refused_with(kind: type[TrialogueError]) -> Generator[None]:
    """What happens inside has to be refused."""
    try:
        yield
    except kind:
        return
    raise AssertionError(f"not refused with {kind.__name__}")


def granting(cost: int, tokens: int) -> Judge:
    """A judge that always grants the same."""

    def judge(of_owner: Standing, of_key: Standing | None) -> Hold:
        return Hold(cost, tokens)

    return judge


async def run_of(talk: Talk, **fields: Any) -> Charge:  # Any: as above.
    """Commit a run's start."""
    charge = started(talk, **fields)
    await talk.write("run.started", charges=(charge,))
    return charge


async def groups(
    store: Store, owner: str | None, group: Any, **more: Any
) -> list[UsageSum]:  # Any: as the port has it.
    page = await store.ledger.usage(owner, group, *ALWAYS, limit=100, **more)
    assert page.cursor is None
    return list(page.groups)


@check
async def charge_is_reserved_and_then_settled(store: Store) -> None:
    talk = await begin(store)
    charge = await run_of(talk, key="key-1")
    assert await store.ledger.charge("owner", charge.run) == charge
    assert await store.ledger.charge("other", charge.run) is None
    assert list((await store.ledger.charges("owner", limit=10)).charges) == []
    done = ended(charge)
    await talk.write("run.completed", charges=(done,))
    assert await store.ledger.charge("owner", charge.run) == done
    assert list((await store.ledger.charges("owner", limit=10)).charges) == [done]


@check
async def run_that_starts_and_ends_in_one_flush_is_settled(store: Store) -> None:
    talk = await begin(store)
    done = ended(started(talk), None, status="failed")
    await talk.write("run.started", "run.failed", charges=(done,))
    assert await store.ledger.charge("owner", done.run) == done


@check
async def what_was_asked_beside_the_answers_is_settled_without_being_opened(store: Store) -> None:
    talk = await begin(store)
    answer = await spend(talk)
    beside = [
        ended(started(talk, message="", kind="title", key="key-1")),
        ended(started(talk, message=answer.message, kind="summary"), None),
    ]
    for charge in beside:
        await talk.write("conversation.updated", charges=(charge,))
        assert await store.ledger.charge("owner", charge.run) == charge
    assert {one.run: one for one in (await store.ledger.charges("owner", limit=10)).charges} == {
        one.run: one for one in (answer, *beside)
    }
    assert await store.ledger.total("owner", *ALWAYS) == sum_of(None, [answer, *beside])
    assert await groups(store, "owner", "conversation") == [sum_of(talk.id, [answer, *beside])]
    assert (await store.ledger.standing("owner", "key-1", NOON)).month_cost == 7_000


@check
async def title_and_its_charge_are_one(store: Store) -> None:
    talk = await begin(store)
    charge = ended(started(talk, message="", kind="title"))
    flush = talk.flush("conversation.updated", charges=(charge,))
    assert list(await store.append([msgspec.structs.replace(flush, epoch=flush.epoch + 1)])) == ["fenced"]
    assert await store.ledger.charge("owner", charge.run) is None
    for _ in range(2):
        assert list(await store.append([flush])) == ["committed"]
    assert await store.ledger.total("owner", *ALWAYS) == sum_of(None, [charge])
    with refused_with(NotFoundError):
        await store.ledger.reserve("owner", charge.run, granting(1, 1))


@check
async def charge_without_a_message_outlives_its_conversation_and_its_owner(store: Store) -> None:
    talk = await begin(store)
    charge = ended(started(talk, message="", kind="title", key="key-1"))
    await talk.write("conversation.updated", charges=(charge,))
    await store.purge(talk.id)
    assert await store.ledger.charge("owner", charge.run) == charge
    await store.ledger.forget("owner")
    assert await store.ledger.charge("owner", charge.run) is None
    assert await store.ledger.total(None, *ALWAYS) == sum_of(None, [charge])


@check
async def fenced_flush_charges_nothing(store: Store) -> None:
    talk = await begin(store)
    charge = started(talk)
    flush = msgspec.structs.replace(talk.flush("run.started", charges=(charge,)), node="node-b")
    assert list(await store.append([flush])) == ["fenced"]
    assert await store.ledger.charge("owner", charge.run) is None


@check
async def retried_flush_charges_once(store: Store) -> None:
    talk = await begin(store)
    done = await spend(talk)
    again = await talk.write("run.completed", charges=(ended(started(talk)),))
    assert list(await store.append([again])) == ["committed"]
    assert (await store.ledger.total("owner", *ALWAYS)).runs == 2
    assert done.run != again.charges[0].run


@check
async def run_is_settled_once(store: Store) -> None:
    talk = await begin(store)
    done = await spend(talk)
    for charge in (done, msgspec.structs.replace(done, status="failed")):
        assert list(await store.append([talk.flush("usage", charges=(charge,))])) == ["fenced"]
    assert await numbers(talk) == [0, 1, 2]
    assert await store.ledger.total("owner", *ALWAYS) == sum_of(None, [done])


@check
async def sums_are_those_of_the_charges(store: Store) -> None:
    talk, other = await begin(store), await begin(store)
    midnight = datetime(2026, 4, 1, tzinfo=UTC)
    first = [await spend(talk), await spend(talk, None, key="key-1"), await spend(other, Usage("reported", 3, 4))]
    later = [await spend(talk, at=midnight, model="a:b", key="key-1"), await spend(other, at=midnight, model="a:b")]
    await spend(await begin(store, owner="somebody"), model="c:d")
    every = [*first, *later]
    assert await store.ledger.total("owner", *ALWAYS) == sum_of(None, every)
    assert await groups(store, "owner", "day") == [sum_of("2026-04-01", later), sum_of("2026-03-31", first)]
    assert await groups(store, "owner", "model") == [sum_of("a:b", later), sum_of("echo:echo", first)]
    keyed = [charge for charge in every if charge.key]
    assert await groups(store, "owner", "key") == [
        sum_of(None, [charge for charge in every if not charge.key]),
        sum_of("key-1", keyed),
    ]
    said = {name: [charge for charge in every if charge.conversation == name] for name in (talk.id, other.id)}
    assert await groups(store, "owner", "conversation") == [
        sum_of(name, said[name]) for name in sorted(said, reverse=True)
    ]
    assert (await store.ledger.total("owner", date(2026, 4, 1), date(2026, 4, 1))).runs == 2


@check
async def absent_is_not_zero(store: Store) -> None:
    talk = await begin(store)
    await spend(talk, Usage("reported", 0, 0, cost=0))
    await spend(talk, Usage("reported", None, 5))
    await spend(talk, None)
    found = await store.ledger.total("owner", *ALWAYS)
    assert (found.runs, found.estimated, found.unpriced) == (3, 1, 1)
    assert (found.input_tokens, found.output_tokens, found.cost) == (90, 5 + 18, 6_000)


@check
async def everybody_is_summed_up_for_administrators(store: Store) -> None:
    charges = [await spend(await begin(store, owner=name)) for name in ("ann", "bob", "bob")]
    assert await store.ledger.total(None, *ALWAYS) == sum_of(None, charges)
    assert await groups(store, None, "user") == [sum_of("ann", charges[:1]), sum_of("bob", charges[1:])]
    assert await groups(store, None, "model") == [sum_of("echo:echo", charges)]
    for owner, group in ((None, "key"), (None, "conversation"), ("ann", "user")):
        with refused_with(InvalidError):
            await groups(store, owner, group)


@check
async def groups_come_in_pages(store: Store) -> None:
    talk = await begin(store)
    for number in range(5):
        await spend(
            talk, at=NOON + timedelta(days=number), model=f"m:{number}", key=f"key-{number}" if number else None
        )
        await spend(await begin(store, owner=f"user-{number}"))
    for owner, group in (("owner", "day"), ("owner", "model"), ("owner", "key"), (None, "user"), (None, "day")):
        whole = await groups(store, owner, group)
        found: list[UsageSum] = []
        cursor = None
        while len(found) < 20:
            page = await store.ledger.usage(owner, group, *ALWAYS, limit=2, cursor=cursor)  # type: ignore[arg-type]
            found += page.groups
            cursor = page.cursor
            if cursor is None:
                break
        assert found == whole, group
    with refused_with(InvalidError):
        await store.ledger.usage("owner", "day", *ALWAYS, limit=2, cursor="?")


@check
async def charges_come_in_pages_newest_first(store: Store) -> None:
    talk = await begin(store)
    runs = [(await spend(talk)).run for _ in range(5)]
    first = await store.ledger.charges("owner", limit=3)
    rest = await store.ledger.charges("owner", limit=3, cursor=first.cursor)
    assert [charge.run for charge in (*first.charges, *rest.charges)] == sorted(runs, reverse=True)
    assert rest.cursor is None


@check
async def budget_is_set_and_removed(store: Store) -> None:
    assert await store.ledger.budget("user", "ann") is None
    await store.ledger.set_budget("user", "ann", SpendingBudget(0, 5))
    await store.ledger.set_budget("key", "ann", SpendingBudget(day_tokens=7))
    assert await store.ledger.budget("user", "ann") == SpendingBudget(0, 5)
    assert await store.ledger.budget("key", "ann") == SpendingBudget(None, 7)
    entry = Origin("root").entry("budget.changed", "ann")
    await store.ledger.set_budget("user", "ann", None, [entry])
    assert await store.ledger.budget("user", "ann") is None
    assert list((await store.accounts.audit(limit=10)).entries) == [entry]


@check
async def standing_is_of_the_day_and_its_month(store: Store) -> None:
    talk = await begin(store)
    assert await store.ledger.standing("owner", None, NOON) == Standing()
    await spend(talk, at=datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC))
    await spend(talk, at=datetime(2026, 3, 1, tzinfo=UTC), key="key-1")
    await spend(talk, at=datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC))
    await spend(talk, at=datetime(2026, 4, 1, tzinfo=UTC))
    assert await store.ledger.standing("owner", None, NOON) == Standing(14_000, 0, 120, 0)
    assert await store.ledger.standing("owner", "key-1", NOON) == Standing(7_000, 0, 0, 0)
    assert await store.ledger.standing("nobody", None, NOON) == Standing()


@check
async def what_is_set_aside_is_given_back_when_the_run_ends(store: Store) -> None:
    talk = await begin(store)
    charge = await run_of(talk, key="key-1")
    assert await store.ledger.reserve("owner", charge.run, granting(9_000, 500)) == Hold(9_000, 500)
    for key in (None, "key-1"):
        assert await store.ledger.standing("owner", key, NOON) == Standing(0, 9_000, 0, 500)
    assert await store.ledger.standing("owner", "key-2", NOON) == Standing()
    await talk.write("run.completed", charges=(ended(charge),))
    assert await store.ledger.standing("owner", None, NOON) == Standing(7_000, 0, 120, 0)


@check
async def judge_is_told_without_what_the_run_holds_already(store: Store) -> None:
    talk = await begin(store)
    await spend(talk, key="key-1")
    charge, other = await run_of(talk, key="key-1"), await run_of(await begin(store))
    await store.ledger.reserve("owner", other.run, granting(1, 2))
    told: list[tuple[Standing, Standing | None]] = []

    def judge(of_owner: Standing, of_key: Standing | None) -> Hold:
        told.append((of_owner, of_key))
        return Hold(50, 60)

    for _ in range(2):
        await store.ledger.reserve("owner", charge.run, judge)
    assert told == [(Standing(7_000, 1, 120, 2), Standing(7_000, 0, 120, 0))] * 2


@check
async def refusal_leaves_everything_as_it_was(store: Store) -> None:
    charge = await run_of(await begin(store))
    await store.ledger.reserve("owner", charge.run, granting(5, 6))

    def refuse(*_: object) -> Hold:
        raise BudgetError("no")

    with refused_with(BudgetError):
        await store.ledger.reserve("owner", charge.run, refuse)
    assert await store.ledger.standing("owner", None, NOON) == Standing(0, 5, 0, 6)


@check
async def only_a_live_run_is_granted_anything(store: Store) -> None:
    done = await spend(await begin(store))
    for owner, run in (("owner", done.run), ("owner", new_id()), ("other", done.run)):
        with refused_with(NotFoundError):
            await store.ledger.reserve(owner, run, granting(1, 1))


@check
async def nothing_is_granted_twice_in_a_race(store: Store) -> None:
    """Twenty at a time want 1,000 of 4,500."""
    charges = [await run_of(await begin(store)) for _ in range(20)]
    refused = 0

    def judge(of_owner: Standing, _: Standing | None) -> Hold:
        if of_owner.month_cost + of_owner.month_held + 1_000 > 4_500:
            raise BudgetError("no")
        return Hold(1_000, 0)

    async def reserve(charge: Charge) -> None:
        nonlocal refused
        try:
            await store.ledger.reserve("owner", charge.run, judge)
        except BudgetError:
            refused += 1

    async with trio.open_nursery() as nursery:
        for charge in charges:
            nursery.start_soon(reserve, charge)
    assert refused == 16
    assert (await store.ledger.standing("owner", None, NOON)).month_held == 4_000


@check
async def purge_keeps_the_sums_and_settles_what_was_live(store: Store) -> None:
    talk = await begin(store)
    done, live = await spend(talk), await run_of(talk)
    await store.ledger.reserve("owner", live.run, granting(5, 6))
    await store.purge(talk.id)
    assert await store.ledger.charge("owner", done.run) == done
    gone = await store.ledger.charge("owner", live.run)
    assert gone is not None
    assert (gone.status, gone.billed) == ("cancelled", None)
    assert await store.ledger.standing("owner", None, NOON) == Standing(7_000, 0, 120, 0)
    assert await store.ledger.total("owner", *ALWAYS) == sum_of(None, [done, gone])


@check
async def account_that_is_gone_leaves_sums_without_a_name(store: Store) -> None:
    for owner in ("ann", "bob", "bob"):
        done = await spend(await begin(store, owner=owner), key="key-1")
    await store.ledger.set_budget("user", "bob", SpendingBudget(1))
    before = await store.ledger.total(None, *ALWAYS)
    for owner in ("ann", "bob", "bob"):
        await store.ledger.forget(owner)
    assert await store.ledger.total(None, *ALWAYS) == before
    assert await groups(store, None, "user") == [msgspec.structs.replace(before, name=None)]
    assert await store.ledger.charge("bob", done.run) is None
    assert await store.ledger.total("bob", *ALWAYS) == UsageSum(None)
    assert await store.ledger.budget("user", "bob") is None
