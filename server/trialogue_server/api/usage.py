"""What was used and what it cost, and what may be: one's own, and for administrators everybody's.

Costs are in nano-dollars (billionths), budgets in micro-dollars (millionths) and tokens; all are whole numbers. Days and
months are those of UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from trialogue import (
    Charge,
    InvalidError,
    NotFoundError,
    PayerKind,
    Period,
    Principal,
    SpendingBudget,
    Standing,
    UsageGroup,
    UsageSum,
    is_id,
    period_of,
)
from trialogue_server._account_bodies import Money
from trialogue_server._call import Call, Reply, json_reply
from trialogue_server._links import next_page
from trialogue_server._queries import Limit, PageCursor, read_query
from trialogue_server._requests import read_struct
from trialogue_server._routes import Route
from trialogue_server._services import Services

#: Longest page: the days of a year.
MOST = 366


class UsageQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"since": "from", "until": "to"}):
    """What the sums are told apart by, and of which days they are."""

    group: Annotated[
        Literal["day", "model", "conversation", "key"], Meta(description="What the sums are told apart by.")
    ] = "day"
    since: Annotated[date | None, Meta(description="First day; absent: the first of the last one's month.")] = None
    until: Annotated[date | None, Meta(description="Last day; absent: today.")] = None
    limit: Limit = 100
    cursor: PageCursor | None = None


class AllUsageQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"since": "from", "until": "to"}):
    """As for one's own. Without ``user`` the sums are everybody's, by day, model or user."""

    group: Annotated[UsageGroup, Meta(description="What the sums are told apart by.")] = "day"
    user: Annotated[str | None, Meta(description="Id of an account: only what it used.")] = None
    since: Annotated[date | None, Meta(description="First day; absent: the first of the last one's month.")] = None
    until: Annotated[date | None, Meta(description="Last day; absent: today.")] = None
    limit: Limit = 100
    cursor: PageCursor | None = None


class BudgetState(msgspec.Struct, frozen=True):
    """One budget: whose, of which period, and what is left of it. ``limit`` is null where there is none.

    ``reserved`` is set aside for answers that are being written.
    """

    of: Literal["user", "key"]
    per: Literal["month", "day"]
    unit: Literal["micro-dollars", "tokens"]
    limit: int | None
    spent: int
    reserved: int
    resets_at: datetime


class UsageReport(msgspec.Struct, frozen=True, rename={"since": "from", "until": "to"}):
    """Sums by group: days and conversations newest first, the rest by name. ``total`` is that of all groups.

    ``cost`` is in nano-dollars, of those runs whose cost is known; ``unpriced`` counts the others.
    """

    group: UsageGroup
    since: date
    until: date
    usage: tuple[UsageSum, ...]
    total: UsageSum
    budgets: tuple[BudgetState, ...]
    cursor: str | None
    has_more: bool


class RunsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which part of the list."""

    limit: Limit = 50
    cursor: PageCursor | None = None


class Charges(msgspec.Struct, frozen=True):
    """Runs that have ended, newest first: what their provider reported, and our own count beside it."""

    charges: tuple[Charge, ...]
    cursor: str | None
    has_more: bool


#: As many as anybody could use, and few enough that sums of them fit everywhere.
Tokens: TypeAlias = Annotated[int, Meta(ge=0, le=10**12)]


class BudgetBody(msgspec.Struct, forbid_unknown_fields=True):
    """A whole budget: what is absent has no bound."""

    month_micro_dollars: Money | None = None
    day_tokens: Tokens | None = None


class ShownBudget(msgspec.Struct, frozen=True):
    """What was set for somebody (null: nothing was), and how they stand with what holds for them."""

    set: SpendingBudget | None
    budgets: tuple[BudgetState, ...]


async def own_usage(services: Services, call: Call) -> Reply:
    """``GET /api/usage``: add up what one's answers have cost, and tell what one may still use."""
    principal = await services.principal(call)
    query = read_query(call, UsageQuery)
    budgets = await _states(services, "user", principal.user.id, principal.user.id)
    if principal.key is not None:
        budgets += await _states(services, "key", principal.key, principal.user.id)
    return await _report(services, call, principal.user.id, query, budgets)


async def own_runs(services: Services, call: Call) -> Reply:
    """``GET /api/usage/runs``: list one's runs that have ended, each with what it is charged."""
    principal = await services.principal(call)
    query = read_query(call, RunsQuery)
    ledger = services.store.ledger
    page = await ledger.charges(principal.user.id, limit=min(query.limit, 200), cursor=query.cursor)
    more = page.cursor is not None
    return json_reply(Charges(page.charges, page.cursor, more), headers=next_page(call, page.cursor))


async def all_usage(services: Services, call: Call) -> Reply:
    """``GET /api/admin/usage``: add up what everybody's answers have cost, or one account's."""
    await services.principal(call)
    query = read_query(call, AllUsageQuery)
    owner = None if query.user is None else await _owner(services, "user", query.user)
    budgets = () if owner is None else await _states(services, "user", owner, owner)
    return await _report(services, call, owner, query, budgets)


async def user_budget(services: Services, call: Call) -> Reply:
    """``GET /api/admin/budgets/users/{id}``: tell what an account may use, and what it has used of it."""
    await services.principal(call)
    return await _shown(services, "user", call.arguments["id"])


async def set_user_budget(services: Services, call: Call) -> Reply:
    """``PUT /api/admin/budgets/users/{id}``: say what an account may use, in place of what holds for everybody."""
    return await _set(services, call, "user")


async def drop_user_budget(services: Services, call: Call) -> Reply:
    """``DELETE /api/admin/budgets/users/{id}``: let the account have what holds for everybody again."""
    return await _drop(services, call, "user")


async def key_budget(services: Services, call: Call) -> Reply:
    """``GET /api/admin/budgets/keys/{id}``: tell what an API key may use, and what it has used of it."""
    await services.principal(call)
    return await _shown(services, "key", call.arguments["id"])


async def set_key_budget(services: Services, call: Call) -> Reply:
    """``PUT /api/admin/budgets/keys/{id}``: say what an API key may use, in place of what its owner said."""
    return await _set(services, call, "key")


async def drop_key_budget(services: Services, call: Call) -> Reply:
    """``DELETE /api/admin/budgets/keys/{id}``: let the API key have what its owner said again."""
    return await _drop(services, call, "key")


# --- sums --------------------------------------------------------------------------------------------------------


async def _report(
    services: Services, call: Call, owner: str | None, query: UsageQuery | AllUsageQuery, budgets: Sequence[BudgetState]
) -> Reply:
    first, last = _days(query)
    ledger = services.store.ledger
    limit = min(query.limit, MOST)
    page = await ledger.usage(owner, query.group, first, last, limit=limit, cursor=query.cursor)
    total = await ledger.total(owner, first, last)
    more = page.cursor is not None
    report = UsageReport(query.group, first, last, page.groups, total, tuple(budgets), page.cursor, more)
    return json_reply(report, headers=next_page(call, page.cursor))


def _days(query: UsageQuery | AllUsageQuery) -> tuple[date, date]:
    last = query.until or datetime.now(UTC).date()
    first = query.since or last.replace(day=1)
    if first > last:
        raise InvalidError(f"from={first} is behind to={last}: swap them")
    return first, last


# --- budgets -----------------------------------------------------------------------------------------------------


async def _states(services: Services, kind: PayerKind, payer: str, owner: str) -> tuple[BudgetState, ...]:
    now = datetime.now(UTC)
    budget = await services.engine.budgets.of(kind, payer)
    standing = await services.store.ledger.standing(owner, payer if kind == "key" else None, now)
    return _told(kind, budget, standing, period_of(now))


def _told(kind: PayerKind, budget: SpendingBudget, standing: Standing, period: Period) -> tuple[BudgetState, ...]:
    # Rounded up: what is said to be left is there.
    spent, held = -(-standing.month_cost // 1000), -(-standing.month_held // 1000)
    month, day = _end_of(period.last), _end_of(period.day)
    return (
        BudgetState(kind, "month", "micro-dollars", budget.month_micro_dollars, spent, held, month),
        BudgetState(kind, "day", "tokens", budget.day_tokens, standing.day_tokens, standing.day_held, day),
    )


def _end_of(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), UTC)


async def _owner(services: Services, kind: PayerKind, payer: str) -> str:
    """The account that pays. Raises ``NotFoundError``."""
    if is_id(payer):
        if kind == "user" and (user := await services.accounts.user(payer)) is not None:
            return user.id
        if kind == "key" and (key := await services.accounts.key_by_id(payer)) is not None:
            return key.user
    raise NotFoundError(f"there is no {'account' if kind == 'user' else 'API key'} {payer[:64]!r}")


async def _shown(services: Services, kind: PayerKind, payer: str) -> Reply:
    owner = await _owner(services, kind, payer)
    was_set = await services.store.ledger.budget(kind, payer)
    return json_reply(ShownBudget(was_set, await _states(services, kind, payer, owner)))


async def _set(services: Services, call: Call, kind: PayerKind) -> Reply:
    principal = await services.principal(call)
    body = await read_struct(call, BudgetBody)
    budget = SpendingBudget(body.month_micro_dollars, body.day_tokens)
    await _change(services, call, principal, kind, budget)
    return await _shown(services, kind, call.arguments["id"])


async def _drop(services: Services, call: Call, kind: PayerKind) -> Reply:
    await _change(services, call, await services.principal(call), kind, None)
    return Reply(204)


async def _change(
    services: Services, call: Call, principal: Principal, kind: PayerKind, budget: SpendingBudget | None
) -> None:
    payer = call.arguments["id"]
    owner = await _owner(services, kind, payer)
    detail = "as by default"
    if budget is not None:
        detail = f"{budget.month_micro_dollars} micro-dollars a month, {budget.day_tokens} tokens a day"
    thing = payer if kind == "key" else None
    entry = services.origin(call, principal).entry("budget.changed", owner, thing=thing, detail=detail)
    await services.engine.budgets.set(kind, payer, budget, (entry,))
    services.trail.tell(entry)


ROUTES = (
    Route("GET", "/api/usage", own_usage, query=UsageQuery, reply=UsageReport),
    Route("GET", "/api/usage/runs", own_runs, query=RunsQuery, reply=Charges),
    Route(
        "GET",
        "/api/admin/usage",
        all_usage,
        access="admin",
        query=AllUsageQuery,
        reply=UsageReport,
        problems=(NotFoundError,),
    ),
    Route("GET", "/api/admin/budgets/users/<id>", user_budget, access="admin", reply=ShownBudget),
    Route("PUT", "/api/admin/budgets/users/<id>", set_user_budget, access="admin", body=BudgetBody, reply=ShownBudget),
    Route("DELETE", "/api/admin/budgets/users/<id>", drop_user_budget, access="admin", status=204),
    Route("GET", "/api/admin/budgets/keys/<id>", key_budget, access="admin", reply=ShownBudget),
    Route("PUT", "/api/admin/budgets/keys/<id>", set_key_budget, access="admin", body=BudgetBody, reply=ShownBudget),
    Route("DELETE", "/api/admin/budgets/keys/<id>", drop_key_budget, access="admin", status=204),
)
