"""The port to those who look on: told, in the loop, of runs, commands and commits when they have ended.

What they are told is plain data, made once for all of them. Nothing waits for them and nothing depends on them, and one that
raises is logged and asked again the next time. Texts of a conversation are never in what they are told.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import msgspec

from trialogue._facts.values import Usage

#: What caused a run or a command, as the observer that was asked calls it; opaque to everybody else.
Cause: TypeAlias = object
RunOutcome: TypeAlias = Literal["completed", "incomplete", "failed", "cancelled", "interrupted"]

_log = logging.getLogger("trialogue.observer")


class Step(msgspec.Struct, frozen=True):
    """A part of a run that others did: one call of a model (``generation``), or of a tool."""

    kind: Literal["generation", "tool"]
    #: The model's full id, or the tool's name.
    name: str
    #: Seconds after the run began, and how long it took.
    after: float
    seconds: float
    #: Why it failed, as a stable code; ``None`` when it did not.
    error: str | None = None
    #: The id of the tool call, where it is one.
    call: str | None = None


class RunReport(msgspec.Struct, frozen=True):
    """A run that has ended. Times are ``None`` where another process began it."""

    run: str
    conversation: str
    message: str
    model: str
    outcome: RunOutcome
    #: The finish reason, the limit that cut it, or the failure's code; ``None`` when somebody stopped it.
    reason: str | None
    attempt: int
    #: When it ended, in nanoseconds since 1970.
    ended_ns: int
    seconds: float | None
    #: Seconds until there was something of the answer.
    first: float | None
    #: Pieces of the answer, by our own count.
    tokens: int
    usage: Usage | None
    steps: tuple[Step, ...] = ()
    cause: Cause = None
    #: Tokens that its model may be shown of the branch, and how many that would take, as estimated for the last request;
    #: ``None`` where another process made it.
    room: int | None = None
    history: int | None = None


class CommandReport(msgspec.Struct, frozen=True):
    """A command that was answered, or failed for the reason with the code ``error``."""

    kind: str
    conversation: str
    ended_ns: int
    seconds: float
    error: str | None = None
    cause: Cause = None


class CommitReport(msgspec.Struct, frozen=True):
    """One transaction of the flusher's: how many conversations and events were in it, and how often it was tried."""

    conversations: int
    entries: int
    tries: int
    ended_ns: int
    seconds: float


class Observer:
    """Looks on. Every method is called in the loop: it must be quick, and does nothing here."""

    def cause(self) -> Cause:
        """What the present task does, for the runs and commands that come of it."""
        return None

    def run_ended(self, report: RunReport) -> None:
        """A run has ended; its end is in the log, or about to be."""

    def command_ended(self, report: CommandReport) -> None:
        """A command was answered."""

    def committed(self, report: CommitReport) -> None:
        """The flusher has committed."""


class Observers:
    """All who look on, as the core's parts see them."""

    def __init__(self, observers: Sequence[Observer] = ()) -> None:
        self._all: list[Observer] = []
        #: Whether any of them wants to hear of commits, which are many.
        self.of_commits: bool = False
        for observer in observers:
            self.add(observer)

    def add(self, observer: Observer) -> None:
        """One more."""
        self._all.append(observer)
        self.of_commits = self.of_commits or type(observer).committed is not Observer.committed

    def __repr__(self) -> str:
        return f"<Observers {self._all!r}>"

    def cause(self) -> Cause:
        """The first cause that any of them knows."""
        for observer in self._all:
            try:
                cause = observer.cause()
            except Exception:
                _log.exception("an observer failed: %r", observer)
            else:
                if cause is not None:
                    return cause
        return None

    def run_ended(self, report: RunReport) -> None:
        """Tell them of a run."""
        self._tell(lambda observer: observer.run_ended(report))

    def command_ended(self, report: CommandReport) -> None:
        """Tell them of a command."""
        self._tell(lambda observer: observer.command_ended(report))

    def committed(self, report: CommitReport) -> None:
        """Tell them of a commit."""
        self._tell(lambda observer: observer.committed(report))

    def _tell(self, told: Callable[[Observer], None]) -> None:
        for observer in self._all:
            try:
                told(observer)
            except Exception:
                _log.exception("an observer failed: %r", observer)
