"""Asking: again where that helps, not at all where it does not, in turn, and never for ever."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from random import Random
from typing import Any

import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from trialogue import ProviderError, Request, Settings, StorageError, TextPiece, Usage, UsagePiece
from trialogue._asking.asking import Answering, Asking, AskingLimits, Question
from trialogue._asking.lane import LaneLimits
from trialogue._facts.clock import utc_now
from trialogue.testing import OPENED, Fail, Pause, Script, ScriptedProvider

MODEL = "scripted:script"
#: So many that a breaker opens.
BROKEN: list[Script] = [(Fail("broken"), OPENED)] * 5


class Person:
    """Asks one provider, and remembers what was waited for."""

    def __init__(self, *scripts: Script, **limits: Any) -> None:
        self.provider = ScriptedProvider(*scripts)
        self.asking = Asking(AskingLimits(**limits), 60.0, utc_now, Random(1))
        self.waits: list[tuple[str, float | None]] = []

    async def ask(self, patience: float = 600.0, owner: str = "o", model: str = MODEL) -> str | None:
        request = Request(model.partition(":")[2], (), Settings(max_tokens=10))
        self.question = Question(owner, model, self.provider, request, trio.current_time() + patience)
        return await self.asking.ask(self.question, self.listen, self.tell)

    async def listen(self, answering: Answering) -> str:
        said: list[str] = []
        batch: Sequence[Any] = answering.first
        while batch:
            said += [piece.text for piece in batch if isinstance(piece, TextPiece)]
            answering.watch.deadline = trio.current_time() + 60
            batch = await answering.stream.receive()
        return "".join(said)

    def tell(self, awaited: str, seconds: float | None) -> None:
        self.waits.append((awaited, seconds))

    async def fails(self, kind: str, **asked: Any) -> ProviderError:
        with pytest.raises(ProviderError) as caught:
            await self.ask(**asked)
        assert caught.value.kind == kind
        return caught.value


async def test_answer_passes_through(autojump_clock: MockClock) -> None:
    person = Person(["a", "b", Pause(50), "c"])
    assert await person.ask() == "abc"
    assert person.waits == []
    assert person.asking.health(MODEL).status == "ok"


@pytest.mark.parametrize("kind", ["throttled", "unavailable"])
async def test_what_may_pass_is_asked_again(autojump_clock: MockClock, kind: str) -> None:
    person = Person([Fail(kind), OPENED], [Fail(kind)], ["answer"])
    assert await person.ask() == "answer"
    assert len(person.provider.requests) == 3
    assert person.asking.circuits.of(MODEL).retried == 2


async def test_attempts_are_bounded_and_wait_longer_each_time(autojump_clock: MockClock) -> None:
    person = Person([Fail("unavailable"), OPENED])
    began = trio.current_time()
    await person.fails("unavailable")
    assert len(person.provider.requests) == 3
    assert 0.75 <= trio.current_time() - began <= 1.5


@pytest.mark.parametrize("kind", ["refused", "malformed", "broken", "stalled"])
async def test_what_does_not_pass_is_not_asked_again(autojump_clock: MockClock, kind: str) -> None:
    person = Person([Fail(kind), OPENED])
    await person.fails(kind)
    assert len(person.provider.requests) == 1


async def test_nothing_is_asked_again_once_something_was_heard(autojump_clock: MockClock) -> None:
    person = Person(["a", Fail("unavailable")], ["other"])
    await person.fails("unavailable")
    assert len(person.provider.requests) == 1


async def test_usage_alone_is_nothing_heard_and_is_not_lost(autojump_clock: MockClock) -> None:
    usage = UsagePiece(Usage("reported", 3, 0))
    person = Person([usage, Fail("unavailable")], [usage, "answer"])
    assert await person.ask() == "answer"
    person = Person([usage, Pause(1000)])
    await person.fails("stalled")
    assert person.question.heard == [usage]
    assert person.question.taken


async def test_upstream_is_left_alone_as_long_as_it_asks(autojump_clock: MockClock) -> None:
    person = Person([Fail("throttled", retry_after=7), OPENED], ["answer"])
    began = trio.current_time()
    assert await person.ask() == "answer"
    assert 7 <= trio.current_time() - began < 7.5
    ((awaited, seconds),) = person.waits
    assert awaited == "retry"
    assert seconds == pytest.approx(7, abs=0.5)


async def test_longer_wait_than_allowed_is_told_and_not_waited(autojump_clock: MockClock) -> None:
    person = Person([Fail("throttled", retry_after=21), OPENED])
    began = trio.current_time()
    error = await person.fails("throttled")
    assert error.retry_after == 21
    assert trio.current_time() == began


async def test_nobody_waits_beyond_the_time_for_an_answer(autojump_clock: MockClock) -> None:
    person = Person([Fail("throttled", retry_after=7), OPENED])
    await person.fails("throttled", patience=5.0)
    assert trio.current_time() < 5
    person = Person([Pause(1000)])
    assert await person.ask(patience=5.0) is None


async def test_silence_before_the_first_piece_has_its_own_bound(autojump_clock: MockClock) -> None:
    person = Person([Pause(25), "late"], first_token=20.0)
    began = trio.current_time()
    assert "20 s" in (await person.fails("stalled")).detail
    assert trio.current_time() - began == pytest.approx(20)
    assert person.provider.open_streams == 0
    person = Person(["a", Pause(25), "b"], first_token=20.0)
    assert await person.ask() == "ab"


async def test_model_that_fails_is_left_alone_and_asked_again_later(autojump_clock: MockClock) -> None:
    person = Person([Fail("broken"), OPENED])
    for _ in range(5):
        await person.fails("broken")
    error = await person.fails("unavailable")
    assert error.retry_after == pytest.approx(5)
    assert "the script says so" in error.detail
    assert len(person.provider.requests) == 5
    assert person.asking.health(MODEL).status == "down"
    person.provider.then(["back"])
    await trio.sleep(5)
    assert await person.ask() == "back"
    assert person.asking.health(MODEL).status == "degraded"


async def test_half_open_one_probe_goes_and_the_rest_are_spared(autojump_clock: MockClock) -> None:
    person = Person(*BROKEN, [Pause(3), OPENED, "a", Pause(30), "b"], ["c"])
    for _ in range(5):
        await person.fails("broken")
    await trio.sleep(5)
    answers: list[str | None] = []

    async def probe() -> None:
        answers.append(await person.ask())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(probe)
        await trio.sleep(1)
        await person.fails("unavailable")
        await trio.sleep(3)
        assert await person.ask() == "c"  # The probe has begun to answer: that is enough.
    assert answers == ["ab"]


async def test_cancelled_probe_lets_another_one_through(autojump_clock: MockClock) -> None:
    person = Person(*BROKEN, [Pause(30)], ["c"])
    for _ in range(5):
        await person.fails("broken")
    await trio.sleep(5)
    with trio.move_on_after(1):
        await person.ask()
    assert await person.ask() == "c"


async def test_models_fail_alone_and_a_provider_when_they_all_do(autojump_clock: MockClock) -> None:
    person = Person([Fail("broken"), OPENED])
    for _ in range(5):
        await person.fails("broken", model="scripted:one")
    assert person.asking.health("scripted:two").status == "unknown"
    for _ in range(5):
        await person.fails("broken", model="scripted:two")
    assert (await person.fails("unavailable", model="scripted:three")).retry_after
    assert person.asking.health("scripted:three").status == "down"
    assert person.asking.health("other:one").status == "unknown"


@pytest.mark.parametrize("error", [StorageError("full"), trio.Cancelled])
async def test_what_is_not_the_providers_fault_is_not_held_against_it(autojump_clock: MockClock, error: Any) -> None:
    person = Person(["a"])

    async def listen(answering: Answering) -> None:
        if isinstance(error, Exception):
            raise error
        await trio.sleep_forever()

    for _ in range(10):
        request = Request("script", ())
        question = Question("o", MODEL, person.provider, request, trio.current_time() + 600)
        with trio.move_on_after(1):
            with suppress(StorageError):
                await person.asking.ask(question, listen, person.tell)
    assert person.asking.health(MODEL).status == "unknown"
    assert person.provider.open_streams == 0


async def test_bug_of_a_plugin_is_held_against_it(autojump_clock: MockClock) -> None:
    person = Person(["a"])

    async def listen(answering: Answering) -> None:
        async with trio.open_nursery():
            raise KeyError("a bug")

    question = Question("o", MODEL, person.provider, Request("script", ()), trio.current_time() + 600)
    with pytest.raises(KeyError):
        await person.asking.ask(question, listen, person.tell)
    assert person.asking.circuits.of(MODEL).failed == {"bug": 1}


async def test_waiting_in_line_is_told_and_ends_in_words(autojump_clock: MockClock) -> None:
    person = Person(["a", Pause(40), "b"], lanes={"scripted": LaneLimits(concurrency=1)}, wait=20.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(person.ask)
        await trio.sleep(1)
        error = await person.fails("throttled")
        assert "provider_wait_seconds" in error.detail
        assert person.waits == [("turn", None)]
        await trio.sleep(15)
        assert await person.ask() == "ab"
    assert len(person.provider.requests) == 2


async def test_who_waits_in_line_gives_up_at_once_when_cancelled(autojump_clock: MockClock) -> None:
    person = Person(["a", Pause(40), "b"], lanes={"scripted": LaneLimits(concurrency=1)})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(person.ask)
        await trio.sleep(1)
        with trio.move_on_after(10) as scope:
            await person.ask()
        assert scope.cancelled_caught
        assert person.asking.statistics()["scripted"].lane.waiting == 0
        nursery.cancel_scope.cancel()
    assert person.asking.statistics()["scripted"].lane.running == 0


async def test_pause_before_asking_again_holds_no_place(autojump_clock: MockClock) -> None:
    person = Person([Fail("throttled", retry_after=10), OPENED], ["a"], lanes={"scripted": LaneLimits(concurrency=1)})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(person.ask)
        await trio.sleep(1)
        began = trio.current_time()
        assert await person.ask() == "a"
        assert trio.current_time() == began


async def test_statistics_tell_what_became_of_it(autojump_clock: MockClock) -> None:
    person = Person([Fail("unavailable")], ["a"], [Fail("refused"), OPENED])
    await person.ask()
    await person.fails("refused")
    (told,) = person.asking.statistics()["scripted"].models.values()
    told = replace(told, health=replace(told.health, since=None))
    assert (told.asked, told.succeeded, told.failed, told.retried) == (3, 1, {"unavailable": 1, "refused": 1}, 1)


async def test_only_so_many_models_are_remembered(autojump_clock: MockClock) -> None:
    person = Person(["a"])
    for number in range(300):
        await person.ask(model=f"scripted:{number}")
    assert len(person.asking.statistics()["scripted"].models) == 256


@pytest.mark.parametrize("asked", [-5.0, float("nan"), float("inf")])
async def test_no_wait_that_an_upstream_makes_up_does_harm(autojump_clock: MockClock, asked: float) -> None:
    person = Person([Fail("throttled", retry_after=asked), OPENED])
    began = trio.current_time()
    for _ in range(8):
        with pytest.raises(ProviderError):
            await person.ask()
    assert trio.current_time() - began < 10
    assert person.asking.circuits.resting(MODEL) <= 60
