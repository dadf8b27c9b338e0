"""What was used and what it cost: one's own, and for administrators everybody's. What may be used is ``budgets``.

Costs are in nano-dollars (billionths), and whole numbers. Days and months are those of UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from trialogue import (
    Charge,
    InvalidError,
    NotFoundError,
    UsageGroup,
    UsageSum,
)
from trialogue_server._http.call import Call, Reply, json_reply
from trialogue_server._http.links import next_page
from trialogue_server._http.queries import Limit, PageCursor, read_query
from trialogue_server._serving.services import Services
from trialogue_server._surface.routes import Route
from trialogue_server.api.budgets import BudgetState, owner_of, states_of

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


async def own_usage(services: Services, call: Call) -> Reply:
    """``GET /api/usage``: add up what one's answers have cost, and tell what one may still use."""
    principal = await services.principal(call)
    query = read_query(call, UsageQuery)
    budgets = await states_of(services, "user", principal.user.id, principal.user.id)
    if principal.key is not None:
        budgets += await states_of(services, "key", principal.key, principal.user.id)
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
    owner = None if query.user is None else await owner_of(services, "user", query.user)
    budgets = () if owner is None else await states_of(services, "user", owner, owner)
    return await _report(services, call, owner, query, budgets)


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
)
