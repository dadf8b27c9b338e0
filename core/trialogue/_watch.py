"""Follows the runs of one activation along the events it appends, and tells observers when one has ended.

Whatever is told of a run stands in its events; only the times are taken here, as the events pass. Deltas pass by unseen:
nothing here happens for a token.
"""

from __future__ import annotations

import time
from typing import assert_never

import trio

from trialogue._events import RunCancelled, RunCompleted, RunEnded, RunFailed, RunIncomplete, RunInterrupted
from trialogue._observer import Cause, Observers, RunOutcome, RunReport, Step
from trialogue._state import LiveRun


class Watch:
    """The runs of one conversation, while it is active here."""

    __slots__ = ("_began", "_causes", "_conversation", "_first", "_observers", "_open", "_run", "_steps")

    def __init__(self, observers: Observers, conversation: str) -> None:
        self._observers = observers
        self._conversation = conversation
        # What caused runs that have not ended, as far as anybody knows. No more than a conversation's inbox holds.
        self._causes: dict[str, Cause] = {}
        # The run whose beginning was seen here, when that was, and when there was something of its answer.
        self._run: str | None = None
        self._began = 0.0
        self._first: float | None = None
        self._steps: list[Step] = []
        # Steps that have begun: kind, name and time, by whatever their caller calls them.
        self._open: dict[str, tuple[Step, float]] = {}

    def __repr__(self) -> str:
        return f"<Watch {self._conversation} run={self._run} steps={len(self._steps)}>"

    def caused(self, run: str | None, cause: Cause) -> None:
        """``run``, which is about to begin or to wait for its turn, comes of ``cause``."""
        if run is not None and cause is not None:
            self._causes[run] = cause

    def started(self, run: str) -> None:
        """A run has begun."""
        self._run, self._began, self._first = run, trio.current_time(), None
        self._steps.clear()
        self._open.clear()

    def wrote(self) -> None:
        """A part of the answer has begun."""
        if self._first is None:
            self._first = trio.current_time()

    def ended(self, run: LiveRun, event: RunEnded) -> None:
        """A run has ended; ``run`` is as it was just before."""
        seen = self._run == run.run
        now = trio.current_time()
        for key in tuple(self._open):
            self.step_ended(key, "cancelled")
        outcome, reason = _told(event)
        self._observers.run_ended(
            RunReport(
                run=run.run,
                conversation=self._conversation,
                message=run.message,
                model=run.model,
                outcome=outcome,
                reason=reason,
                attempt=run.attempt,
                ended_ns=time.time_ns(),
                seconds=now - self._began if seen else None,
                first=self._first - self._began if seen and self._first is not None else None,
                tokens=run.tokens,
                usage=run.usage,
                steps=tuple(self._steps) if seen else (),
                cause=self._causes.pop(run.run, None),
            )
        )
        self._run = None

    def step_began(self, key: str, kind: str, name: str, call: str | None = None) -> None:
        """A model (``generation``) or a ``tool`` is called; ``key`` tells it from others that are under way."""
        now = trio.current_time()
        step = Step("tool" if kind == "tool" else "generation", name, now - self._began, 0.0, None, call)
        self._open[key] = (step, now)

    def step_ended(self, key: str, error: str | None = None) -> None:
        """It is over. One that is not known is no error: the run it belonged to may be."""
        found = self._open.pop(key, None)
        if found is not None:
            step, began = found
            self._steps.append(Step(step.kind, step.name, step.after, trio.current_time() - began, error, step.call))


def _told(event: RunEnded) -> tuple[RunOutcome, str | None]:
    """The outcome, and the reason as a word."""
    match event:
        case RunCompleted(finish_reason=reason):
            return "completed", reason
        case RunIncomplete(reason=reason):
            return "incomplete", reason
        case RunFailed(failure=failure):
            return "failed", failure.code
        case RunCancelled(reason=reason):
            return "cancelled", reason
        case RunInterrupted():
            return "interrupted", None
        case _:
            assert_never(event)
