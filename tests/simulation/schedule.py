"""Trio made repeatable: the same seed gives the same interleaving, in virtual time and in any process.

Trio has no public switch for this. It shuffles each batch of runnable tasks from a Random of its own and, with a private
flag set, sorts the batch first. Everything we rely on there is in this module, and ``test_schedule`` fails loudly when a
new Trio has it otherwise. The other sources of chance are taken away here as well: the clock, ``random``, and the moments
at which garbage in cycles is collected, since a tail lives as long as somebody, or garbage, holds it.
"""

from __future__ import annotations

import gc
import math
import random
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TypeVar, TypeVarTuple, Unpack

import trio
import trio._core._run as scheduler

T = TypeVar("T")
_Args = TypeVarTuple("_Args")

#: Turns of the loop without any time passing after which nobody believes that something is still going on.
SPINNING = 500_000


class JumpClock(trio.abc.Clock):
    """Stands still while anybody can run, and then jumps to the next deadline."""

    def __init__(self) -> None:
        self._now = 0.0
        self._looks = 0

    def start_clock(self) -> None:
        pass

    def current_time(self) -> float:
        self._looks += 1
        if self._looks > SPINNING:
            raise AssertionError(f"no time passes any more at {self._now:.3f} s")
        return self._now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Asked only when nobody can run."""
        if self._now < deadline < math.inf:
            self._now = deadline
            self._looks = 0
        # Without any deadline only Trio's own wake-up call can come: it does at the end, a moment later.
        return 0.0


def run_seeded(seed: int, async_fn: Callable[[Unpack[_Args]], Awaitable[T]], *args: *_Args) -> T:
    """``trio.run`` in virtual time, with every choice of the scheduler drawn from ``seed``."""
    with _seeded_scheduler(seed), _seeded_random(seed), _collection_on_request():
        return trio.run(async_fn, *args, clock=JumpClock())


def collect_garbage() -> None:
    """Collect what became garbage in cycles since the last call: the only collection while a seed runs."""
    gc.collect(1)


@contextmanager
def _seeded_scheduler(seed: int) -> Generator[None]:
    flag, state = scheduler._ALLOW_DETERMINISTIC_SCHEDULING, scheduler._r.getstate()
    scheduler._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]  # no public way; see the module
    scheduler._r.seed(seed)
    try:
        yield
    finally:
        scheduler._ALLOW_DETERMINISTIC_SCHEDULING = flag  # type: ignore[misc]
        scheduler._r.setstate(state)


@contextmanager
def _seeded_random(seed: int) -> Generator[None]:
    """A supervisor's jitter comes from here."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


@contextmanager
def _collection_on_request() -> Generator[None]:
    gc.collect(1)
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
