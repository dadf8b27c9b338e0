"""Budgets: what users and API keys may spend, what they have spent, and how administrators set it.

Money is in micro-dollars (millionths), and whole numbers. Days and months are those of UTC.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from trialogue import NotFoundError, PayerKind, Period, Principal, SpendingBudget, Standing, is_id, period_of
from trialogue_server._http.call import Call, Reply, json_reply
from trialogue_server._http.requests import read_struct
from trialogue_server._serving.services import Services
from trialogue_server._surface.routes import Route
from trialogue_server.api._account_bodies import Money


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


async def states_of(services: Services, kind: PayerKind, payer: str, owner: str) -> tuple[BudgetState, ...]:
    """How ``payer``, who is ``owner`` or a key of theirs, stands now. Raises ``StorageError``."""
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


async def owner_of(services: Services, kind: PayerKind, payer: str) -> str:
    """The account that pays. Raises ``NotFoundError``."""
    if is_id(payer):
        if kind == "user" and (user := await services.accounts.user(payer)) is not None:
            return user.id
        if kind == "key" and (key := await services.accounts.key_by_id(payer)) is not None:
            return key.user
    raise NotFoundError(f"there is no {'account' if kind == 'user' else 'API key'} {payer[:64]!r}")


async def _shown(services: Services, kind: PayerKind, payer: str) -> Reply:
    owner = await owner_of(services, kind, payer)
    was_set = await services.store.ledger.budget(kind, payer)
    return json_reply(ShownBudget(was_set, await states_of(services, kind, payer, owner)))


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
    owner = await owner_of(services, kind, payer)
    detail = "as by default"
    if budget is not None:
        detail = f"{budget.month_micro_dollars} micro-dollars a month, {budget.day_tokens} tokens a day"
    thing = payer if kind == "key" else None
    entry = services.origin(call, principal).entry("budget.changed", owner, thing=thing, detail=detail)
    await services.engine.budgets.set(kind, payer, budget, (entry,))
    services.trail.tell(entry)


ROUTES = (
    Route("GET", "/api/admin/budgets/users/<id>", user_budget, access="admin", reply=ShownBudget),
    Route("PUT", "/api/admin/budgets/users/<id>", set_user_budget, access="admin", body=BudgetBody, reply=ShownBudget),
    Route("DELETE", "/api/admin/budgets/users/<id>", drop_user_budget, access="admin", status=204),
    Route("GET", "/api/admin/budgets/keys/<id>", key_budget, access="admin", reply=ShownBudget),
    Route("PUT", "/api/admin/budgets/keys/<id>", set_key_budget, access="admin", body=BudgetBody, reply=ShownBudget),
    Route("DELETE", "/api/admin/budgets/keys/<id>", drop_key_budget, access="admin", status=204),
)
