"""Taking a run over whose process is gone: what becomes of it, and of the tool calls it had open. Pure, part of ``decide``.

    a call that nothing has come of       is made by the run that goes on
    one that a person was asked about     is still asked about
    one that the tool was at work on      is made again if the tool says that does no harm; else its result is "not known"

A run that does nothing but wait for a person is left as it is: nobody was working on it.
"""

from __future__ import annotations

from msgspec.structs import replace

from trialogue._deciding.commands import Known, Receipt, Recover
from trialogue._deciding.draft import Draft
from trialogue._deciding.running import close, followed, returned
from trialogue._facts.run_events import OpenCall, RunInterrupted

#: What the model is told of a call that the tool was at work on when the server stopped.
LOST = "The server stopped while the tool was at work. Whether it had an effect is not known."


def recover(draft: Draft, command: Recover, known: Known) -> Receipt:
    run = draft.state.run
    if run is None or run.parked:
        return draft.receipt()
    if not command.resume:
        draft.add(*close(run, RunInterrupted(run.run, run.message, command.at), known.asked))
        return draft.receipt(answer=run.message)
    for call in run.steps.calls:
        if call.state == "called" and not call.idempotent and draft.state.run is not None:
            draft.add(returned(draft.state.run, call.call, LOST, command.at, failed=True))
    run = draft.state.run or run
    calls = tuple(map(_again, run.steps.calls))
    draft.add(*close(run, RunInterrupted(run.run, run.message, command.at), known.asked, keep=True))
    draft.add(followed(run, command.run, command.at, "recover", calls))
    return draft.receipt(run=command.run, answer=run.message)


def _again(call: OpenCall) -> OpenCall:
    return replace(call, state="approved") if call.state == "called" else call
