"""Recovery: what a new claim does about the run of an owner that is gone.

It is taken over where the provider keeps the response; else it is closed, and gone on with where its model can.
"""

from __future__ import annotations

from collections.abc import Sequence

from trialogue._actors.activation import Activation
from trialogue._actors.node import Node
from trialogue._deciding.commands import Known, Recover
from trialogue._deciding.decide import decide
from trialogue._deciding.live_run import LiveRun
from trialogue._facts.events import Event
from trialogue._facts.run_events import RunAttached

#: Runs that may write one answer before a crash ends it: more than a rolling restart takes, fewer than a bill notices.
ATTEMPTS = 10


def taken_over(node: Node, activation: Activation) -> Sequence[Event]:
    """What is to be appended on a new claim: whoever ran what is live there is gone."""
    run = activation.state.run
    if run is not None and run.handle is not None and not _must_end(node, run):
        # The provider keeps what it is being answered with: it goes on as if nothing had happened.
        return [RunAttached(run.run, run.message, run.handle, run.cursor, run.reopened + 1)]
    return begun_anew(node, activation)


def begun_anew(node: Node, activation: Activation) -> Sequence[Event]:
    """The end of the live run, if there is one, and the beginning of another that goes on with it, or of what waits."""
    run = activation.state.run
    resume = run is not None and _may_go_on(node, run)
    command = Recover(node.new_id(), node.now(), node.new_id(), resume)
    return decide(activation.state, command, Known(asked=activation.asked)).events


def _may_go_on(node: Node, run: LiveRun) -> bool:
    able = run.between or "continues" in node.catalog.describe(run.model).capabilities
    return able and not _must_end(node, run)


def _must_end(node: Node, run: LiveRun) -> bool:
    # An answer that takes the process with it each time must not do so for ever.
    return node.limits.recovery == "end" or run.attempt + run.reopened >= ATTEMPTS
