"""The checker behind the crash tests: it finds each kind of damage it is there for."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from bench.sse import Frame
from bench.verdict import check_charges, check_messages, check_order, check_runs, check_seen, check_texts

Fields = dict[str, object]


def frame(seq: int, kind: str, epoch: int = 1, **fields: object) -> Frame:
    return Frame(f"0001.{epoch:010d}.{seq:012d}", kind, json.dumps({"type": kind, **fields}).encode())


def added(seq: int, message: str) -> Frame:
    return frame(seq, "message.added", message={"id": message})


def delta(seq: int, offset: int, text: str) -> Frame:
    return frame(seq, "part.delta", run="r", message="answer", part=0, offset=offset, text=text)


LOG = [
    added(1, "question"),
    added(2, "answer"),
    frame(3, "run.started", run="r", message="answer"),
    delta(4, 0, "0 1 "),
    delta(5, 4, "2 "),
    frame(6, "run.completed", run="r", message="answer"),
]


def test_sound_log_passes() -> None:
    assert check_order(LOG, 1) == []
    assert check_seen(LOG, LOG[2:4]) == []
    assert check_runs(LOG) == []
    assert check_messages(LOG, ["question"], ["question", "never acknowledged"]) == []
    assert check_texts(LOG, {"answer": "0 1 2 "}, "0 1 2 ") == []


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param([*LOG[:2], *LOG[3:]], id="gap"),
        pytest.param([*LOG[:3], *LOG[2:]], id="duplicate"),
        pytest.param([*LOG[:2], LOG[3], LOG[2], *LOG[4:]], id="swapped"),
        pytest.param(LOG[1:], id="missing at the start"),
    ],
)
def test_wrong_order_is_found(frames: list[Frame]) -> None:
    assert check_order(frames, 1)


def test_falling_epoch_is_found() -> None:
    assert check_order([frame(1, "a", epoch=2), frame(2, "b", epoch=1)], 1)


def test_lost_and_changed_events_are_found() -> None:
    assert "lost" in check_seen(LOG[:-1], LOG)[0]
    changed = [*LOG[:4], delta(5, 4, "3 "), LOG[5]]
    assert "is now" in check_seen(changed, LOG)[0]
    other_epoch = [*LOG[:5], replace(LOG[5], cursor=frame(6, "x", epoch=2).cursor)]
    assert check_seen(other_epoch, LOG)


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        pytest.param(LOG[:-1], "never ended", id="no end"),
        pytest.param([*LOG, frame(7, "run.interrupted", run="r", message="answer")], "had ended", id="two ends"),
        pytest.param([*LOG, delta(7, 6, "3 ")], "had ended", id="a delta after the end"),
    ],
)
def test_runs_without_exactly_one_end_are_found(frames: list[Frame], words: str) -> None:
    assert words in check_runs(frames)[0]


def test_lost_and_repeated_messages_are_found() -> None:
    assert "is lost" in check_messages(LOG, ["other"], ["other"])[0]
    assert "took effect 2 times" in check_messages([*LOG, added(7, "question")], [], ["question"])[0]


def test_seams_in_texts_are_found() -> None:
    assert "its deltas say" in check_texts(LOG, {"answer": "0 1 "}, None)[0]
    assert "not what the model says" in check_texts(LOG, {}, "0 1 2 3 ")[0]


def test_runs_without_exactly_one_charge_are_found() -> None:
    usage = frame(6, "usage", run="r", message="answer", usage={"output_tokens": 3, "cost": 7})
    log = [*LOG[:5], usage, frame(7, "run.completed", run="r", message="answer")]
    charged = {"runs": 1, "input_tokens": 0, "output_tokens": 3, "cost": 7}
    assert check_charges(log, charged) == []
    for name in ("runs", "output_tokens", "cost"):
        assert name in check_charges(log, charged | {name: 2})[0]
    assert "runs" in str(check_charges(log, {}))


def test_what_was_asked_beside_the_answers_is_charged_too() -> None:
    aside = {"run": "s", "usage": {"output_tokens": 5, "cost": 1}}
    log = [*LOG[:5], frame(6, "context.compacted", message="answer", asked=aside)]
    charged = {"runs": 2, "input_tokens": 0, "output_tokens": 5, "cost": 1}
    assert check_charges(log, charged) == []
    assert check_charges(log, charged | {"runs": 1})
