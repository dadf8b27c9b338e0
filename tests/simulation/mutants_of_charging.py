"""Mutants of the ledger: what is charged, at what price, and what a budget still affords."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any
from unittest.mock import patch

from msgspec.structs import replace
from simulation.mutant import mutant

from trialogue import RunInterrupted, Standing, Usage
from trialogue._actors.activation import Activation
from trialogue._deciding import running
from trialogue._paying import prices
from trialogue.testing._memory_ledger import Book, MemoryLedger


@mutant
def interrupted_run_is_not_charged() -> AbstractContextManager[object]:
    """The run of a process that is gone is closed in the log, and its charge stays open."""

    def charge(activation: Activation, event: Any, before: Any) -> None:
        if not isinstance(event, RunInterrupted):
            original(activation, event, before)

    original = Activation._charge
    return patch.object(Activation, "_charge", charge)


@mutant
def estimate_has_no_price() -> AbstractContextManager[object]:
    """Only what a provider reports is priced."""

    def priced(usage: Usage, prices: Any) -> Usage:
        return original(usage, prices if usage.source == "reported" else None)

    original = prices.priced
    return patch.object(running, "priced", priced)


@mutant
def what_is_set_aside_may_be_spent_again() -> AbstractContextManager[object]:
    """A budget looks at what was used, not at what runs that are live may still use."""

    def standing(ledger: MemoryLedger, owner: str, key: str | None, at: datetime) -> Standing:
        return replace(original(ledger, owner, key, at), month_held=0, day_held=0)

    original = MemoryLedger._standing
    return patch.object(MemoryLedger, "_standing", standing)


@mutant
def charges_are_kept_twice() -> AbstractContextManager[object]:
    """A settled run stays among the open ones."""

    def write(book: Book, charges: Any) -> None:
        charges = list(charges)
        still = {charge.run: book.open[charge.run] for charge in charges if charge.run in book.open}
        original(book, charges)
        book.open.update(still)

    original = Book.write
    return patch.object(Book, "write", write)
