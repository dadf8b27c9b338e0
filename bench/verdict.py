"""What must be true of a conversation after any number of crashes, checked on the whole log and on what clients saw."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.sse import Frame

ENDS = frozenset({"run.completed", "run.incomplete", "run.failed", "run.cancelled", "run.interrupted"})


def check_order(frames: Sequence[Frame], first: int) -> list[str]:
    """No gap, no duplicate, no epoch that falls: the frames are exactly ``first``, ``first + 1``, ..."""
    problems: list[str] = []
    epoch = 0
    for expected, frame in enumerate(frames, first):
        if frame.seq != expected:
            problems.append(f"event {frame.seq} ({frame.type}) came where {expected} was due")
            break
        if frame.epoch < epoch:
            problems.append(f"event {frame.seq} has epoch {frame.epoch}, after {epoch}")
        epoch = frame.epoch
    return problems


def check_seen(log: Sequence[Frame], seen: Iterable[Frame]) -> list[str]:
    """What a client saw stands in the log, byte for byte, cursor included."""
    problems: list[str] = []
    stored = {frame.seq: frame for frame in log}
    for frame in seen:
        now = stored.get(frame.seq)
        if now is None:
            problems.append(f"event {frame.seq} ({frame.type}) was seen and is lost")
        elif now != frame:
            problems.append(f"event {frame.seq} was seen as {frame.data!r} and is now {now.data!r}")
    return problems


def check_runs(log: Sequence[Frame]) -> list[str]:
    """Each run that started ended exactly once, and nothing of it came after its end."""
    problems: list[str] = []
    ends: dict[str, int] = {}
    for frame in log:
        run = _fields(frame).get("run")
        if not isinstance(run, str):
            continue
        if ends.get(run):
            problems.append(f"event {frame.seq} ({frame.type}) belongs to the run {run}, which had ended")
        if frame.type == "run.started":
            ends[run] = 0
        elif frame.type in ENDS:
            ends[run] = ends.get(run, 0) + 1
    problems += [f"the run {run} never ended" for run, count in ends.items() if not count]
    return problems


def check_charges(log: Sequence[Frame], charged: Mapping[str, int]) -> list[str]:
    """Each run is charged once, those beside the answers too; and what it is charged is what the log says it used."""
    last: dict[str, Mapping[str, Any]] = {}
    for frame in log:
        fields = _fields(frame)
        if frame.type == "run.started":
            last[fields["run"]] = {}
        elif frame.type == "usage":
            last[fields["run"]] = fields["usage"]
        elif (aside := fields.get("asked") or fields.get("titled")) is not None:
            last[aside["run"]] = aside["usage"]
    told = {
        name: sum(usage.get(name, 0) for usage in last.values()) for name in ("input_tokens", "output_tokens", "cost")
    }
    told["runs"] = len(last)
    return [
        f"{charged.get(name, 0)} {name} were charged, where the log says {count}"
        for name, count in told.items()
        if charged.get(name, 0) != count
    ]


def check_messages(log: Sequence[Frame], acknowledged: Iterable[str], posted: Iterable[str]) -> list[str]:
    """What was acknowledged is there once, and whatever was posted is there at most once."""
    added = Counter(_fields(frame)["message"]["id"] for frame in log if frame.type == "message.added")
    problems = [f"the message {message} was acknowledged and is lost" for message in acknowledged if not added[message]]
    return problems + [
        f"the message {message} took effect {added[message]} times" for message in posted if added[message] > 1
    ]


def check_texts(log: Sequence[Frame], rows: Mapping[str, str], expected: str | None) -> list[str]:
    """Deltas add up to the stored answers; and a completed answer is the text that was to come, without a seam."""
    texts, completed = replay(log)
    problems: list[str] = []
    for message, row in rows.items():
        if message in texts and texts[message] != row:
            problems.append(f"the answer {message} is stored as {row[-80:]!r}, its deltas say {texts[message][-80:]!r}")
    if expected is not None:
        bad = [message for message in completed if texts.get(message) != expected]
        problems += [
            f"the completed answer {message} is not what the model says: {texts.get(message)!r}" for message in bad
        ]
    return problems


def replay(log: Iterable[Frame]) -> tuple[dict[str, str], list[str]]:
    """The text of each answer as its deltas write it, and the answers whose last run completed."""
    parts: dict[tuple[str, int], str] = {}
    completed: list[str] = []
    for frame in log:
        fields = _fields(frame)
        if frame.type == "part.delta":
            key = (fields["message"], fields["part"])
            parts[key] = parts.get(key, "")[: fields["offset"]] + fields["text"]
        elif frame.type == "run.completed":
            completed.append(fields["message"])
    texts: dict[str, str] = {}
    for (message, _), text in sorted(parts.items()):
        texts[message] = texts.get(message, "") + text
    return texts, completed


def _fields(frame: Frame) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(frame.data)
    return fields
