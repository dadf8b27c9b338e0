"""The loop of a run: generations, and between them the tool calls of each, until the model has said all it had to say.

    generation -> calls -> results -> generation -> ... -> an end

Where it stands is read from the log's state alone, so that it can be begun anywhere: in a run that somebody else left, and
in one that was parked until a person had decided. It returns without an end when there is nothing to do but wait for that.
"""

from __future__ import annotations

import trio

from trialogue._deciding.live_run import LiveRun
from trialogue._deciding.running import account, counted, pause
from trialogue._facts.errors import BudgetError
from trialogue._facts.run_events import GenerationStarted
from trialogue._runs.calling import make_calls
from trialogue._runs.generation import Generation
from trialogue._runs.repairing import judged
from trialogue._runs.writer import Ending, Outcome, Writer


class Loop:
    """The steps of one run, one after the other."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        #: The model call that is being made, or the last one.
        self.generation: Generation | None = None

    async def go(self) -> Outcome | None:
        """Write the answer to its end; ``None`` when the run was ended meanwhile, or is parked. Raises what providers and
        stores raise.
        """
        writer = self._writer
        # The provider is asked while the question is being committed: nothing it says is shown before that, and a crash
        # in these milliseconds costs one request nobody was told of. A store in trouble is waited for.
        if writer.node.flusher.failing is not None:
            await writer.activation.wait_settled()
        while (live := writer.live) is not None and not live.parked:
            outcome = await (self._call(live) if live.steps.calls and writer.kept is None else self._generate(live))
            if outcome is not None:
                return outcome
        return None

    async def _call(self, live: LiveRun) -> Outcome | None:
        """Make the calls that can be made."""
        writer = self._writer
        if live.steps.generation >= writer.node.limits.generations:
            return writer.cut("max_generations")
        writer.detach()
        with trio.CancelScope(deadline=writer.deadline):
            await make_calls(writer)
            return None
        return writer.cut("max_seconds")

    async def _generate(self, live: LiveRun) -> Outcome | None:
        """Ask the model; ``None`` when it goes on with calls, or the run was ended meanwhile."""
        writer = self._writer
        if 0 < live.steps.settled == live.parts and writer.kept is None:
            if _is_steered(writer):
                return "tool_call"  # What was said meanwhile is answered next, with the results in sight.
            number = live.steps.generation + 1
            own = counted(live, writer.activation.asked)
            writer.append([GenerationStarted(live.run, live.message, number, writer.node.now(), own)])
        self.generation = Generation(writer)
        try:
            ending = await self.generation.make()
        except BudgetError:
            if live.steps.settled == 0:
                raise
            return writer.cut("budget")  # What was said and found out so far stays, and is no failure.
        outcome = self._after(ending)
        with trio.CancelScope(deadline=writer.deadline):
            return await judged(writer, outcome)
        return writer.cut("max_seconds")

    def _after(self, ending: Ending | None) -> Outcome | None:
        """What follows on a generation. Some upstreams say ``stop`` where they mean that they wait for their calls."""
        live, asked = self._writer.live, self._writer.activation.asked
        if live is None or ending is None:
            return None
        if ending in ("tool_call", "stop", "pause") and live.steps.calls:
            self._writer.append(account(live, asked))
            return None
        return self._paused(live, asked) if ending == "pause" else self._bounded(live, ending)

    def _paused(self, live: LiveRun, asked: int | None) -> Outcome | None:
        """Go on with what the provider paused, as often as a model may be asked."""
        if live.steps.generation >= self._writer.node.limits.generations:
            return self._writer.cut("max_generations")
        self._writer.append(pause(live, self._writer.node.now(), asked))
        return None

    def _bounded(self, live: LiveRun, outcome: Outcome) -> Outcome:
        """The end of an answer, which may be one of our limits'."""
        if outcome == "length" and self._is_budgets(live):
            return self._writer.cut("budget")
        return outcome

    def _is_budgets(self, live: LiveRun) -> bool:
        """Whether the length that was reached is the budget's, not the model's."""
        generation = self.generation
        return generation is not None and generation.afforded not in (None, live.settings.max_tokens)


def _is_steered(writer: Writer) -> bool:
    inbox = writer.activation.state.inbox
    return bool(inbox) and inbox[0].policy == "steer"
