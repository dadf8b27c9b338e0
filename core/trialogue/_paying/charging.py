"""From a run to its charge: what is written into the ledger when it starts and when it ends. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, assert_never

from msgspec.structs import replace

from trialogue._deciding.live_run import LiveRun
from trialogue._deciding.running import counted
from trialogue._facts.events import Aside
from trialogue._facts.run_events import RunCancelled, RunCompleted, RunEnded, RunFailed, RunIncomplete, RunInterrupted
from trialogue._facts.values import Conversation
from trialogue._paying.ledger import Charge


def opened(header: Conversation, run: LiveRun) -> Charge:
    """The charge of a run that starts."""
    return Charge(
        run=run.run,
        conversation=header.id,
        message=run.message,
        owner=header.owner,
        model=run.model,
        # Where an older version began it, the conversation's last change is not far off.
        started_at=run.started_at or header.updated_at,
        key=run.terms.key,
    )


def settled(header: Conversation, run: LiveRun, end: RunEnded, asked: int | None) -> Charge:
    """The charge of a run that ended, ``run`` being as it was just before; ``asked`` as in ``Known``."""
    return replace(
        opened(header, run),
        status=_status(end),
        ended_at=end.at,
        reported=run.usage if run.usage is not None and run.usage.source == "reported" else None,
        counted=counted(run, asked),
    )


def beside(
    header: Conversation, asked: Aside, at: datetime, kind: Literal["title", "summary"], message: str = ""
) -> Charge:
    """The charge of what a model was asked beside the answers."""
    reported = asked.usage if asked.usage.source == "reported" else None
    return Charge(
        run=asked.run,
        conversation=header.id,
        message=message,
        owner=header.owner,
        model=asked.model,
        started_at=asked.started_at,
        key=asked.key,
        status="completed",
        ended_at=at,
        reported=reported,
        counted=None if reported else asked.usage,
        kind=kind,
    )


def _status(end: RunEnded) -> str:
    match end:
        case RunCompleted():
            return "completed"
        case RunIncomplete():
            return "incomplete"
        case RunFailed():
            return "failed"
        case RunCancelled():
            return "cancelled"
        case RunInterrupted():
            return "interrupted"
        case _:
            assert_never(end)
