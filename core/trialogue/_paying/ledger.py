"""The port to the ledger: a facet of the store, reached as ``store.ledger``. What each run cost, whom, and what they may.

Charges come in with the log's own transactions (``Flush.charges``): one when a run starts, and the same one settled when
it ends. The ledger keeps sums of the settled ones by day, in that transaction, so that reading a year costs as much as
its days and not as its runs. Days and months are those of UTC; a run belongs to the day on which it started.

A charge outlives its conversation, and the account it was made for, of which then nothing is left in it. Every method
raises ``StorageError``, as the store's do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from trialogue._accounts.audit import AuditEntry
from trialogue._facts.errors import InvalidError
from trialogue._facts.values import Usage

#: What sums are told apart by; ``user`` is for administrators.
UsageGroup: TypeAlias = Literal["day", "model", "conversation", "key", "user"]
#: Whose budget it is.
PayerKind: TypeAlias = Literal["user", "key"]


class Charge(msgspec.Struct, frozen=True, omit_defaults=True):
    """One run on somebody's account: ``reserved`` while it is live, then settled with what it came to."""

    run: str
    conversation: str
    message: str
    owner: str
    model: str
    started_at: datetime
    key: str | None = None
    status: Literal["reserved", "completed", "incomplete", "failed", "cancelled", "interrupted"] = "reserved"
    ended_at: datetime | None = None
    #: What the provider said, and our own count beside it; either may be absent.
    reported: Usage | None = None
    counted: Usage | None = None
    #: What was asked for. A title and a summary have runs of their own, which are told of when they have ended; a title
    #: has no message, and a summary that of the branch's end it sums up.
    kind: Literal["answer", "title", "summary"] = "answer"

    @property
    def billed(self) -> Usage | None:
        """What counts: what the provider said, or else our own count."""
        return self.counted if self.reported is None else self.reported


class ChargePage(msgspec.Struct, frozen=True):
    """Settled charges, the newest first; ``cursor`` continues after the last one, ``None`` at the end."""

    charges: tuple[Charge, ...]
    cursor: str | None


class UsageSum(msgspec.Struct, frozen=True):
    """What some runs came to. A count that is absent from a run adds nothing.

    ``name`` says which runs: a day, a model, an id; ``None`` are those without a key, or of accounts that are gone.
    """

    name: str | None
    runs: int = 0
    #: Runs of which only our own count is known.
    estimated: int = 0
    #: Runs whose cost nobody knows; ``cost`` is that of the others.
    unpriced: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    #: In nano-dollars.
    cost: int = 0


class UsagePage(msgspec.Struct, frozen=True):
    """Sums by group: days and conversations newest first, the rest by name. ``cursor`` continues after the last one."""

    groups: tuple[UsageSum, ...]
    cursor: str | None


class SpendingBudget(msgspec.Struct, frozen=True, omit_defaults=True):
    """What somebody may use in a calendar month, in micro-dollars, and in a day, in tokens. ``None`` is no bound."""

    month_micro_dollars: int | None = None
    day_tokens: int | None = None


class Standing(msgspec.Struct, frozen=True):
    """What somebody has used of the month and of the day, in nano-dollars and tokens; ``held`` is for live runs."""

    month_cost: int = 0
    month_held: int = 0
    day_tokens: int = 0
    day_held: int = 0


class Hold(msgspec.Struct, frozen=True):
    """What is set aside for a live run: the most it can cost, in nano-dollars and in tokens."""

    cost: int
    tokens: int


#: Decides on a hold, given where the owner stands and, if there is one, the key; raises when there is none. Quick, no I/O.
Judge: TypeAlias = Callable[[Standing, Standing | None], Hold]


class Ledger(ABC):
    """The charges, their sums and the budgets of one store."""

    # --- what was used -------------------------------------------------------------------------------------------

    @abstractmethod
    async def charge(self, owner: str, run: str) -> Charge | None:
        """The charge of one run, reserved or settled."""

    @abstractmethod
    async def charges(self, owner: str, *, limit: int, cursor: str | None = None) -> ChargePage:
        """A page of an owner's settled charges, by run id from the last. Raises ``InvalidError`` for a strange cursor."""

    @abstractmethod
    async def usage(
        self, owner: str | None, group: UsageGroup, first: date, last: date, *, limit: int, cursor: str | None = None
    ) -> UsagePage:
        """Sums of the settled charges of ``owner`` from day ``first`` to ``last``.

        ``None`` is everybody: by ``day``, ``model`` or ``user`` only; and by ``user`` only for everybody. Raises
        ``InvalidError`` for another group, or a cursor that is not ours.
        """

    @abstractmethod
    async def total(self, owner: str | None, first: date, last: date) -> UsageSum:
        """The sum of them all, without a name."""

    # --- what may be used ----------------------------------------------------------------------------------------

    @abstractmethod
    async def budget(self, kind: PayerKind, payer: str) -> SpendingBudget | None:
        """What was set for a user or a key; ``None`` when nothing was."""

    @abstractmethod
    async def set_budget(
        self, kind: PayerKind, payer: str, budget: SpendingBudget | None, audit: Sequence[AuditEntry] = ()
    ) -> None:
        """Replace it, and record that in the audit log; ``None`` removes it."""

    @abstractmethod
    async def standing(self, owner: str, key: str | None, at: datetime) -> Standing:
        """What ``owner``, or only its ``key``, has used of the day and month that ``at`` lies in."""

    @abstractmethod
    async def reserve(self, owner: str, run: str, judge: Judge) -> Hold:
        """Set aside for a live run what ``judge`` grants, in one step, so that nobody else is granted the same.

        It is told where owner and key stand in the periods in which the run started, without what the run may hold
        already. The hold ends when the charge is settled. Raises ``NotFoundError`` when the run has no open charge, and
        what ``judge`` raises, with nothing set aside then.
        """

    # --- what is forgotten ---------------------------------------------------------------------------------------

    @abstractmethod
    async def forget(self, owner: str) -> None:
        """Keep the sums of an account that is gone, among those of all that are; and nothing that tells whose they were."""


def check_usage_group(owner: str | None, group: UsageGroup) -> None:
    """Raises ``InvalidError`` for sums that nobody keeps."""
    possible = ("day", "model", "user") if owner is None else ("day", "model", "conversation", "key")
    if group not in possible:
        raise InvalidError(f"usage can be told apart by {', '.join(possible)} here, not by {group!r}", pointer="/group")


class Period(NamedTuple):
    """A day, and the first and the last day of its month."""

    day: date
    first: date
    last: date


def period_of(at: datetime) -> Period:
    """The day that a moment belongs to."""
    day = at.astimezone(UTC).date()
    following = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    return Period(day, day.replace(day=1), following - timedelta(days=1))


def sum_of(name: str | None, charges: Sequence[Charge]) -> UsageSum:
    """The sum of settled charges, added up one by one: what a ledger's own sums have to come to."""
    billed = [charge.billed for charge in charges]
    known = [usage for usage in billed if usage is not None]

    def total(field: str) -> int:
        return sum(getattr(usage, field) or 0 for usage in known)

    return UsageSum(
        name,
        runs=len(charges),
        estimated=sum(charge.reported is None for charge in charges),
        unpriced=sum(usage is None or usage.cost is None for usage in billed),
        input_tokens=total("input_tokens"),
        output_tokens=total("output_tokens"),
        cache_read_tokens=total("cache_read_tokens"),
        cache_write_tokens=total("cache_write_tokens"),
        reasoning_tokens=total("reasoning_tokens"),
        cost=total("cost"),
    )
