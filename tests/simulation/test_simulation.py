"""Whole nodes under trouble keep every promise, seed after seed.

``TRIALOGUE_SEEDS=15000`` runs that many; ``TRIALOGUE_SEEDS=4711:4712`` runs one again, as a failure tells.
"""

from __future__ import annotations

import os
import subprocess
import sys

from simulation.world import simulate

#: Seeds of the ordinary run: about twenty seconds of one core.
SEEDS = 150


def chosen(seeds: int = SEEDS) -> range:
    text = os.environ.get("TRIALOGUE_SEEDS", str(seeds))
    first, _, last = text.rpartition(":")
    return range(int(first or 0), int(last))


def test_every_seed_keeps_the_promises() -> None:
    failed = [outcome for outcome in map(simulate, chosen()) if outcome.found]
    assert not failed, "\n".join(
        f"TRIALOGUE_SEEDS={outcome.seed}:{outcome.seed + 1} pytest tests/simulation/test_simulation.py -k every_seed\n"
        f"    {outcome.found[0]}"
        for outcome in failed
    )


def test_seeds_see_trouble() -> None:
    """The worlds are not so quiet that nothing could go wrong in them."""
    outcomes = [simulate(seed) for seed in range(10)]
    assert sum(outcome.events for outcome in outcomes) > 500
    assert sum(outcome.shown for outcome in outcomes) > 500
    assert sum(outcome.commands for outcome in outcomes) > 100


def test_same_seed_same_world() -> None:
    assert simulate(3) == simulate(3)
    assert simulate(3).digest != simulate(4).digest


def test_same_seed_same_world_in_another_process() -> None:
    """What a failure prints has to repeat it elsewhere: no order of hashes, no clock, no address comes into it."""
    code = "from simulation.world import simulate; print(simulate(3).digest)"
    paths = os.pathsep.join(path for path in sys.path if path)
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": "5"}
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == simulate(3).digest
