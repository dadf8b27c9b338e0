"""Replaced by its successor while everybody talks: a few seconds of what ``bench/run upgrades`` does for longer.

Over SQLite the old process steps back before the new one opens the store; over PostgreSQL the two serve side by side until
the last answer of the old one has ended. ``TRIALOGUE_TEST_STREAMS=200`` has so many conversations at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from bench.upgrades import open_service, play
from postgres_server import open_server

STREAMS = int(os.environ.get("TRIALOGUE_TEST_STREAMS", "20"))
#: 120 tokens take less than a third of the grace: no run is so long that it would have to be cut.
RATE, GRACE = (100, 6.0) if STREAMS <= 50 else (10, 48.0)


@pytest.fixture(params=["sqlite", "postgres"])
def storage(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "sqlite":
        yield "sqlite:"
        return
    with open_server() as server:
        yield server.dsn


async def test_nobody_notices_an_upgrade_under_load(storage: str) -> None:
    with open_service(rate=RATE, grace=GRACE, storage=storage) as (server, manager):
        first = manager.pid
        outcome = await play(server, manager, 1, STREAMS)
        assert outcome.problems == []
        assert manager.pid != first
    assert outcome.refused == 0
    assert outcome.answers >= STREAMS
    assert max(outcome.silences) <= 1.0
