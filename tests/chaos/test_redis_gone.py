"""Redis is gone, and clients notice nothing: no error, no stream that breaks, nothing that comes two seconds later.

``TRIALOGUE_REDIS_GONE=60`` leaves it away for a minute.
"""

from __future__ import annotations

import os
import random
from collections.abc import Awaitable, Callable
from functools import partial

import trio
from chaos.asking import ask
from chaos.fleet import Fleet, open_fleet
from chaos.talks import ENDS, Clients, Question, Record, Talk

from trialogue import new_id

SECONDS = float(os.environ.get("TRIALOGUE_REDIS_GONE", "6"))
#: Seconds that anything may take longer without Redis.
LATER = 2.0


async def test_nobody_notices_that_redis_is_gone() -> None:
    with trio.fail_after(SECONDS + 120):
        async with open_fleet(2) as fleet, trio.open_nursery() as nursery:
            await fleet.start()
            turn, records = await begin(fleet, nursery)
            before = [await turn() for _ in range(10)]
            await trio.to_thread.run_sync(fleet.redis.kill)
            end, gone = trio.current_time() + SECONDS, list[float]()
            while trio.current_time() < end:
                gone.append(await turn())
            await trio.to_thread.run_sync(fleet.redis.start)
            after = [await turn() for _ in range(5)]
            nursery.cancel_scope.cancel()
    # One that is late, the machine may have been busy with something else; waiting for Redis makes one late at each node.
    assert sorted(gone)[-2] <= max(before) + LATER, (before, gone)
    assert sorted(after)[-2] <= max(before) + LATER, (before, after)
    assert [record.connections for record in records] == [1, 1], "a stream broke, or was silent for long"


async def begin(fleet: Fleet, nursery: trio.Nursery) -> tuple[Callable[[], Awaitable[float]], list[Record]]:
    """What asks one node after the other a question, and says how long it took until readers at both had the answer."""
    cookie = await fleet.register()
    status, made = await ask(fleet.nodes[0].port, "POST", "/api/conversations", {}, cookie)
    assert status == 201, made
    talk = Talk(made["id"], [Record(), Record()])
    for node, record in zip(fleet.nodes, talk.records, strict=True):
        clients = Clients(partial(list[int], [node.port]), cookie, random.Random(0))
        nursery.start_soon(partial(clients.read, talk, record, socket=False))
    turns = 0

    async def turn() -> float:
        nonlocal turns
        turns += 1
        began = trio.current_time()
        body = {"id": new_id(), "text": Question(20).text}
        status, answer = await ask(fleet.nodes[turns % 2].port, "POST", f"{talk.path}/messages", body, cookie)
        assert status == 202, answer
        while not all(has_end(record, answer["run"]) for record in talk.records):  # noqa: ASYNC110 - of another process
            await trio.sleep(0.005)
        return trio.current_time() - began

    return turn, talk.records


def has_end(record: Record, run: str) -> bool:
    return any(frame.type in ENDS and run.encode() in frame.data for frame in record.frames[-5:])
