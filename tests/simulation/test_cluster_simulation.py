"""Several nodes under trouble keep every promise together, seed after seed.

``TRIALOGUE_SEEDS`` says how many, or which one, as for one node.
"""

from __future__ import annotations

import os
import subprocess
import sys

from simulation.cluster_world import ClusterWorld, simulate_cluster
from simulation.plan import draw_cluster
from simulation.test_simulation import chosen
from simulation.world import see

#: Seeds of the ordinary run: about eighty seconds of one core.
SEEDS = 300


def test_every_seed_keeps_the_promises() -> None:
    failed = [outcome for outcome in map(simulate_cluster, chosen(SEEDS)) if outcome.found]
    assert not failed, "\n".join(
        f"TRIALOGUE_SEEDS={outcome.seed}:{outcome.seed + 1} "
        f"pytest tests/simulation/test_cluster_simulation.py -k every_seed\n    {outcome.found[0]}"
        for outcome in failed
    )


def test_seeds_see_trouble() -> None:
    """Nodes ask each other, are away, have something to lose, and lose it when the store goes backwards."""
    worlds = [ClusterWorld(draw_cluster(seed)) for seed in range(12)]
    outcomes = [see(world) for world in worlds]
    assert sum(outcome.events for outcome in outcomes) > 500
    assert sum(outcome.shown for outcome in outcomes) > 500
    assert sum(outcome.commands for outcome in outcomes) > 100
    assert sum(world.network.delivered for world in worlds) > 50
    lost = [sum(row.next_seq for row in past.values()) for world in worlds for past in world.histories.past.values()]
    assert sum(1 for world in worlds if world.store.generation == 2) >= 2
    assert all(events > 0 for events in lost)


def test_same_seed_same_world_in_another_process() -> None:
    code = "from simulation.cluster_world import simulate_cluster; print(simulate_cluster(1).digest)"
    paths = os.pathsep.join(path for path in sys.path if path)
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": "5"}
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == simulate_cluster(1).digest != simulate_cluster(2).digest
