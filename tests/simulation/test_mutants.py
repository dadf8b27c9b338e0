"""The simulation finds every mutant: a net without holes, as far as we know where to look."""

from __future__ import annotations

import pytest
from simulation.mutants import MUTANTS
from simulation.world import simulate

#: Seeds within which each mutant has to be found. Most are found by the first.
SEEDS = 300


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_found(name: str) -> None:
    with MUTANTS[name]():
        assert any(simulate(seed).found for seed in range(SEEDS)), f"nothing noticed {name}"


def test_there_are_enough_of_them() -> None:
    assert len(MUTANTS) >= 12
