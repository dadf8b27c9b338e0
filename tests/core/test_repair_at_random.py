"""Answers in a schema, at random: each is judged as it was said, repaired once, and nothing that was said is lost."""

from __future__ import annotations

import json
from typing import NamedTuple

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from support import fold, open_talk
from trio.testing import MockClock

from trialogue import (
    AnswerSchema,
    FinishPiece,
    FinishReason,
    Limits,
    Message,
    RunStarted,
    Settings,
    open_engine,
    text_of,
)
from trialogue._runs.fitting import Fault, Fitting
from trialogue._runs.repairing import DOES_NOT_FIT
from trialogue._runs.schema_child import find_fault
from trialogue.testing import Fail, MemoryStore, ScriptedProvider, Step

SCHEMA = {
    "type": "object",
    "properties": {"at": {"type": "string"}, "n": {"type": "integer", "minimum": 0}},
    "required": ["at"],
    "additionalProperties": False,
}
WANTED = Settings(answer_schema=AnswerSchema("place", SCHEMA))


class InProcess(Fitting):
    """Judges as the child would, without one: hundreds of answers are judged here."""

    async def _ask(self, wanted: AnswerSchema, text: str | None) -> Fault | None:
        await trio.lowlevel.checkpoint()
        fault = find_fault(wanted.schema, text)
        return None if fault is None else Fault(**fault)


class Said(NamedTuple):
    """What the model answers, whether that fits, and how it ends: with a reason, or with a failure."""

    text: str
    fits: bool
    end: FinishReason | Fail = "stop"

    @property
    def steps(self) -> list[Step]:
        """The same in pieces of seven characters."""
        end = self.end if isinstance(self.end, Fail) else FinishPiece(self.end)
        return [*(self.text[at : at + 7] for at in range(0, len(self.text), 7)), end]


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.integers(0, 10**20)
GOOD = st.builds(
    lambda at, more: {"at": at, **more}, WORDS, st.one_of(st.just({}), st.builds(lambda n: {"n": n}, NUMBERS))
)
FITTING = st.builds(lambda value, indent: json.dumps(value, indent=indent), GOOD, st.sampled_from([None, 2]))
BAD = st.one_of(
    st.builds(lambda n: {"at": "x", "n": n}, st.one_of(WORDS, st.integers(max_value=-1), st.just(0.5))),
    st.builds(lambda n: {"n": n}, NUMBERS),
    st.builds(lambda good: {**good, "more": None}, GOOD),
    st.lists(WORDS, max_size=3),
    st.none(),
)
UNFITTING = st.one_of(
    BAD.map(json.dumps),
    FITTING.map(lambda text: f"Here it is: {text}"),
    FITTING.map(lambda text: f"```json\n{text}\n```"),
    FITTING.map(lambda text: text[:-1]),
    st.just('{"at": "x", "n": NaN}'),
    st.sampled_from(["", " ", "[" * 3000]),
)
ENDED = st.one_of(
    FITTING.map(lambda text: Said(text, True)),
    UNFITTING.map(lambda text: Said(text, False)),
)
CUT = st.builds(
    Said, UNFITTING, st.just(False), st.sampled_from(["length", "content_filter", Fail("refused"), Fail("broken")])
)


@settings(max_examples=60)
@given(st.lists(st.one_of(ENDED, ENDED, CUT), min_size=2, max_size=2))
def test_answer_is_repaired_once_and_its_end_is_true(script: list[Said]) -> None:
    async def main() -> None:
        # Whoever asks once more than that is found out, and does not go on for ever.
        provider = ScriptedProvider(*(one.steps for one in script), ["again", FinishPiece("length")])
        limits = Limits(failovers=0)
        async with open_engine(store := MemoryStore(), [provider], limits, default_model="scripted:script") as engine:
            engine._node.fitting = InProcess(limits.answer_schema_bytes, limits.answer_schema_seconds)
            await engine.models()
            talk = await open_talk(engine)
            await talk.post("Where?", settings=WANTED)
            events = await talk.settled()
            found = [await store.message(event.message) for event in events if isinstance(event, RunStarted)]
            told = [one for one in found if one is not None]
            assert len(told) == len(provider.requests) == _asked(script)
            for said, message in zip(script, told, strict=False):
                _check(said, message)
            assert fold(events).head == told[-1].id
            if len(told) == 2:
                assert told[0].parent == told[1].parent, "it stands beside the one it repairs"
                assert _shows(provider.requests[1].messages, told[0])

    trio.run(main, clock=MockClock(autojump_threshold=0))


def _asked(script: list[Said]) -> int:
    """How often the model is asked: again only if it has ended its answer, and that does not fit."""
    return 2 if script[0].end == "stop" and not script[0].fits else 1


def _check(said: Said, message: Message) -> None:
    assert text_of(message.parts) == said.text, "what was said stays as it was said"
    code = message.failure.code if message.failure is not None else None
    match said.end:
        case "stop":
            assert (message.status, code) == (("completed", None) if said.fits else ("failed", DOES_NOT_FIT))
        case Fail():
            assert (message.status, code) == ("failed", f"provider_{said.end.kind}")
        case _:
            assert (message.status, code) == ("incomplete", None)


def _shows(messages: tuple[Message, ...], failed: Message) -> bool:
    """Whether the model is shown what it said, and then what is wrong with it."""
    assert failed.failure is not None
    *_, said, complaint = messages
    return said.id == failed.id and failed.failure.detail in text_of(complaint.parts)
