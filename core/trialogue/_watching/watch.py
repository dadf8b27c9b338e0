"""Follows the runs of one activation along the events it appends, and tells observers when one has ended.

Whatever is told of a run stands in its events; only the times are taken here, as the events pass. Deltas pass by unseen:
nothing here happens for a token.
"""

from __future__ import annotations

import time
from typing import Literal, assert_never

import trio
from msgspec.structs import replace

from trialogue._deciding.live_run import LiveRun
from trialogue._facts.events import Event
from trialogue._facts.run_events import (
    ApprovalAsked,
    GenerationStarted,
    PartAdded,
    PartStarted,
    RunCancelled,
    RunCompleted,
    RunEnded,
    RunFailed,
    RunIncomplete,
    RunInterrupted,
    ToolCalled,
    ToolReturned,
)
from trialogue._watching.observer import Cause, Observers, RunOutcome, RunReport, Step

#: Runs whose causes are kept for one conversation, the latest ones: more than can wait for their turn.
CAUSES = 200
#: Among the steps that are under way; no id of a tool call is empty.
_GENERATION = ""


class Watch:
    """The runs of one conversation, while it is active here."""

    __slots__ = (
        "_began",
        "_causes",
        "_conversation",
        "_first",
        "_history",
        "_model",
        "_observers",
        "_open",
        "_room",
        "_run",
        "_steps",
    )

    def __init__(self, observers: Observers, conversation: str) -> None:
        self._observers = observers
        self._conversation = conversation
        # What caused runs that have not ended, as far as anybody knows; of those whose messages were taken back as well.
        self._causes: dict[str, Cause] = {}
        # The run whose beginning was seen here, when that was, and when there was something of its answer.
        self._run: str | None = None
        self._model = ""
        self._began = 0.0
        self._first: float | None = None
        self._steps: list[Step] = []
        # What its last request would have shown, and how much of that there was room for, in tokens.
        self._room: int | None = None
        self._history: int | None = None
        # Steps that are under way, with the times when they began: the generation, and tool calls by their ids.
        self._open: dict[str, tuple[Step, float]] = {}

    def __repr__(self) -> str:
        return f"<Watch {self._conversation} run={self._run} steps={len(self._steps)}>"

    def caused(self, run: str | None, cause: Cause) -> None:
        """``run``, which is about to begin or to wait for its turn, comes of ``cause``."""
        if run is not None and cause is not None:
            self._causes[run] = cause
            if len(self._causes) > CAUSES:
                del self._causes[next(iter(self._causes))]

    def started(self, run: str, model: str) -> None:
        """A run has begun, with a question to ``model``."""
        self._run, self._model, self._began, self._first = run, model, trio.current_time(), None
        self._room = self._history = None
        self._steps.clear()
        self._open.clear()
        self._begin(_GENERATION, "generation", model)

    def shown(self, room: int, history: int) -> None:
        """Its model is about to be shown a branch of ``history`` tokens, as far as there is ``room``."""
        self._room, self._history = room, history

    def saw(self, event: Event) -> None:
        """Something happened in the run."""
        match event:
            case PartStarted() | PartAdded():
                if self._first is None:
                    self._first = trio.current_time()
            case ApprovalAsked():
                self._end(_GENERATION)
            case ToolCalled(call=call, name=name):
                self._end(_GENERATION)
                self._begin(call, "tool", name, call)
            case ToolReturned(call=call, failed=failed):
                self._end(call, "failed" if failed else None)
            case GenerationStarted():
                self._begin(_GENERATION, "generation", self._model)
            case _:
                pass

    def ended(self, run: LiveRun, event: RunEnded) -> None:
        """A run has ended; ``run`` is as it was just before."""
        seen = self._run == run.run
        now = trio.current_time()
        outcome, reason = _told(event)
        error = reason if outcome == "failed" else "cancelled" if outcome == "cancelled" else None
        cause = self._causes.pop(run.run, None)
        if isinstance(event, RunFailed):
            self.caused(event.next, cause)
        for key in tuple(self._open):
            self._end(key, error if key == _GENERATION else "cancelled")
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
                cause=cause,
                room=self._room if seen else None,
                history=self._history if seen else None,
            )
        )
        self._run = None

    def _begin(self, key: str, kind: Literal["generation", "tool"], name: str, call: str | None = None) -> None:
        now = trio.current_time()
        self._open[key] = (Step(kind, name, now - self._began, 0.0, None, call), now)

    def _end(self, key: str, error: str | None = None) -> None:
        """A step is over. One that is not known is no error: another process may have begun it."""
        found = self._open.pop(key, None)
        if found is not None:
            step, began = found
            self._steps.append(replace(step, seconds=trio.current_time() - began, error=error))


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
