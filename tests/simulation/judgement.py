"""The judgement at the end of a seed: a conversation's log, its rows and the ledger have to tell one story."""

from __future__ import annotations

from collections.abc import Sequence

from simulation.auditor import compare, fold_row
from simulation.commands import Sent
from simulation.fold import Fold, require
from simulation.ledger import check_effects
from simulation.providers import is_gapless

from trialogue.testing._memory_rows import Row


def judge(row: Row, ledger: Sequence[Sent]) -> None:
    """One conversation after everything has settled. Raises ``Impossible``."""
    fold = fold_row(row)
    require(fold.next_seq == row.next_seq == len(row.entries), "numbers up to", row.next_seq, "in", len(row.entries))
    require(fold.run is None and not fold.inbox, "unfinished in the end:", fold.run, fold.inbox)
    require(set(fold.ends.values()) <= {1}, "terminal events of each run:", fold.ends)
    compare(fold, row, dict.fromkeys([*fold.messages, *row.messages]))
    _check_texts(fold)
    check_effects(row, ledger)


def _check_texts(fold: Fold) -> None:
    """Every answer is what its script says, up to some token, however often it was interrupted and gone on with."""
    for message in fold.messages.values():
        require(message["status"] != "in_progress", "for ever in progress:", message)
        text = "".join(part["text"] for part in message["parts"] if part["type"] == "text")
        if message["role"] == "assistant" and message["id"] not in fold.free:
            require(is_gapless(text), "an answer with holes or repeats:", message)
