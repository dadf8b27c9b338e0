"""Approvals: a person says whether a tool call may be made, or says nothing in time. Pure, part of ``decide``.

A call that is denied gets its result at once, which tells the model so; one that is approved is made by the run's task,
which the conversation's owner starts if the run was parked.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from trialogue._deciding.commands import AnswerApproval, ExpireApprovals, Receipt
from trialogue._deciding.draft import Draft
from trialogue._deciding.running import returned
from trialogue._facts.errors import ConflictError
from trialogue._facts.run_events import ApprovalGiven, OpenCall

#: What the model is told of a call that may not be made.
DENIED = "The tool was not called: the user declined."
EXPIRED = "The tool was not called: the user did not answer in time."


def answer_approval(draft: Draft, command: AnswerApproval) -> Receipt:
    run, call = draft.state.run, _asked(draft, command.call)
    if run is None or call is None:
        raise ConflictError("this call waits for nobody's approval: its answer is over, or it was decided")
    if _is_over(call, command.at):
        raise ConflictError(f"the time to decide about this call ended at {call.expires_at:%Y-%m-%dT%H:%M:%SZ}")
    _give(draft, call, command.decision, command.at, command.arguments, command.reason)
    return draft.receipt(run=run.run, answer=run.message)


def expire_approvals(draft: Draft, command: ExpireApprovals) -> Receipt:
    for call in draft.state.run.steps.calls if draft.state.run is not None else ():
        if call.state == "asked" and _is_over(call, command.at):
            _give(draft, call, "expire", command.at)
    return draft.receipt()


def _asked(draft: Draft, name: str) -> OpenCall | None:
    calls = draft.state.run.steps.calls if draft.state.run is not None else ()
    return next((call for call in calls if call.call == name and call.state == "asked"), None)


def _is_over(call: OpenCall, at: datetime) -> bool:
    return call.expires_at is not None and call.expires_at <= at


def _give(
    draft: Draft,
    call: OpenCall,
    decision: Literal["approve", "deny", "edit", "expire"],
    at: datetime,
    arguments: str | None = None,
    reason: str | None = None,
) -> None:
    run = draft.state.run
    assert run is not None, "only a live run has open calls"
    draft.add(ApprovalGiven(run.run, run.message, call.call, decision, at, arguments, reason))
    if decision in ("deny", "expire"):
        text = f"{DENIED} They said: {reason}" if reason else EXPIRED if decision == "expire" else DENIED
        draft.add(returned(run, call.call, text, at, failed=True))
