"""Mutants of what models are asked beside the answers: titles, and summaries of what was said."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from msgspec.structs import replace
from simulation.mutant import mutant

from trialogue import Charge, GiveTitle, Receipt
from trialogue._actors.activation import Activation
from trialogue._deciding import changing
from trialogue._deciding import decide as deciding
from trialogue._deciding.draft import Draft


@mutant
def title_of_a_person_is_replaced() -> AbstractContextManager[object]:
    """A model's title replaces whatever title there is."""

    def give_title(draft: Draft, command: GiveTitle) -> Receipt:
        return original(draft, replace(command, was=draft.state.header.title))

    original = changing.give_title
    return patch.object(deciding, "give_title", give_title)


@mutant
def what_is_asked_beside_is_free() -> AbstractContextManager[object]:
    """Nobody pays for titles and summaries."""

    def flush(activation: Activation, entries: Any) -> Any:
        activation._charges = {run: one for run, one in activation._charges.items() if _is_answers(one)}
        return original(activation, entries)

    original = Activation._flush_with_rows
    return patch.object(Activation, "_flush_with_rows", flush)


def _is_answers(charge: Charge) -> bool:
    return charge.kind == "answer"
