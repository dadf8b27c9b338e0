"""All nodes of a cluster are restarted in turn while everybody talks: what ``bench/run rolling`` does for longer.

``TRIALOGUE_TEST_STREAMS=200`` has so many conversations at once. The benchmark holds all to a second; here three nodes,
their database, and whatever else is being tested start and work on the same processors.
"""

from __future__ import annotations

import os

from bench.rolling import open_nodes, play
from postgres_server import open_server

STREAMS = int(os.environ.get("TRIALOGUE_TEST_STREAMS", "30"))
RATE, GRACE = (60, 10.0) if STREAMS <= 50 else (10, 48.0)
#: Seconds. Whoever waits for somebody that does not answer, waits longer.
SILENCE = 4.0


async def test_nobody_notices_a_restart_of_all_nodes() -> None:
    with open_server() as database, open_nodes(database.dsn, rate=RATE, grace=GRACE) as nodes:
        first = [node.manager.pid for node in nodes]
        outcome = await play(nodes, "restart", STREAMS)
        assert outcome.problems == []
        assert not {node.manager.pid for node in nodes} & set(first)
    assert outcome.answers >= STREAMS
    assert max(outcome.silences) <= SILENCE
