"""The facet for the ledger of a ``MemoryStore``: charges, holds and budgets, added up anew each time somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from typing import Protocol, TypeVar

from msgspec.structs import replace

from trialogue._accounts.audit import AuditEntry
from trialogue._facts.errors import NotFoundError
from trialogue._paying.ledger import (
    Charge,
    ChargePage,
    Hold,
    Judge,
    Ledger,
    PayerKind,
    SpendingBudget,
    Standing,
    UsageGroup,
    UsagePage,
    UsageSum,
    check_usage_group,
    period_of,
    sum_of,
)
from trialogue._storage.places import place_cursor, place_in

T = TypeVar("T")

#: The owner of what accounts leave that are gone.
NOBODY = ""


class Caller(Protocol):
    """How the store runs a call, with its faults."""

    async def __call__(self, name: str, effect: Callable[[], T], *, writes: bool = False) -> T: ...


class Book:
    """What is written down; several stores may share one."""

    def __init__(self) -> None:
        #: By run. A run is in one of the two.
        self.open: dict[str, Charge] = {}
        self.settled: dict[str, Charge] = {}
        self.holds: dict[str, Hold] = {}
        self.budgets: dict[tuple[PayerKind, str], SpendingBudget] = {}

    def write(self, charges: Iterable[Charge]) -> None:
        """Take what a flush brings."""
        for charge in charges:
            if charge.status == "reserved":
                self.open[charge.run] = charge
            else:
                self.open.pop(charge.run, None)
                self.holds.pop(charge.run, None)
                self.settled[charge.run] = charge

    def clear(self) -> None:
        """Go back to a time before any run, as it is simplest to go back."""
        for book in (self.open, self.settled, self.holds):
            book.clear()

    def accepts(self, charges: Iterable[Charge]) -> bool:
        """Whether they can be: nothing is settled twice, or opened after it was."""
        return all(charge.run not in self.settled for charge in charges)

    def close(self, conversation: str, at: datetime) -> None:
        """Settle what is open in a conversation that goes: what came of it will never be told."""
        gone = [charge for charge in self.open.values() if charge.conversation == conversation]
        self.write(replace(charge, status="cancelled", ended_at=at) for charge in gone)


class MemoryLedger(Ledger):
    """See ``trialogue.Ledger``. ``note`` writes into the audit log."""

    def __init__(self, call: Caller, note: Callable[[Sequence[AuditEntry]], None]) -> None:
        self._call = call
        self._note = note
        self.book: Book = Book()

    async def charge(self, owner: str, run: str) -> Charge | None:
        def effect() -> Charge | None:
            found = self.book.open.get(run) or self.book.settled.get(run)
            return found if found is not None and found.owner == owner else None

        return await self._call("charge", effect)

    async def charges(self, owner: str, *, limit: int, cursor: str | None = None) -> ChargePage:
        def effect() -> ChargePage:
            below = None if cursor is None else place_in(cursor)
            found = sorted(self._of(owner), key=lambda charge: charge.run, reverse=True)
            rest = [charge for charge in found if below is None or charge.run < below]
            shown = rest[: max(limit, 0)]
            return ChargePage(tuple(shown), place_cursor(shown[-1].run) if shown and len(shown) < len(rest) else None)

        return await self._call("charges", effect)

    async def usage(
        self, owner: str | None, group: UsageGroup, first: date, last: date, *, limit: int, cursor: str | None = None
    ) -> UsagePage:
        def effect() -> UsagePage:
            check_usage_group(owner, group)
            groups: dict[str, list[Charge]] = {}
            for charge in self._of(owner, first, last):
                groups.setdefault(_name(charge, group), []).append(charge)
            names = sorted(groups, reverse=group in ("day", "conversation"))
            if cursor is not None:
                after = place_in(cursor)
                names = [name for name in names if (name < after if group in ("day", "conversation") else name > after)]
            shown = names[: max(limit, 0)]
            more = place_cursor(shown[-1]) if shown and len(shown) < len(names) else None
            return UsagePage(tuple(sum_of(name or None, groups[name]) for name in shown), more)

        return await self._call("usage", effect)

    async def total(self, owner: str | None, first: date, last: date) -> UsageSum:
        return await self._call("total", lambda: sum_of(None, self._of(owner, first, last)))

    async def budget(self, kind: PayerKind, payer: str) -> SpendingBudget | None:
        return await self._call("budget", lambda: self.book.budgets.get((kind, payer)))

    async def set_budget(
        self, kind: PayerKind, payer: str, budget: SpendingBudget | None, audit: Sequence[AuditEntry] = ()
    ) -> None:
        def effect() -> None:
            self.book.budgets.pop((kind, payer), None)
            if budget is not None:
                self.book.budgets[kind, payer] = budget
            self._note(audit)

        await self._call("set_budget", effect, writes=True)

    async def standing(self, owner: str, key: str | None, at: datetime) -> Standing:
        return await self._call("standing", lambda: self._standing(owner, key, at))

    async def reserve(self, owner: str, run: str, judge: Judge) -> Hold:
        def effect() -> Hold:
            charge = self.book.open.get(run)
            if charge is None or charge.owner != owner:
                raise NotFoundError(f"run {run!r} is over")
            kept = self.book.holds.pop(run, None)
            try:
                key = None if charge.key is None else self._standing(owner, charge.key, charge.started_at)
                hold = judge(self._standing(owner, None, charge.started_at), key)
            except BaseException:
                if kept is not None:
                    self.book.holds[run] = kept
                raise
            self.book.holds[run] = hold
            return hold

        return await self._call("reserve", effect, writes=True)

    async def forget(self, owner: str) -> None:
        def effect() -> None:
            for book in (self.book.open, self.book.settled):
                for run, charge in book.items():
                    if charge.owner == owner:
                        book[run] = replace(charge, owner=NOBODY, conversation="", message="", key=None)
            self.book.budgets.pop(("user", owner), None)

        await self._call("forget", effect, writes=True)

    def _of(self, owner: str | None, first: date = date.min, last: date = date.max) -> Sequence[Charge]:
        return [
            charge
            for charge in self.book.settled.values()
            if owner in (None, charge.owner) and first <= period_of(charge.started_at).day <= last
        ]

    def _standing(self, owner: str, key: str | None, at: datetime) -> Standing:
        period = period_of(at)

        def counts(charge: Charge) -> bool:
            return charge.owner == owner and key in (None, charge.key)

        month = [charge for charge in self._of(owner, period.first, period.last) if counts(charge)]
        today = sum_of(None, [charge for charge in month if period_of(charge.started_at) == period])
        held = [(self.book.open[run], hold) for run, hold in self.book.holds.items() if counts(self.book.open[run])]
        return Standing(
            month_cost=sum_of(None, month).cost,
            month_held=sum(hold.cost for charge, hold in held if period_of(charge.started_at).first == period.first),
            day_tokens=today.input_tokens + today.output_tokens,
            day_held=sum(hold.tokens for charge, hold in held if period_of(charge.started_at) == period),
        )


def _name(charge: Charge, group: UsageGroup) -> str:
    match group:
        case "day":
            return period_of(charge.started_at).day.isoformat()
        case "model":
            return charge.model
        case "conversation":
            return charge.conversation
        case "key":
            return charge.key or ""
        case "user":
            return charge.owner
