"""The judge of the chaos runs: a sound case passes, and each kind of damage is found."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from bench.sse import Frame
from chaos.evidence import Evidence, Seen
from chaos.faults import FAULTS, draw
from chaos.judge import judge
from chaos.talks import Question, Record, Talk, frame_of

Damage = Callable[[Talk, Evidence], object]


def frame(seq: int, kind: str, epoch: int = 1, **fields: object) -> Frame:
    return Frame(f"0001.{epoch:010d}.{seq:012d}", kind, json.dumps({"type": kind, **fields}).encode())


def added(seq: int, name: str, role: str = "user", parent: str | None = None) -> Frame:
    return frame(seq, "message.added", message={"id": name, "role": role, "parent": parent})


def delta(seq: int, offset: int, text: str, epoch: int = 1) -> Frame:
    return frame(seq, "part.delta", epoch, run="r", message="a", part=0, offset=offset, text=text)


def sound() -> tuple[Talk, Evidence]:
    """A question that was answered by one node, and a title that another gave after it."""
    usage = {"input_tokens": 1, "output_tokens": 3}
    log = [
        frame(0, "conversation.created", conversation={}),
        added(1, "q"),
        added(2, "a", "assistant", "q"),
        frame(3, "run.started", run="r", message="a"),
        delta(4, 0, "0 1 "),
        delta(5, 4, "2 "),
        frame(6, "usage", run="r", message="a", usage=usage),
        frame(7, "run.completed", run="r", message="a"),
        frame(8, "conversation.updated", 2, title="t"),
    ]
    history = [
        Seen("one", 1, 0, 1, 0),
        Seen("one", 1, 1, 4, 1),
        Seen("one", 1, 4, 8, 2),
        Seen("", 1, 8, 8, 2),
        Seen("two", 2, 8, 8, 2),
        Seen("two", 2, 8, 9, 3),
    ]
    question = Question(3, acknowledged=True, answers={"a"})
    record = Record(log[1:], log[-1].cursor, 1)
    talk = Talk("c", [record, replace(record, frames=log[3:], first=3)], {"q": question}, {"t": True})
    evidence = Evidence(
        epoch=2,
        next_seq=9,
        unfinished=False,
        log=log,
        history=history,
        texts={"a": "0 1 2 "},
        parents={"a": "q"},
        commands={"q"},
        charges=[{"reported": usage}],
        sums={"runs": 1, "input": 1, "output": 3, "cost": 0},
    )
    return talk, evidence


def test_sound_case_passes() -> None:
    assert judge(*sound()) == []


def put(found: Evidence, other: Frame) -> None:
    """Another last event."""
    found.log[8] = replace(other, cursor=found.log[8].cursor)


def charge_less(found: Evidence) -> None:
    found.sums["output"] = 2
    found.charges[0] = {"reported": {"input_tokens": 1, "output_tokens": 2}}


#: What is done to the sound case, and a word of what is to be found, by the promise that it breaks.
DAMAGES: dict[str, tuple[Damage, str]] = {
    "I1 an append by who owned it before": (
        lambda _, found: found.history.__setitem__(5, Seen("one", 1, 8, 9, 3)),
        "came after 2",
    ),
    "I1 an append by somebody else at the owner's epoch": (
        lambda _, found: found.history.__setitem__(2, Seen("two", 1, 4, 8, 2)),
        "which was claimed by one",
    ),
    "I1 an append into the midst": (
        lambda _, found: found.history.__setitem__(2, Seen("one", 1, 3, 8, 2)),
        "where 4 was due",
    ),
    "I1 a claim that appends": (lambda _, found: found.history.pop(4), "moved the end of the log"),
    "I2 a claim that skips an epoch": (
        lambda _, found: found.history.__setitem__(4, Seen("two", 3, 8, 8, 2)),
        "epoch 3 came after 1",
    ),
    "I2 an epoch used twice": (
        lambda _, found: found.history.__setitem__(4, Seen("two", 1, 8, 8, 2)),
        "which was claimed by one",
    ),
    "I3 a hole": (lambda _, found: found.log.pop(4), "where 4 was due"),
    "I3 an event twice": (lambda _, found: found.log.insert(4, found.log[4]), "where 5 was due"),
    "I3 an event that nobody appended": (lambda _, found: found.log.append(frame(9, "x", 2)), "None"),
    "I3 an event too few": (lambda _, found: found.log.pop(), "8 events are there"),
    "I4 an epoch that falls": (lambda _, found: found.log.__setitem__(8, frame(8, "x", 0)), "has epoch 0, after 1"),
    "I5 shown and lost": (
        lambda talk, found: talk.records[0].frames.append(frame(9, "part.delta", 2)),
        "was seen and is lost",
    ),
    "I5 shown otherwise": (
        lambda talk, found: talk.records[0].frames.__setitem__(4, delta(5, 4, "9 ")),
        "was seen as",
    ),
    "I5 shown under another epoch": (
        lambda talk, found: talk.records[0].frames.__setitem__(7, replace(found.log[8], cursor=delta(8, 0, "").cursor)),
        "was seen as",
    ),
    "I6 a flush that was late": (
        lambda _, found: found.history.__setitem__(2, Seen("one", 1, 4, 8, 1)),
        "flush 1 was appended after flush 1",
    ),
    "I7 a reader missed one": (lambda talk, _: talk.records[1].frames.pop(2), "where 5 was due"),
    "I7 a reader saw one twice": (
        lambda talk, found: talk.records[1].frames.insert(1, found.log[3]),
        "where 4 was due",
    ),
    "I7 a reader that was left behind": (lambda talk, _: talk.records[0].frames.pop(), "it saw events up to 7"),
    "I9 a reader was told to start over": (
        lambda talk, _: talk.records[0].take(Frame("", "reset", b"{}")),
        "asked to start over",
    ),
    "I12 a snapshot in the midst": (
        lambda talk, _: talk.records[0].take(frame(8, "snapshot")),
        "a snapshot came",
    ),
    "I10 acknowledged and lost": (
        lambda talk, _: talk.questions.__setitem__("x", Question(3, acknowledged=True)),
        "acknowledged and is lost",
    ),
    "I10 done twice": (lambda _, found: put(found, added(8, "q")), "was added 2 times"),
    "I10 answered twice": (
        lambda _, found: put(found, added(8, "b", "assistant", "q")),
        "has 2 answers",
    ),
    "I10 a promise that was not kept": (
        lambda talk, _: talk.questions["q"].answers.add("b"),
        "was promised and never came",
    ),
    "I10 no receipt": (lambda _, found: found.commands.clear(), "has no receipt"),
    "I10 said by nobody": (lambda talk, found: talk.questions.clear(), "nobody said q"),
    "I10 a title that is lost": (lambda talk, _: talk.titles.update(u=True), "the title u was acknowledged"),
    "a command that was refused": (lambda talk, _: talk.problems.append("refused"), "refused"),
    "a run without an end": (
        lambda _, found: found.log.__setitem__(7, frame(7, "x")),
        "never ended",
    ),
    "a run that goes on after its end": (
        lambda _, found: found.log.__setitem__(8, delta(8, 6, "3 ", 2)),
        "which had ended",
    ),
    "unfinished for ever": (lambda _, found: setattr(found, "unfinished", True), "nobody goes on with it"),
    "a text with a seam": (lambda _, found: found.log.__setitem__(5, delta(5, 3, "2 ")), "its deltas say"),
    "another text than the model's": (lambda talk, _: setattr(talk.questions["q"], "tokens", 4), "the model said"),
    "an answer that is not stored": (lambda _, found: found.texts.clear(), "is not stored"),
    "a charge that is open": (lambda _, found: setattr(found, "open_charges", 1), "charges are open"),
    "a charge twice": (lambda _, found: found.charges.append(found.charges[0]), "the charges 2"),
    "sums that are wrong": (lambda _, found: found.sums.update(output=4), "the sums say 4 output"),
    "tokens that are not charged": (lambda _, found: charge_less(found), "2 output_tokens were charged"),
    "no witness": (lambda _, found: found.history.clear(), "the witness saw nothing"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_found(name: str) -> None:
    damage, word = DAMAGES[name]
    talk, found = sound()
    damage(talk, found)
    assert word in " ".join(judge(talk, found))


def test_answer_that_was_stopped_is_a_beginning() -> None:
    talk, found = sound()
    found.log[7] = frame(7, "run.cancelled", run="r", message="a")
    talk.records[0].frames[6] = talk.records[1].frames[4] = found.log[7]
    talk.questions["q"].tokens = 50
    assert judge(talk, found) == []
    talk.questions["q"].tokens = 2
    assert "the model began with" in " ".join(judge(talk, found))


def test_message_of_a_socket_is_the_frame_of_a_stream() -> None:
    text = (
        '{"type":"event","id":"a","token":"0001.0000000001.000000000004","event":"part.delta","data":{"a":{"data":1}}}'
    )
    assert frame_of(text) == Frame("0001.0000000001.000000000004", "part.delta", b'{"a":{"data":1}}')
    assert frame_of('{"type":"ping"}') is None
    assert frame_of('{"type":"error","problem":{"data":1}}') is None


def test_plan_is_that_of_its_seed_and_knows_every_fault() -> None:
    plan = draw(random.Random(7), 1000)
    assert plan == draw(random.Random(7), 1000)
    assert {trouble.name for trouble in plan} == set(FAULTS)
