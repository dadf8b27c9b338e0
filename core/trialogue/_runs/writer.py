"""What the parts of a run share: where it writes, whether it still may, and what it has written.

Whoever ends a run from outside (a stop, an edit) has already written its terminal event: from then on it is not the live
one, ``live`` is ``None``, and whatever its parts still hold is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal, TypeAlias

import trio

from trialogue._actors.activation import Activation
from trialogue._actors.node import Node
from trialogue._deciding.live_run import LiveRun
from trialogue._facts.events import Event
from trialogue._facts.run_events import RunAttached, RunIncomplete, RunWaiting
from trialogue._facts.values import Failure, FinishReason
from trialogue._runs.turns import TurnContext

#: How a run came to its end: the model's reason, one of our limits, or what failed.
Outcome: TypeAlias = FinishReason | RunIncomplete | Failure
#: How a generation came to its end: one that is paused goes on in the next.
Ending: TypeAlias = Outcome | Literal["pause"]


class Writer:
    """A run's hand on its conversation."""

    def __init__(self, node: Node, activation: Activation, live: LiveRun) -> None:
        self.node = node
        self.activation = activation
        self.run = live.run
        self.message = live.message
        self.model = live.model
        #: What its provider keeps of it, if it was begun by a process that is gone; taken up by the first generation.
        self.kept: str | None = live.handle
        #: What it has written so far, in code points.
        self.characters = 0
        #: When it has to be over, on Trio's clock.
        self.deadline = trio.current_time() + node.limits.run_seconds

    @property
    def live(self) -> LiveRun | None:
        """The run as the log has it; ``None`` once it is over there."""
        run = self.activation.state.run
        return run if run is not None and run.run == self.run and not self.activation.gone else None

    def detach(self) -> None:
        """The response that the provider keeps is over: whoever takes the run over now does not go on with that."""
        live = self.live
        if live is not None and live.handle is not None:
            self.append([RunAttached(self.run, self.message)])

    def wait(self, reason: Literal["turn", "retry"], seconds: float | None) -> None:
        """Say that the answer waits, and for how long where that is known."""
        live, now = self.live, self.node.now()
        if live is not None:
            until = None if seconds is None else now + timedelta(seconds=seconds)
            self.append([RunWaiting(self.run, self.message, reason, now, until)])

    def turn(self, live: LiveRun) -> TurnContext:
        """The run, as those who take part in its turn are told of it."""
        header = self.activation.state.header
        return TurnContext(header.owner, header.id, self.run, self.message, self.model, live.steps.generation)

    def append(self, events: Sequence[Event]) -> None:
        """Write into the log."""
        self.activation.append(events)

    def cut(self, reason: str) -> RunIncomplete:
        """The end that one of our limits makes."""
        return RunIncomplete(self.run, self.message, reason, self.node.now())
