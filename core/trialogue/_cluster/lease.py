"""The lease keeper: has a node count as alive for as long as its loop goes round.

Where the store can be asked by a blocking call, a thread renews, on a connection of its own: a loop that is busy for half a
second loses nothing. But the thread renews only while the loop moves; one that is stuck must not keep its conversations for
ever. The node takes its lease for lost by its own clock, earlier than the store does.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from datetime import datetime

import trio

from trialogue._cluster.nodes import Load, NodeInfo, Nodes, Renewal, Renewer
from trialogue._facts.errors import StorageError
from trialogue._supervision.child import Child

#: Seconds that a lease holds, and between two renewals.
LEASE, EVERY = 5.0, 1.0
#: Seconds for which the loop may stand still and the lease is renewed all the same.
STUCK = 3.0
#: Seconds between two signs of life of the loop.
PULSE = 0.25

_log = logging.getLogger("trialogue.cluster")


class Lease:
    """One node's lease. ``load`` says what it has to do, ``lapsed`` is called when it counted as dead for a while."""

    def __init__(
        self,
        nodes: Nodes,
        node: NodeInfo,
        load: Callable[[], Load],
        lapsed: Callable[[], None],
        now: Callable[[], datetime],
    ) -> None:
        self._nodes = nodes
        self._node = node
        self._load = load
        self._lapsed = lapsed
        self._now = now
        # Trio's clock cannot be read in a thread, and the thread's cannot be simulated.
        self._clock: Callable[[], float] = trio.current_time
        self._pulse_at = 0.0
        self._held_until = 0.0
        self._steady_since = -math.inf
        self._renewals = 0
        #: Set by whoever renews, taken by the loop: when it was asked for, and what was answered.
        self._news: tuple[float, Renewal] | None = None
        self._waiting_load = load()
        self._hurry = threading.Event()
        #: How far our clock is ahead of the store's, in seconds.
        self.skew: float = 0.0
        #: What the store said last, while it refuses.
        self.failing: str | None = None

    def __repr__(self) -> str:
        return f"<Lease of {self._node.id} left={self.left:.1f} failing={self.failing}>"

    @property
    def left(self) -> float:
        """Seconds for which it holds, by our clock; 0 when it is lost."""
        return max(0.0, self._held_until - self._clock())

    @property
    def may_take_over(self) -> bool:
        """Whether others can be judged: it holds, and everybody had the time to renew theirs since the store came back."""
        return self.left > 0 and self._clock() - self._steady_since >= LEASE

    def hurry(self) -> None:
        """Renew now: what there is to be told is not to wait."""
        self._waiting_load = self._load()
        self._hurry.set()

    async def run(self, child: Child) -> None:
        """Renew until cancelled."""
        renewer = self._nodes.renewer(self._node, LEASE)
        self._clock = trio.current_time if renewer is None else time.monotonic
        self._pulse_at = self._clock()
        stop = threading.Event()
        async with trio.open_nursery() as nursery:
            if renewer is None:
                nursery.start_soon(self._renew_here)
            else:
                nursery.start_soon(self._renew_in_thread, renewer, stop)
            while not await self._pulse():  # noqa: ASYNC110 - a thread tells, and there is no hurry
                await trio.sleep(PULSE / 10)
            child.started()
            while True:
                await trio.sleep(PULSE)
                await self._pulse()

    # --- in the loop ---------------------------------------------------------------------------------------------

    async def _pulse(self) -> bool:
        """The loop goes round; returns whether there is a lease."""
        await trio.lowlevel.checkpoint()
        self._pulse_at = self._clock()
        self._waiting_load = self._load()
        news, self._news = self._news, None
        if news is not None:
            self._take(*news)
        return self._renewals > 0

    def _take(self, asked_at: float, renewal: Renewal) -> None:
        self.skew = (self._now() - renewal.at).total_seconds()
        self._held_until = asked_at + LEASE
        self._renewals += 1
        if self._renewals > 1 and renewal.lapsed:
            _log.warning("this node counted as dead for a while: what others have taken meanwhile is theirs")
            self._steady_since = asked_at
            self._lapsed()

    async def _renew_here(self) -> None:
        while True:
            asked_at = self._clock()
            try:
                renewal = await self._nodes.renew(self._node, self._waiting_load, LEASE)
            except StorageError as error:
                self._refused(error)
            else:
                self._renewed(asked_at, renewal)
            await trio.sleep(EVERY)

    async def _renew_in_thread(self, renewer: Renewer, stop: threading.Event) -> None:
        limiter = trio.CapacityLimiter(1)
        try:
            # Left behind when cancelled: it ends by itself, at the latest when the store has answered.
            await trio.to_thread.run_sync(self._beat, renewer, stop, limiter=limiter, abandon_on_cancel=True)
        finally:
            stop.set()
            self._hurry.set()

    # --- in the thread -------------------------------------------------------------------------------------------

    def _beat(self, renewer: Renewer, stop: threading.Event) -> None:
        try:
            while not stop.is_set():
                self._hurry.clear()
                self._beat_once(renewer)
                self._hurry.wait(EVERY)
        finally:
            renewer.close()

    def _beat_once(self, renewer: Renewer) -> None:
        asked_at = self._clock()
        stuck = asked_at - self._pulse_at
        if stuck > STUCK:
            self.failing = f"the loop has not moved for {stuck:.1f} s"
            return
        try:
            self._renewed(asked_at, renewer.renew(self._waiting_load))
        except StorageError as error:
            self._refused(error)

    def _renewed(self, asked_at: float, renewal: Renewal) -> None:
        # The first one that found the lease lapsed is the one that counts, if the loop has not seen it yet.
        unseen = self._news
        lapsed = renewal.lapsed or (unseen is not None and unseen[1].lapsed)
        self._news = (asked_at, Renewal(renewal.at, lapsed))
        self.failing = None

    def _refused(self, error: StorageError) -> None:
        if self.failing is None:
            _log.warning("the lease is not renewed, trying again: %s", error)
        self.failing = str(error)
