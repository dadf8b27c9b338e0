"""``kill -9`` at random moments: what anyone saw stays, and everything goes on.

A few rounds of what ``bench/run kills`` does a thousand times, over the real server, store and sockets.
"""

from __future__ import annotations

import os
import random

from bench.kills import open_server, play

ROUNDS = 15


async def test_nothing_seen_is_lost_when_the_server_is_killed() -> None:
    seed = int(os.environ.get("TRIALOGUE_TEST_SEED", "0")) or random.SystemRandom().getrandbits(32)
    with open_server() as server:
        outcome = await play(server, ROUNDS, random.Random(seed), conversations=4)
    assert outcome.problems == [], f"TRIALOGUE_TEST_SEED={seed} draws the same moments"
    assert outcome.kills == ROUNDS
    assert outcome.messages > 0
