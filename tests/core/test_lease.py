"""The lease: renewed from a thread, for as long as the loop goes round, and lost by our own clock first."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import trio
import trio.testing

from trialogue import Load, NodeInfo, Nodes, Renewal, Renewer, StorageError
from trialogue._cluster import lease as lease_module
from trialogue._cluster.lease import LEASE, STUCK, Lease
from trialogue._facts.clock import utc_now
from trialogue._supervision.child import ChildSpec
from trialogue._supervision.supervisor import open_supervisor
from trialogue.testing import MemoryStore

NODE = NodeInfo("node", "one", "", "0", datetime(2026, 1, 1, tzinfo=UTC))


@asynccontextmanager
async def held(
    nodes: Nodes, load: Callable[[], Load] = Load, lapsed: Callable[[], None] = lambda: None
) -> AsyncGenerator[Lease]:
    lease = Lease(nodes, NODE, load, lapsed, utc_now)
    async with open_supervisor("test", specs=[ChildSpec("lease", lease.run)]):
        yield lease


class CountingRenewer(Renewer):
    """Answers as it is told, and counts."""

    def __init__(self) -> None:
        self.loads: list[Load] = []
        self.threads: set[int] = set()
        self.fails = False
        self.closed = threading.Event()
        self.off = timedelta()

    def renew(self, load: Load) -> Renewal:
        if self.fails:
            raise StorageError("the store is away")
        self.loads.append(load)
        self.threads.add(threading.get_ident())
        return Renewal(utc_now() + self.off, lapsed=len(self.loads) == 1)

    def close(self) -> None:
        self.closed.set()


def threaded() -> tuple[Nodes, CountingRenewer]:
    renewer = CountingRenewer()
    nodes = MemoryStore().nodes
    nodes.renewer = lambda node, seconds: renewer  # type: ignore[method-assign]
    return nodes, renewer


async def test_it_is_held_from_the_start_and_renewed_in_a_thread() -> None:
    nodes, renewer = threaded()
    renewer.off = timedelta(seconds=-7)
    async with held(nodes) as lease:
        assert LEASE - 1 < lease.left <= LEASE
        assert lease.may_take_over
        assert 6 < lease.skew < 8, "our clock is ahead of the store's"
        assert renewer.threads
        assert threading.get_ident() not in renewer.threads
    assert renewer.closed.wait(2)


async def test_load_that_is_not_to_wait_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module, "EVERY", 120.0)  # By itself it would be told in two minutes.
    nodes, renewer = threaded()
    draining = False
    async with held(nodes, lambda: Load(draining)) as lease:
        draining = True
        lease.hurry()
        with trio.fail_after(30):
            while Load(draining=True) not in renewer.loads:  # noqa: ASYNC110 - it is told in a thread
                await trio.sleep(0.01)


async def test_loop_that_is_stuck_is_not_renewed_for() -> None:
    nodes, renewer = threaded()
    async with held(nodes) as lease:
        lease._pulse_at = time.monotonic() - STUCK - 1
        renewer.loads.clear()
        lease._beat_once(renewer)
        assert renewer.loads == []
        assert "has not moved" in (lease.failing or "")


async def test_it_is_lost_when_the_store_is_away_and_nobody_is_judged_after_that(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store, lapses = MemoryStore(), 0

    def lapsed() -> None:
        nonlocal lapses
        lapses += 1

    async with held(store.nodes, lapsed=lapsed) as lease:
        assert lease.may_take_over
        store.faults.full = True
        await trio.sleep(LEASE + 0.1)
        assert lease.left == 0
        assert lease.failing
        await trio.sleep(5)
        store.faults.full = False
        await trio.sleep(1.5)
        assert lease.left > 0
        assert lapses == 1
        assert not lease.may_take_over
        await trio.sleep(LEASE)
        assert lease.may_take_over
        assert lapses == 1
