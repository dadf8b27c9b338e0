"""The simulation finds every mutant: a net without holes, as far as we know where to look."""

from __future__ import annotations

import itertools

import pytest
from simulation.mutants import MUTANTS
from simulation.world import simulate

#: Where the rare ones were last found. A hint: it saves time while it holds, and costs nothing when it does not.
HINTS = {
    "stale_reads": 21,
    "recovery_forgets_the_inbox": 26,
    "title_of_a_person_is_replaced": 83,
    "calls_made_again_after_a_crash": 74,
    "what_is_asked_beside_is_free": 2,
}
#: Seeds within which each mutant has to be found. Most are found by the first.
SEEDS = 300


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_found(name: str) -> None:
    with MUTANTS[name]():
        seeds = itertools.chain([HINTS.get(name, 0)], range(SEEDS))
        assert any(simulate(seed).found for seed in seeds), f"nothing noticed {name}"


def test_there_are_enough_of_them() -> None:
    assert len(MUTANTS) >= 12
