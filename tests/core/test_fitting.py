"""Answers that are to be JSON of a schema: how it is asked for, what fits, and that one that does not is repaired once."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import trio
from msgspec.structs import replace
from support import Talk, fold, open_talk

from trialogue import (
    AnswerSchema,
    Event,
    FinishPiece,
    InvalidError,
    LimitError,
    Limits,
    Message,
    Model,
    Request,
    RunFailed,
    RunStarted,
    Settings,
    open_engine,
    text_of,
)
from trialogue._runs.fitting import Fitting
from trialogue._runs.schema_child import find_fault
from trialogue.testing import MemoryStore, Pause, ScriptedProvider
from trialogue.testing.providers import Step

WANTED = AnswerSchema("place", {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]})
SETTINGS = Settings(answer_schema=WANTED)
GOOD, BAD = '{"at": "home"}', '{"at": 7}'


class Structured(ScriptedProvider):
    """Knows schemas itself."""

    async def models(self) -> Sequence[Model]:
        return [replace(one, capabilities=(*one.capabilities, "structured_output")) for one in await super().models()]


@asynccontextmanager
async def talking(provider: ScriptedProvider, **limits: Any) -> AsyncGenerator[Talk]:
    async with open_engine(MemoryStore(), [provider], Limits(**limits), default_model="scripted:script") as engine:
        await engine.models()
        yield await open_talk(engine)


async def answers(talk: Talk, events: Sequence[Event]) -> list[Message]:
    found = [await talk.engine.store.message(event.message) for event in events if isinstance(event, RunStarted)]
    return [one for one in found if one is not None]


async def test_answer_that_fits_is_completed() -> None:
    provider = Structured([GOOD])
    async with talking(provider) as talk:
        await talk.post("where?", settings=SETTINGS)
        (answer,) = await answers(talk, await talk.settled())
    assert (answer.status, text_of(answer.parts)) == ("completed", GOOD)
    assert provider.requests[0].answer_schema == WANTED
    assert provider.requests[0].system is None


async def test_model_that_knows_no_schemas_is_told_in_words() -> None:
    provider = ScriptedProvider([GOOD])
    async with talking(provider) as talk:
        await talk.post("where?", settings=SETTINGS)
        await talk.settled()
    assert provider.requests[0].answer_schema is None
    assert '"required":["at"]' in (provider.requests[0].system or "")


async def test_answer_that_does_not_fit_is_repaired_beside_it() -> None:
    provider = Structured([BAD], [GOOD])
    async with talking(provider) as talk:
        await talk.post("where?", settings=SETTINGS)
        events = await talk.settled()
        first, second = await answers(talk, events)
        assert (await talk.engine.header(talk.id)).head == second.id  # type: ignore[union-attr]  # it is there
    assert (first.status, text_of(first.parts), first.parent) == ("failed", BAD, second.parent)
    assert first.failure is not None
    assert first.failure.code == "answer_does_not_fit"
    assert "/at" in first.failure.detail
    assert (second.status, text_of(second.parts)) == ("completed", GOOD) == ("completed", fold(events).text(second.id))
    start = next(one for one in events if isinstance(one, RunStarted) and one.message == second.id)
    assert (start.cause, start.repairs) == ("repair", first.id)
    asked, said, complaint = provider.requests[1].messages
    assert (asked.role, text_of(said.parts), complaint.role) == ("user", BAD, "user")
    assert "/at" in text_of(complaint.parts)


async def test_answer_is_repaired_only_once() -> None:
    provider = Structured(["no JSON"], [BAD], [GOOD])
    async with talking(provider) as talk:
        await talk.post("where?", settings=SETTINGS)
        first, second = await answers(talk, await talk.settled())
        await talk.post("and now?")
        await talk.settled()
    assert [text_of(one.parts) for one in (first, second)] == ["no JSON", BAD]
    assert second.failure is not None
    assert second.failure.code == "answer_does_not_fit"
    assert len(provider.requests) == 3


async def test_repair_is_charged_for_itself() -> None:
    async with talking(Structured([BAD], [GOOD])) as talk:
        await talk.post("where?", settings=SETTINGS)
        runs = [event.run for event in await talk.settled() if isinstance(event, RunStarted)]
        charges = [await talk.engine.store.ledger.charge("ann", run) for run in runs]
    assert [one.status for one in charges if one is not None] == ["failed", "completed"]


async def test_answer_that_was_cut_is_not_judged() -> None:
    provider = Structured([BAD, FinishPiece("length")])
    async with talking(provider) as talk:
        await talk.post("where?", settings=SETTINGS)
        events = await talk.settled()
        (answer,) = await answers(talk, events)
    assert answer.status == "incomplete"
    assert not any(isinstance(event, RunFailed) for event in events)


async def test_free_text_costs_no_check(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object) -> None:
        raise AssertionError("nothing is to be checked")

    monkeypatch.setattr(Fitting, "_ask", refuse)
    async with talking(ScriptedProvider(["hello"])) as talk:
        await talk.post("hi")
        (answer,) = await answers(talk, await talk.settled())
    assert answer.status == "completed"


@pytest.mark.parametrize(
    ("schema", "pointer", "words"),
    [
        ({"type": "nope"}, "/type", "not valid"),
        ({"properties": {"a": {"pattern": "("}}}, "/properties/a/pattern", "regex"),
        ({"$ref": "#/$defs/gone"}, "", "gone"),
        ({"$schema": "http://127.0.0.1:1/x"}, "/$schema", "not known"),
        ({"$schema": 7}, "/$schema", "not known"),
    ],
)
async def test_schema_that_is_none_is_refused_where_it_is_wrong(schema: Any, pointer: str, words: str) -> None:
    async with talking(ScriptedProvider()) as talk:
        with pytest.raises(InvalidError, match=words) as raised:
            await talk.post("hi", settings=Settings(answer_schema=AnswerSchema("a", schema)))
        assert raised.value.pointer == f"/settings/answer_schema/schema{pointer}"


async def test_schema_that_is_too_large_or_deep_is_refused() -> None:
    fitting = Fitting(100, 5)
    with pytest.raises(LimitError, match="answer_schema_bytes"):
        await fitting.check(AnswerSchema("a", {"description": "x" * 100}))
    deep: dict[str, Any] = {}
    for _ in range(40):
        deep = {"not": deep}
    with pytest.raises(LimitError, match="nested"):
        await Fitting(10_000, 5).check(AnswerSchema("a", deep))


async def test_schema_reaches_neither_network_nor_file() -> None:
    """Not even where the library fetches what it is not asked to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/schema"
        for schema in ({"$ref": address}, {"$ref": "file:///etc/hostname"}, {"$ref": "//host/x"}):
            with pytest.raises(InvalidError):
                await Fitting(10_000, 5).check(AnswerSchema("a", schema))
        inner = {"$defs": {"a": {"$id": "http://here/", "$schema": address}}, "$ref": "#/$defs/a"}
        with suppress(InvalidError):
            await Fitting(10_000, 5).check(AnswerSchema("a", inner))
        with pytest.raises(BlockingIOError):
            listener.accept()


async def test_check_that_takes_too_long_is_ended_and_holds_nobody_up() -> None:
    slow = AnswerSchema("a", {"items": {"allOf": [{"not": {"pattern": f"^a*b*{n}$"}} for n in range(1000)]}})
    text = "[" + ",".join(['"' + "a" * 100 + '"'] * 20_000) + "]"
    began, longest = trio.current_time(), 0.0
    async with trio.open_nursery() as nursery:

        async def watch() -> None:
            nonlocal longest
            while True:
                before = trio.current_time()
                await trio.sleep(0.05)
                longest = max(longest, trio.current_time() - before)

        nursery.start_soon(watch)
        fault = await Fitting(100_000, 1).misfit(slow, text)
        nursery.cancel_scope.cancel()
    assert fault is not None
    assert "answer_schema_seconds" in fault.detail
    assert trio.current_time() - began < 30
    assert longest < 10, "the loop was held up"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON"),
        ("NaN", "not JSON"),
        ('```json\n{"at": "x"}\n```', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("{}", "required"),
    ],
)
def test_text_that_does_not_fit_is_described(text: str, words: str) -> None:
    fault = find_fault(WANTED.schema, text)
    assert words in fault["detail"]
    assert len(fault["detail"]) <= 300


def test_text_that_fits_has_no_fault() -> None:
    assert find_fault(WANTED.schema, GOOD) is None


def _held(opened: trio.Event) -> Callable[[Request], Sequence[Step]]:
    def script(_: Request) -> Sequence[Step]:
        opened.set()
        return [Pause(1_000)]

    return script


async def test_repair_that_a_restart_cut_off_is_gone_on_with() -> None:
    store, opened = MemoryStore(), trio.Event()
    first = Structured([BAD], _held(opened), continues=True)
    async with open_engine(store, [first], default_model="scripted:script") as engine:
        await engine.models()
        talk = await open_talk(engine)
        await talk.post("where?", settings=SETTINGS)
        with trio.fail_after(10):
            await opened.wait()
    second = Structured([GOOD], continues=True)
    async with open_engine(store, [second], default_model="scripted:script") as engine:
        header = await engine.header(talk.id)
        assert header is not None
        with trio.fail_after(10):
            await Talk(engine, talk.id, talk.model).settled()
        answer = await store.message(header.head or "")
    assert answer is not None
    assert (answer.status, text_of(answer.parts)) == ("completed", GOOD)
    assert [text_of(one.parts)[:9] for one in second.requests[0].messages] == ["where?", BAD[:9], "Your last"]
