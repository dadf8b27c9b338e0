"""The loop of a run: generations, until the model has said all it had to say or something ends it."""

from __future__ import annotations

from trialogue._generation import Generation
from trialogue._values import FinishReason
from trialogue._writer import Outcome, Writer


class Loop:
    """The steps of one run, one after the other."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        #: The model call that is being made, or the last one.
        self.generation: Generation | None = None

    async def go(self) -> Outcome | None:
        """Write the answer to its end; ``None`` when the run was ended meanwhile. Raises what providers and stores raise."""
        writer = self._writer
        # The provider is asked while the question is being committed: nothing it says is shown before that, and a crash
        # in these milliseconds costs one request nobody was told of. A store in trouble is waited for.
        if writer.node.flusher.failing is not None:
            await writer.activation.wait_settled()
        self.generation = Generation(writer)
        outcome = await self.generation.make()
        return self._whose(outcome) if outcome == "length" else outcome

    def _whose(self, outcome: FinishReason) -> Outcome:
        """The length that was reached may have been the budget's, not the model's."""
        live, generation = self._writer.live, self.generation
        if live is None or generation is None or generation.afforded in (None, live.settings.max_tokens):
            return outcome
        return self._writer.cut("budget")
