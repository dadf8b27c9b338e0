"""The facet for the ledger. Charges are written with the flushes they belong to, see ``_charges``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta

from msgspec.structs import replace

from trialogue import (
    AuditEntry,
    Charge,
    ChargePage,
    Hold,
    Judge,
    Ledger,
    NotFoundError,
    PayerKind,
    SpendingBudget,
    Standing,
    UsageGroup,
    UsagePage,
    UsageSum,
    check_usage_group,
    no_cursor,
    period_of,
    place_cursor,
    place_in,
)
from trialogue_postgres import _ledger_sql as sql
from trialogue_postgres._accounts_writes import note
from trialogue_postgres._charges import decode_charge
from trialogue_postgres._connection import TrioConnection
from trialogue_postgres._database import Database, Row, rows, send
from trialogue_postgres._rows import body_of

#: The owner of everybody's sums.
EVERYBODY = "*"
#: Above every id.
_LAST = "\U0010ffff"
#: Charges of a deleted account that are made anonymous at a time: what takes a millisecond.
FORGET = 200
_GROUPS = {
    "day": sql.USAGE_DAY,
    "model": sql.USAGE_MODEL,
    "key": sql.USAGE_KEY,
    "conversation": sql.USAGE_CONVERSATION,
    "user": sql.USAGE_USER,
}


class PostgresLedger(Ledger):
    """See ``trialogue.Ledger``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- what was used -------------------------------------------------------------------------------------------

    async def charge(self, owner: str, run: str) -> Charge | None:
        row = await self._database.first(sql.CHARGE, {"owner": owner, "run": run})
        return None if row is None else decode_charge(row[0])

    async def charges(self, owner: str, *, limit: int, cursor: str | None = None) -> ChargePage:
        below = _LAST if cursor is None else place_in(cursor)
        found = await self._database.read(sql.CHARGES, {"owner": owner, "below": below, "limit": max(limit, 0) + 1})
        shown, more = _page(found, limit)
        return ChargePage(tuple(decode_charge(body) for _, body in shown), more)

    async def usage(
        self, owner: str | None, group: UsageGroup, first: date, last: date, *, limit: int, cursor: str | None = None
    ) -> UsagePage:
        check_usage_group(owner, group)
        after = None if cursor is None else place_in(cursor)
        if group == "day" and after is not None:
            last = min(last, _day_before(after))
        values = {
            "owner": owner or EVERYBODY,
            "first": first,
            "last": last,
            "after": (_LAST if group == "conversation" else "") if after is None else after,
            "begins": after is None,
            "limit": max(limit, 0) + 1,
        }
        shown, more = _page(await self._database.read(_GROUPS[group], values), limit)
        return UsagePage(tuple(_sum(name or None, sums) for name, *sums in shown), more)

    async def total(self, owner: str | None, first: date, last: date) -> UsageSum:
        row = await self._database.first(sql.TOTAL, {"owner": owner or EVERYBODY, "first": first, "last": last})
        return _sum(None, row or ())

    # --- what may be used ----------------------------------------------------------------------------------------

    async def budget(self, kind: PayerKind, payer: str) -> SpendingBudget | None:
        row = await self._database.first(sql.BUDGET, {"kind": kind, "payer": payer})
        return None if row is None else SpendingBudget(*row)

    async def set_budget(
        self, kind: PayerKind, payer: str, budget: SpendingBudget | None, audit: Sequence[AuditEntry] = ()
    ) -> None:
        async def work(connection: TrioConnection) -> None:
            values: dict[str, object] = {"kind": kind, "payer": payer}
            if budget is None:
                await send(connection, sql.DROP_BUDGET, values)
            else:
                values |= {"month": budget.month_micro_dollars, "day": budget.day_tokens}
                await send(connection, sql.PUT_BUDGET, values)
            await note(connection, audit)

        await self._database.write(work)

    async def standing(self, owner: str, key: str | None, at: datetime) -> Standing:
        values = {**_period(at), "owner": owner, "key": key, "run": ""}
        row = await self._database.first(sql.STANDING if key is None else sql.STANDING_BY_KEY, values)
        return Standing(*row or ())

    async def reserve(self, owner: str, run: str, judge: Judge) -> Hold:
        whose: dict[str, object] = {"owner": owner, "run": run}
        row = await self._database.first(sql.HELD, whose)
        if row is None:
            raise NotFoundError(f"run {run!r} is over")
        charge = decode_charge(row[0])
        values = {**_period(charge.started_at), **whose, "key": charge.key}

        async def work(connection: TrioConnection) -> Hold:
            await send(connection, sql.ONE_AT_A_TIME, {"owner": owner})
            of_owner = Standing(*(await rows(connection, sql.STANDING, values))[0])
            by_key = await rows(connection, sql.STANDING_BY_KEY, values) if charge.key is not None else []
            hold = judge(of_owner, Standing(*by_key[0]) if by_key else None)
            if not await rows(connection, sql.HOLD, {**whose, "cost": hold.cost, "tokens": hold.tokens}):
                raise NotFoundError(f"run {run!r} is over")
            return hold

        return await self._database.write(work)

    # --- what is forgotten ---------------------------------------------------------------------------------------

    async def forget(self, owner: str) -> None:
        async def some(connection: TrioConnection) -> int:
            found = await rows(connection, sql.SOME_CHARGES, {"owner": owner, "limit": FORGET})
            bodies = [body_of(_anonymous(decode_charge(body))) for _, body in found]
            if found:
                values = {"owner": owner, "runs": [run for run, _ in found], "bodies": bodies}
                await send(connection, sql.FORGET_CHARGES, values)
            return len(found)

        async def rest(connection: TrioConnection) -> None:
            async with connection.pipeline():
                for statement in sql.FORGET:
                    await send(connection, statement, {"owner": owner})

        while await self._database.write(some) == FORGET:
            pass
        await self._database.write(rest)


def _anonymous(charge: Charge) -> Charge:
    return replace(charge, owner="", conversation="", message="", key=None)


def _period(at: datetime) -> dict[str, object]:
    period = period_of(at)
    return {"day": period.day, "first": period.first, "last": period.last}


def _page(found: list[Row], limit: int) -> tuple[list[Row], str | None]:
    """What is shown of rows that begin with a name, and the cursor after it."""
    shown = found[: max(limit, 0)]
    more = place_cursor(shown[-1][0]) if shown and len(found) > len(shown) else None
    return shown, more


def _sum(name: str | None, sums: Iterable[int | None]) -> UsageSum:
    return UsageSum(name, *(value or 0 for value in sums))


def _day_before(text: str) -> date:
    try:
        return date.fromisoformat(text) - timedelta(days=1)
    except (ValueError, OverflowError) as error:
        raise no_cursor(text) from error
