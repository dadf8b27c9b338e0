"""What a budget still affords: the arithmetic of bounds. Pure. Money is counted in picodollars here, as prices are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

import msgspec
from msgspec.structs import replace

from trialogue._deciding.live_run import LiveRun
from trialogue._facts.errors import BudgetError, InvalidError
from trialogue._facts.values import Model, Prices, Usage
from trialogue._paying.ledger import Hold, PayerKind, SpendingBudget, Standing, period_of
from trialogue._paying.prices import nano_dollars, rates_for

#: Longest answer assumed of a model that does not say, when it has to be bounded: what all of today's can give.
ANSWER_TOKENS = 4096
#: A shorter answer is of no use to anybody.
LEAST_TOKENS = 16
#: More input than any request has.
_MUCH = 1 << 40


class Bound(msgspec.Struct, frozen=True):
    """One bound of one payer, and what a run would take of it: ``fixed``, and ``each`` for every token of its answer."""

    payer: PayerKind
    what: str
    limit: int
    used: int
    held: int
    resets_at: datetime
    fixed: int
    each: int

    @property
    def left(self) -> int:
        """What nobody has used or set aside."""
        return self.limit - self.used - self.held

    def affords(self, wanted: int) -> int:
        """How many tokens of an answer it pays for, of those that are wanted."""
        rest = self.left - self.fixed
        if rest < 0:
            return 0
        return min(wanted, rest // self.each) if self.each else wanted

    def exhausted(self, now: datetime) -> BudgetError:
        """What to say when that is too little."""
        whose = "your budget" if self.payer == "user" else "the budget of this API key"
        state = "is used up" if self.left <= 0 else "does not reach for this any more"
        live = ", counting what is set aside for answers that are being written" if self.held else ""
        return BudgetError(
            f"{whose} of {self.what} {state}{live}: it is full again at {self.resets_at:%Y-%m-%dT%H:%M:%SZ}",
            retry_after=max((self.resets_at - now).total_seconds(), 1.0),
        )


def bounds(
    payer: PayerKind, budget: SpendingBudget, standing: Standing, prices: Prices | None, now: datetime, asked: int = 0
) -> Sequence[Bound]:
    """The bounds that ``budget`` puts on a run at ``prices`` with ``asked`` tokens of input."""
    found: list[Bound] = []
    period = period_of(now)
    if budget.month_micro_dollars is not None and prices is not None and not is_free(prices):
        what = f"{budget.month_micro_dollars} micro-dollars a month"
        spent = (budget.month_micro_dollars * 1_000_000, standing.month_cost * 1000, standing.month_held * 1000)
        found.append(Bound(payer, what, *spent, _end_of(period.last), *worst_rates(prices, asked)))
    if budget.day_tokens is not None:
        what = f"{budget.day_tokens} tokens a day"
        spent = (budget.day_tokens, standing.day_tokens, standing.day_held)
        found.append(Bound(payer, what, *spent, _end_of(period.day), asked, 1))
    return found


def binds(budget: SpendingBudget, prices: Prices | None) -> bool:
    """Whether it says anything about a run at ``prices``. Raises ``InvalidError`` when it should, and they are not known."""
    if budget.month_micro_dollars is not None and prices is None:
        raise InvalidError(
            "nobody knows what this model costs, and there is a budget in money: choose another model, or have the "
            "administrator state its price",
            pointer="/model",
        )
    in_money = budget.month_micro_dollars is not None and prices is not None and not is_free(prices)
    return in_money or budget.day_tokens is not None


def grant(found: Sequence[Bound], wanted: int, now: datetime) -> int:
    """How long an answer all bounds afford, of ``wanted`` tokens. Raises ``BudgetError`` when that is next to nothing."""
    granted = wanted
    for bound in found:
        granted = bound.affords(granted)
        if granted < min(LEAST_TOKENS, wanted):
            raise bound.exhausted(now)
    return granted


def is_free(prices: Prices) -> bool:
    """Whether nothing about it costs anything."""
    return not any(worst_rates(prices, asked) != (0, 0) for asked in (1, _MUCH))


def worst_rates(prices: Prices, asked: int) -> tuple[int, int]:
    """Picodollars for the input, and for each token of the answer, if all of it goes at the dearest rate."""
    rates = rates_for(prices, asked)
    return asked * max(rates.input, rates.cache_write or 0), max(rates.output, rates.reasoning or 0)


def hold(prices: Prices | None, asked: int, said: int, spent: Usage | None = None) -> Hold:
    """The most that so many tokens of input and output can come to, besides what the run has ``spent``."""
    fixed, each = (0, 0) if prices is None else worst_rates(prices, asked)
    cost, tokens = _spent(spent)
    return Hold(nano_dollars(fixed + each * said) + cost, asked + said + tokens)


def with_spent(standing: Standing, spent: Usage | None) -> Standing:
    """Where somebody stands while a run of theirs has ``spent`` something that is not settled yet."""
    cost, tokens = _spent(spent)
    return replace(standing, month_held=standing.month_held + cost, day_held=standing.day_held + tokens)


def _spent(spent: Usage | None) -> tuple[int, int]:
    """In nano-dollars and in tokens."""
    if spent is None:
        return 0, 0
    return spent.cost or 0, (spent.input_tokens or 0) + (spent.output_tokens or 0)


def longest_answer(run: LiveRun, model: Model, asked: int) -> int:
    """How long an answer may become: as its settings say, or else as the model can."""
    if run.settings.max_tokens is not None:
        return run.settings.max_tokens
    return max(1, min(model.output_tokens or ANSWER_TOKENS, model.context_tokens - asked))


def _end_of(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), UTC)
