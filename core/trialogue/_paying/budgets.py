"""Budgets: whether somebody may ask a model at all, and how long an answer they can still pay.

Two looks, of which only the second is binding. Before a command takes effect ``check`` refuses what is hopeless, so that
nothing is said that will not be answered. When the run's request is known, ``reserve`` sets aside the most it can cost,
in one step in the store: whoever comes second finds that gone. Who has no budget waits for neither.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import trio

from trialogue._accounts.audit import AuditEntry
from trialogue._deciding.live_run import LiveRun
from trialogue._facts.values import Model, Terms
from trialogue._paying.affording import binds, bounds, grant, hold, longest_answer, with_spent
from trialogue._paying.ledger import Hold, PayerKind, SpendingBudget, Standing
from trialogue._storage.store import Store

#: Seconds for which a budget is believed; on the node where it is changed, the change holds at once.
BELIEVED = 10.0
#: Payers remembered at a time; beyond, all are looked up again.
REMEMBERED = 10_000


class Budgets:
    """The budgets of one node's payers. ``default`` is for users for whom none was set."""

    def __init__(self, store: Store, now: Callable[[], datetime], default: SpendingBudget) -> None:
        self.default = default
        self._store = store
        self._now = now
        self._known: dict[tuple[PayerKind, str], tuple[float, SpendingBudget]] = {}

    def __repr__(self) -> str:
        return f"<Budgets default={self.default} known={len(self._known)}>"

    async def of(self, kind: PayerKind, payer: str) -> SpendingBudget:
        """What holds for a user or a key. Raises ``StorageError``."""
        known = self._known.get((kind, payer))
        if known is not None and known[0] > trio.current_time():
            return known[1]
        budget = await self._store.ledger.budget(kind, payer) or await self._unset(kind, payer)
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[kind, payer] = (trio.current_time() + BELIEVED, budget)
        return budget

    async def set(
        self, kind: PayerKind, payer: str, budget: SpendingBudget | None, audit: Sequence[AuditEntry] = ()
    ) -> None:
        """Replace it; ``None`` goes back to what holds by default. Raises ``StorageError``."""
        await self._store.ledger.set_budget(kind, payer, budget, audit)
        self._known.pop((kind, payer), None)

    async def _unset(self, kind: PayerKind, payer: str) -> SpendingBudget:
        if kind == "user":
            return self.default
        key = await self._store.accounts.key_by_id(payer)
        return SpendingBudget(None if key is None else key.budget)

    async def check(self, owner: str, terms: Terms) -> None:
        """Refuse what nothing is left for. Raises ``BudgetError``, ``InvalidError`` (no price), ``StorageError``."""
        for kind, budget in await self._all(owner, terms.key):
            if binds(budget, terms.prices):
                now = self._now()
                standing = await self._store.ledger.standing(owner, terms.key if kind == "key" else None, now)
                for bound in bounds(kind, budget, standing, terms.prices, now):
                    if bound.left <= 0:
                        raise bound.exhausted(now)

    async def reserve(self, owner: str, run: LiveRun, model: Model, asked: int) -> int:
        """Set aside the most that ``run`` can cost with ``asked`` tokens of input; returns how many it may answer with.

        The run's start has to be committed. Raises ``BudgetError`` when too little is left, ``NotFoundError`` when the run
        is over, ``StorageError``.
        """
        prices, at = run.terms.prices, run.started_at or self._now()
        payers = await self._all(owner, run.terms.key)
        granted = 0

        def judge(of_owner: Standing, of_key: Standing | None) -> Hold:
            nonlocal granted
            granted = longest_answer(run, model, asked)
            for kind, budget in payers:
                standing = with_spent(of_key if kind == "key" and of_key is not None else of_owner, run.steps.usage)
                granted = grant(bounds(kind, budget, standing, prices, at, asked), granted, at)
            return hold(prices, asked, granted, run.steps.usage)

        await self._store.ledger.reserve(owner, run.run, judge)
        return granted

    async def concern(self, owner: str, terms: Terms) -> bool:
        """Whether any budget says anything about such a run. Raises ``InvalidError`` (no price), ``StorageError``."""
        # Each is looked at: one in money says so when there is no price, whatever the others say.
        bound = [binds(budget, terms.prices) for _, budget in await self._all(owner, terms.key)]
        return any(bound)

    async def _all(self, owner: str, key: str | None) -> list[tuple[PayerKind, SpendingBudget]]:
        budgets: list[tuple[PayerKind, SpendingBudget]] = [("user", await self.of("user", owner))]
        if key is not None:
            budgets.append(("key", await self.of("key", key)))
        return budgets
