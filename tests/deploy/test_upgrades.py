"""Replaced by its successor while everybody talks: a few seconds of what ``bench/run upgrades`` does for longer.

``TRIALOGUE_TEST_STREAMS=200`` has so many conversations at once.
"""

from __future__ import annotations

import os

from bench.upgrades import open_service, play

STREAMS = int(os.environ.get("TRIALOGUE_TEST_STREAMS", "20"))


async def test_nobody_notices_an_upgrade_under_load() -> None:
    # 120 tokens take less than a third of the grace: no run is so long that it would have to be cut.
    rate, grace = (100, 6.0) if STREAMS <= 50 else (20, 24.0)
    with open_service(rate=rate, grace=grace) as (server, manager):
        first = manager.pid
        outcome = await play(server, manager, 1, STREAMS)
        assert outcome.problems == []
        assert manager.pid != first
    assert outcome.refused == 0
    assert outcome.answers >= STREAMS
    assert max(outcome.silences) <= 1.0
