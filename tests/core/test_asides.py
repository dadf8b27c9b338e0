"""What is asked beside the answers: once at a time about one conversation, however many of its runs end meanwhile."""

from __future__ import annotations

from typing import Any, cast

import trio
import trio.testing

from trialogue import RunReport
from trialogue._runs.asides import Asides
from trialogue._supervision.child import Child, ChildSpec


class Counting(Asides):
    what = "count"

    def __init__(self) -> None:
        nothing = cast("Any", None)  # Nobody is asked.
        super().__init__(nothing, nothing, nothing)
        self.attended: list[str] = []

    def concerns(self, report: RunReport) -> bool:
        return True

    async def attend(self, report: RunReport) -> None:
        self.attended.append(report.run)
        await trio.sleep(1)


def ended(run: str) -> RunReport:
    return RunReport(run, "one", "m", "scripted:x", "completed", "stop", 1, 0, 1.0, 0.5, 3, None)


async def test_runs_of_one_conversation_that_end_together_are_one_occasion(
    autojump_clock: trio.testing.MockClock,
) -> None:
    # Trio takes tasks in any order: once in a while the loop comes before the task that it has just begun.
    for _again in range(30):
        asides = Counting()
        async with trio.open_nursery() as nursery:
            child = Child(ChildSpec("asides", asides.run), lambda child: None)
            for run in ("a", "b", "c"):
                asides.run_ended(ended(run))
            await child.start(nursery)
            await trio.sleep(5)
            nursery.cancel_scope.cancel()
        assert asides.attended == ["a"]
        assert child.error is None
