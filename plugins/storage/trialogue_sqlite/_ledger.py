"""The facet for the ledger. Charges are written with the flushes they belong to (``put_charges``); a trigger keeps sums."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial

import msgspec

from trialogue import (
    AuditEntry,
    Charge,
    ChargePage,
    Hold,
    Judge,
    Ledger,
    NotFoundError,
    PayerKind,
    Period,
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
from trialogue_sqlite import _ledger_sql as sql
from trialogue_sqlite._accounts_writes import note
from trialogue_sqlite._driver import Connection, Value
from trialogue_sqlite._readers import Readers
from trialogue_sqlite._rows import body_of
from trialogue_sqlite._writer import Writer

_decode = msgspec.json.Decoder(Charge).decode
_EPOCH = date(1970, 1, 1)
#: The owner of everybody's sums.
EVERYBODY = "*"
#: Above every id.
_LAST = "\U0010ffff"
#: Charges of a deleted account that are made anonymous at a time: few, since others wait meanwhile.
FORGET = 500


class SQLiteLedger(Ledger):
    """See ``trialogue.Ledger``."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    async def charge(self, owner: str, run: str) -> Charge | None:
        body: str | None = await self._readers.near(lambda found: found.execute(sql.CHARGE, (owner, run)).get)
        return None if body is None else _decode(body)

    async def charges(self, owner: str, *, limit: int, cursor: str | None = None) -> ChargePage:
        return await self._readers.far(partial(_read_charges, owner=owner, limit=limit, cursor=cursor))

    async def usage(
        self, owner: str | None, group: UsageGroup, first: date, last: date, *, limit: int, cursor: str | None = None
    ) -> UsagePage:
        check_usage_group(owner, group)
        days = (_number(first), _number(last))
        return await self._readers.far(
            partial(_read_usage, owner=owner or EVERYBODY, group=group, days=days, limit=limit, cursor=cursor)
        )

    async def total(self, owner: str | None, first: date, last: date) -> UsageSum:
        values = (owner or EVERYBODY, _number(first), _number(last))
        return await self._readers.far(lambda found: _sum(None, found.execute(sql.TOTAL, values).fetchone()))

    async def budget(self, kind: PayerKind, payer: str) -> SpendingBudget | None:
        row = await self._readers.near(lambda found: found.execute(sql.BUDGET, (kind, payer)).fetchone())
        return None if row is None else SpendingBudget(*row)

    async def set_budget(
        self, kind: PayerKind, payer: str, budget: SpendingBudget | None, audit: Sequence[AuditEntry] = ()
    ) -> None:
        def write(connection: Connection) -> None:
            if budget is None:
                connection.execute(sql.DROP_BUDGET, (kind, payer))
            else:
                connection.execute(sql.PUT_BUDGET, (kind, payer, budget.month_micro_dollars, budget.day_tokens))
            note(connection, audit)

        await self._writer.run(write)

    async def standing(self, owner: str, key: str | None, at: datetime) -> Standing:
        return await self._readers.near(partial(read_standing, owner=owner, key=key, period=period_of(at)))

    async def reserve(self, owner: str, run: str, judge: Judge) -> Hold:
        return await self._writer.run(partial(_reserve, owner=owner, run=run, judge=judge))

    async def forget(self, owner: str) -> None:
        while await self._writer.run(partial(_forget_charges, owner=owner)) == FORGET:
            pass
        await self._writer.run(partial(_forget, owner=owner))


# --- charges ---------------------------------------------------------------------------------------------------------


def put_charges(connection: Connection, charges: Iterable[Charge]) -> None:
    """Write what a flush brings. Raises ``apsw.ConstraintError`` for a run that is settled already."""
    for charge in charges:
        day, body = _number(period_of(charge.started_at).day), body_of(charge)
        key = charge.key or ""
        if charge.status == "reserved":
            connection.execute(sql.OPEN, (charge.owner, charge.run, charge.conversation, key, day, body))
        else:
            connection.execute(sql.CLOSE, (charge.owner, charge.run))
            about = (charge.owner, charge.run, charge.conversation, key, charge.model, day)
            connection.execute(sql.SETTLE, (*about, *_figures(charge), body))


def _figures(charge: Charge) -> tuple[int, ...]:
    billed = charge.billed
    if billed is None:
        return (1, 1, 0, 0, 0, 0, 0, 0)
    return (
        charge.reported is None,
        billed.cost is None,
        billed.input_tokens or 0,
        billed.output_tokens or 0,
        billed.cache_read_tokens or 0,
        billed.cache_write_tokens or 0,
        billed.reasoning_tokens or 0,
        billed.cost or 0,
    )


def close_charges(connection: Connection, conversation: str) -> None:
    """Settle what is open in a conversation that is about to go: what came of it will never be told."""
    for (body,) in connection.execute(sql.LEFT_OPEN, (conversation,)).fetchall():
        gone = msgspec.structs.replace(_decode(body), status="cancelled", ended_at=datetime.now(UTC))
        put_charges(connection, [gone])


def _read_charges(connection: Connection, owner: str, limit: int, cursor: str | None) -> ChargePage:
    below = _LAST if cursor is None else place_in(cursor)
    rows = connection.execute(sql.CHARGES, (owner, below, max(limit, 0) + 1)).fetchall()
    shown = rows[: max(limit, 0)]
    more = place_cursor(shown[-1][0]) if shown and len(rows) > len(shown) else None
    return ChargePage(tuple(_decode(body) for _, body in shown), more)


# --- sums ------------------------------------------------------------------------------------------------------------


def _read_usage(
    connection: Connection, owner: str, group: UsageGroup, days: tuple[int, int], limit: int, cursor: str | None
) -> UsagePage:
    first, last = days
    after = None if cursor is None else place_in(cursor)
    most = max(limit, 0) + 1
    match group:
        case "day":
            last = last if after is None else min(last, _number(_day(after)) - 1)
            rows = connection.execute(sql.USAGE_DAY, (owner, first, last, most)).fetchall()
            rows = [((_EPOCH + timedelta(days=day)).isoformat(), *sums) for day, *sums in rows]
        case "conversation":
            below = _LAST if after is None else after
            rows = connection.execute(sql.USAGE_CONVERSATION, (owner, first, last, below, most)).fetchall()
        case "user":
            rows = connection.execute(sql.USAGE_USER, (first, last, _next(after), most)).fetchall()
        case "model" | "key":
            statement = sql.USAGE_MODEL if group == "model" else sql.USAGE_KEY
            rows = connection.execute(statement, (owner, first, last, _next(after), most)).fetchall()
    shown = rows[: max(limit, 0)]
    more = place_cursor(shown[-1][0]) if shown and len(rows) > len(shown) else None
    return UsagePage(tuple(_sum(name or None, sums) for name, *sums in shown), more)


def _sum(name: str | None, sums: Iterable[int | None]) -> UsageSum:
    return UsageSum(name, *(value or 0 for value in sums))


def _next(after: str | None) -> str:
    """The first text behind another."""
    return "" if after is None else after + "\x00"


def _number(day: date) -> int:
    return (day - _EPOCH).days


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise no_cursor(text) from error


# --- budgets ---------------------------------------------------------------------------------------------------------


def read_standing(connection: Connection, owner: str, key: str | None, period: Period) -> Standing:
    values: list[Value] = [owner, *map(_number, period)]
    spent, held = sql.SPENT, sql.HELD
    if key is not None:
        values.append(key)
        spent, held = sql.SPENT_BY_KEY, sql.HELD_BY_KEY
    month_cost, day_tokens = connection.execute(spent, values).fetchone()
    month_held, day_held = connection.execute(held, values).fetchone()
    return Standing(month_cost, month_held, day_tokens, day_held)


def _reserve(connection: Connection, owner: str, run: str, judge: Judge) -> Hold:
    # What it holds already, should this be asked once more, is given back first; all of it is undone if the judge refuses.
    body = connection.execute(sql.HOLD, (0, 0, owner, run)).get
    if body is None:
        raise NotFoundError(f"run {run!r} is over")
    charge = _decode(body)
    period = period_of(charge.started_at)
    of_key = None if charge.key is None else read_standing(connection, owner, charge.key, period)
    hold = judge(read_standing(connection, owner, None, period), of_key)
    connection.execute(sql.HOLD, (hold.cost, hold.tokens, owner, run)).fetchall()
    return hold


# --- accounts that are gone ------------------------------------------------------------------------------------------


def _forget_charges(connection: Connection, owner: str) -> int:
    return len(connection.execute(sql.FORGET_CHARGES, (owner, FORGET)).fetchall())


def _forget(connection: Connection, owner: str) -> None:
    for statement in sql.FORGET:
        connection.execute(statement, (owner,))
