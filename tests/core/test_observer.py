"""Those who look on: what they are told of runs, commands and commits, and that nobody depends on them."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from support import NOW, open_talk

from trialogue import (
    CommandReport,
    CommitReport,
    Engine,
    Failure,
    GenerationStarted,
    Histogram,
    NotFoundError,
    Observer,
    PartStarted,
    RunFailed,
    RunReport,
    Settings,
    Stop,
    ToolCalled,
    ToolReturned,
    Usage,
    UsagePiece,
    new_id,
    open_engine,
)
from trialogue._deciding.live_run import LiveRun
from trialogue._watching.meter import MOST_NAMES, Meter
from trialogue._watching.observer import Observers
from trialogue._watching.watch import CAUSES, Watch
from trialogue.testing import Fail, MemoryStore, Pause, ScriptedProvider


class Notes(Observer):
    """Writes down what it is told; whatever comes to it comes of "a test"."""

    def __init__(self) -> None:
        self.runs: list[RunReport] = []
        self.commands: list[CommandReport] = []
        self.commits: list[CommitReport] = []

    def cause(self) -> object:
        return "a test"

    def run_ended(self, report: RunReport) -> None:
        self.runs.append(report)

    def command_ended(self, report: CommandReport) -> None:
        self.commands.append(report)

    def committed(self, report: CommitReport) -> None:
        self.commits.append(report)


class Broken(Observer):
    """Fails at everything."""

    def cause(self) -> object:
        raise RuntimeError("cause")

    def run_ended(self, report: RunReport) -> None:
        raise RuntimeError("run")

    def committed(self, report: CommitReport) -> None:
        raise RuntimeError("commit")


def models(engine: Engine) -> dict[str, dict[str, object]]:
    found = engine.statistics()["models"]
    assert isinstance(found, dict)
    return found


async def test_run_is_told_with_its_times_its_usage_and_its_cause(autojump_clock: trio.testing.MockClock) -> None:
    notes = Notes()
    script = (Pause(2.0), "a", Pause(1.0), "b", Pause(1.0), "c", UsagePiece(Usage("reported", 7, 3)))
    async with open_engine(MemoryStore(), [ScriptedProvider(script)], observers=[notes]) as engine:
        talk = await open_talk(engine)
        receipt = await talk.post("hi")
        await talk.settled()
        (report,) = notes.runs
        assert (report.run, report.conversation, report.message) == (receipt.run, talk.id, receipt.answer)
        assert (report.outcome, report.reason, report.model) == ("completed", "stop", "scripted:script")
        assert (report.tokens, report.usage) == (3, Usage("reported", 7, 3))
        assert report.first == pytest.approx(2.0, abs=0.1)
        assert report.seconds == pytest.approx(4.0, abs=0.3)
        assert report.cause == "a test"
        (of_model,) = models(engine).values()
        assert of_model["runs"] == {"completed/stop": 1}
        assert of_model["tokens"] == {"input": 7, "output": 3}


async def test_failed_and_stopped_runs_are_told_with_their_reason(autojump_clock: trio.testing.MockClock) -> None:
    notes = Notes()
    provider = ScriptedProvider(("a", Fail("refused")), ("a", Pause(1000.0)))
    async with open_engine(MemoryStore(), [provider], observers=[notes]) as engine:
        talk = await open_talk(engine)
        await talk.post("hi")
        await talk.settled()
        receipt = await talk.post("again")
        await trio.sleep(1)
        await engine.submit(talk.id, Stop(new_id(), NOW, receipt.run))
        assert [(one.outcome, one.reason) for one in notes.runs] == [
            ("failed", "provider_refused"),
            ("cancelled", "stop"),
        ]
        assert notes.runs[1].first is not None


async def test_commands_and_commits_are_told(autojump_clock: trio.testing.MockClock) -> None:
    notes = Notes()
    async with open_engine(MemoryStore(), [ScriptedProvider(["Hello"])], observers=[notes]) as engine:
        talk = await open_talk(engine)
        await talk.post("hi")
        await talk.settled()
        assert [(one.kind, one.error) for one in notes.commands] == [("PostMessage", None)]
        assert sum(one.entries for one in notes.commits) == engine.statistics()["flusher"]["entries"]  # type: ignore[index]
        with pytest.raises(NotFoundError):
            await engine.submit(new_id(), Stop(new_id(), NOW))
        assert (notes.commands[-1].kind, notes.commands[-1].error) == ("Stop", "not_found")


async def test_nobody_depends_on_an_observer(autojump_clock: trio.testing.MockClock) -> None:
    notes = Notes()
    async with open_engine(MemoryStore(), [ScriptedProvider(["Hello"])], observers=[Broken(), notes]) as engine:
        talk = await open_talk(engine)
        await talk.post("hi")
        await talk.settled()
        assert [one.outcome for one in notes.runs] == ["completed"]
        assert notes.runs[0].cause == "a test"


async def test_steps_of_a_run_are_told_with_their_times(autojump_clock: trio.testing.MockClock) -> None:
    notes = Notes()
    watch = Watch(Observers([notes]), "c")
    watch.started("r", "p:m")
    await trio.sleep(1)
    watch.saw(PartStarted("r", "m", 0, "text"))
    watch.saw(ToolCalled("r", "m", "c1", "clock", NOW))
    watch.saw(ToolCalled("r", "m", "c2", "oven", NOW))
    await trio.sleep(2)
    watch.saw(ToolReturned("r", "m", 1, "c2", "hot", NOW, failed=True))
    watch.saw(GenerationStarted("r", "m", 2, NOW, Usage("estimated")))
    await trio.sleep(4)
    watch.ended(LiveRun("r", "m", "p:m", Settings(), 0), RunFailed("r", "m", Failure("provider_broken", ""), NOW))
    watch.saw(ToolReturned("r", "m", 1, "c9", "of another process", NOW))
    (report,) = notes.runs
    assert [(one.kind, one.name, one.after, one.seconds, one.error) for one in report.steps] == [
        ("generation", "p:m", 0, 1, None),
        ("tool", "oven", 1, 2, "failed"),
        ("tool", "clock", 1, 6, "cancelled"),
        ("generation", "p:m", 3, 4, "provider_broken"),
    ]
    meter = Meter()
    meter.run_ended(report)
    assert {name: tool.calls for name, tool in meter.statistics().tools.items()} == {
        "oven": {"failed": 1},
        "clock": {"cancelled": 1},
    }


async def test_run_that_goes_on_for_a_failed_one_has_its_cause(autojump_clock: trio.testing.MockClock) -> None:
    notes = Notes()
    watch = Watch(Observers([notes]), "c")
    watch.caused("r", "a request")
    for run, next_run in (("r", "s"), ("s", None)):
        watch.started(run, "p:m")
        failed = RunFailed(run, "m", Failure("provider_broken", ""), NOW, next=next_run)
        watch.ended(LiveRun(run, "m", "p:m", Settings(), 0), failed)
    assert [one.cause for one in notes.runs] == ["a request", "a request"]


async def test_causes_of_messages_that_were_taken_back_do_not_gather(autojump_clock: trio.testing.MockClock) -> None:
    notes = Notes()
    watch = Watch(Observers([notes]), "c")
    for number in range(CAUSES + 1):
        watch.caused(f"r{number}", f"request {number}")
    for run in ("r0", f"r{CAUSES}"):
        watch.started(run, "p:m")
        watch.ended(LiveRun(run, "m", "p:m", Settings(), 0), RunFailed(run, "m", Failure("provider_broken", ""), NOW))
    assert [one.cause for one in notes.runs] == [None, f"request {CAUSES}"]


def report(model: str, reason: str) -> RunReport:
    return RunReport("r", "c", "m", model, "failed", reason, 1, 0, 1.0, None, 0, None)


def test_names_that_clients_choose_are_bounded() -> None:
    meter = Meter()
    for number in range(3 * MOST_NAMES):
        meter.run_ended(report(f"p:{number}", f"reason {number}"))
    found = meter.statistics().models
    assert len(found) == MOST_NAMES + 1
    assert sum(sum(model.runs.values()) for model in found.values()) == 3 * MOST_NAMES
    assert len({reason for model in found.values() for reason in model.runs}) == MOST_NAMES + 1


def test_histogram_counts_up_to_its_bounds() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 9.0):
        histogram.observe(value)
    found = histogram.distribution()
    assert (found.counts, found.count, found.total) == ((2, 1, 1), 4, 12.0)
    assert [found.quantile(share) for share in (0.5, 0.75, 1.0)] == [1.0, 2.0, float("inf")]
    assert Histogram((1.0,)).distribution().quantile(0.5) is None
