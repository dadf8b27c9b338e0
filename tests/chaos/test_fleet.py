"""Three nodes, PostgreSQL, Redis and the network between them fail a hundred times, and every promise is kept.

``TRIALOGUE_TEST_SEED`` draws the same plan again; ``make chaos`` plays a thousand.
"""

from __future__ import annotations

import os
import random

import pytest
import trio
from chaos.play import play

FAULTS = 100
#: Seconds for all of it, on a machine that does other things as well.
LIMIT = 420.0


@pytest.mark.slow
async def test_a_hundred_faults_break_no_promise() -> None:
    seed = int(os.environ.get("TRIALOGUE_TEST_SEED", "0")) or random.SystemRandom().getrandbits(32)
    with trio.fail_after(LIMIT):
        outcome = await play(seed, FAULTS)
    assert outcome.problems == [], f"TRIALOGUE_TEST_SEED={seed} draws the same plan\n{outcome}"
    # It was no quiet world.
    assert outcome.faults.total() == FAULTS
    assert len(outcome.faults) >= 10
    assert outcome.commands > 50
    assert outcome.seen > 1000
