"""The simulation of clusters finds every mutant of what nodes do together."""

from __future__ import annotations

import itertools

import pytest
from simulation import mutants_of_clusters, mutants_of_going_back
from simulation.cluster_world import simulate_cluster
from simulation.mutant import CLUSTER_MUTANTS

assert mutants_of_clusters  # They fill the collection.
assert mutants_of_going_back
#: Where the rare ones were last found. A hint: it saves time while it holds, and costs nothing when it does not.
HINTS = {"drain_loses_the_inbox": 50, "released_without_looking": 50}
#: Seeds within which each mutant has to be found. Most are found by the first.
SEEDS = 300


@pytest.mark.parametrize("name", CLUSTER_MUTANTS)
def test_mutant_is_found(name: str) -> None:
    with CLUSTER_MUTANTS[name]():
        seeds = itertools.chain([HINTS.get(name, 0)], range(SEEDS))
        assert any(simulate_cluster(seed).found for seed in seeds), f"nothing noticed {name}"


def test_there_are_enough_of_them() -> None:
    assert len(CLUSTER_MUTANTS) >= 12
