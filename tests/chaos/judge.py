"""What must be true of a conversation whatever went wrong, checked on what PostgreSQL holds and on what clients saw.

    I1, I2  every append is of the owner, at the epoch of its claim; each claim raises the epoch by one
    I3, I4  events are numbered without a hole, and epochs never fall along them
    I5      what anybody saw is in the log, byte for byte: nothing was shown that could be lost
    I6      flushes of an epoch grow
    I7      each reader saw one event after the other, over all its connections
    I9, I12 nobody was asked to start over: the log never went backwards
    I10     what was acknowledged took effect once, what was not at most once
    beside  runs end once, texts are what the model said, charges are what the log says

I8 and I11 say what must not be there; that clocks decide nothing is tried by nodes that stand still (``faults``), that
no task outlives its owner by the end of each process.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from bench.sse import Frame
from bench.verdict import check_charges, check_order, check_runs, check_seen, replay
from chaos.evidence import Evidence, Seen
from chaos.talks import Record, Talk


def judge(talk: Talk, found: Evidence) -> list[str]:
    """Everything that is wrong with a conversation, in words."""
    problems = [
        *talk.problems,
        *check_owners(found),
        *check_log(found),
        *check_runs(found.log),
        *check_commands(talk, found),
        *check_texts(talk, found),
        *check_ledger(found),
    ]
    for number, record in enumerate(talk.records):
        problems += [f"reader {number}: {problem}" for problem in check_reader(record, found.log)]
    return problems


def check_owners(found: Evidence) -> list[str]:
    """The history of the row: claims raise the epoch, and only appends of its owner move its end."""
    if not found.history:
        return ["the witness saw nothing"]
    problems: list[str] = []
    before = found.history[0]
    owners = {before.epoch: before.node}
    for now in found.history[1:]:
        problems += _check_step(before, now, owners)
        before = now
    if (before.epoch, before.new_seq) != (found.epoch, found.next_seq):
        problems.append(f"the row is at {found.epoch}.{found.next_seq}, its witness saw it last at {before}")
    return problems


def _check_step(before: Seen, now: Seen, owners: dict[int, str]) -> Iterator[str]:
    if now.old_seq != before.new_seq:
        yield f"{now} goes on at {now.old_seq}, where {before.new_seq} was due"
    if now.epoch == before.epoch:
        # An owner may give a conversation away, and nobody has it then; it may not be handed on within an epoch.
        if now.node not in (owners[now.epoch], ""):
            yield f"{now.node} has epoch {now.epoch}, which was claimed by {owners[now.epoch]}"
        if now.new_seq != now.old_seq and now.flush <= before.flush:
            yield f"flush {now.flush} was appended after flush {before.flush}, at epoch {now.epoch}"
    elif now.epoch == before.epoch + 1:
        owners[now.epoch] = now.node
        if now.new_seq != now.old_seq:
            yield f"the claim of epoch {now.epoch} moved the end of the log from {now.old_seq} to {now.new_seq}"
    else:
        yield f"epoch {now.epoch} came after {before.epoch}"


def check_log(found: Evidence) -> list[str]:
    """The log is whole; each event has the epoch of the append that wrote it; nothing is left to be done."""
    problems = check_order(found.log, 0)
    if len(found.log) != found.next_seq:
        problems.append(f"{len(found.log)} events are there, the next one is said to be {found.next_seq}")
    epochs = {seq: seen.epoch for seen in found.history for seq in range(seen.old_seq, seen.new_seq)}
    problems += [
        f"event {frame.seq} has epoch {frame.epoch}, and was appended at epoch {epochs.get(frame.seq)}"
        for frame in found.log
        if epochs.get(frame.seq) != frame.epoch
    ]
    if found.unfinished:
        problems.append("it is unfinished, and nobody goes on with it")
    return problems


def check_reader(record: Record, log: Sequence[Frame]) -> list[str]:
    """What one reader saw: all of it from where it began, in order, and as it is stored."""
    problems = [*record.problems, *check_order(record.frames, record.first), *check_seen(log, record.frames)]
    if record.last != log[-1].seq:
        problems.append(f"it saw events up to {record.last}, and there are {log[-1].seq}")
    return problems


def check_commands(talk: Talk, found: Evidence) -> list[str]:
    """What was acknowledged is there once; whatever was tried at most as often as it was tried."""
    fields = [(frame.type, json.loads(frame.data)) for frame in found.log]
    added = Counter(event["message"]["id"] for kind, event in fields if kind == "message.added")
    titles = Counter(event["title"] for kind, event in fields if kind == "conversation.updated" and event.get("title"))
    answers = Counter(
        event["message"].get("parent")
        for kind, event in fields
        if kind == "message.added" and event["message"]["role"] == "assistant"
    )
    problems = [f"a message {name} was added {count} times" for name, count in added.items() if count > 1]
    for name, question in talk.questions.items():
        if question.acknowledged and not added[name]:
            problems.append(f"the message {name} was acknowledged and is lost")
        if question.acknowledged and name not in found.commands:
            problems.append(f"the command {name} was acknowledged and has no receipt")
        lost = [answer for answer in question.answers if not added[answer]]
        problems += [f"the answer {answer} to {name} was promised and never came" for answer in lost]
        most = question.again + question.respond
        if answers[name] > most:
            problems.append(f"the message {name} has {answers[name]} answers, where {most} were asked for")
    problems += [f"nobody said {name}" for name in added if name not in talk.questions and name not in found.parents]
    lost = [title for title, done in talk.titles.items() if done and not titles[title]]
    problems += [f"the title {title} was acknowledged and is lost" for title in lost]
    return problems


def check_texts(talk: Talk, found: Evidence) -> list[str]:
    """Answers are what the model said: completed ones whole, the others as far as they came; and stored as told."""
    texts, completed = replay(found.log)
    problems: list[str] = []
    for answer, text in found.texts.items():
        question = talk.questions.get(found.parents[answer])
        if text != texts.get(answer, ""):
            problems.append(f"the answer {answer} is stored as {text[-80:]!r}, its deltas say {texts.get(answer)!r}")
        if question is None:
            problems.append(f"the answer {answer} is to {found.parents[answer]!r}, which nobody asked")
        elif answer in completed and text != question.truth:
            problems.append(f"the completed answer {answer} is {text!r}, the model said {question.truth!r}")
        elif not question.truth.startswith(text):
            problems.append(f"the answer {answer} is {text!r}, the model began with {question.truth!r}")
    problems += [f"the answer {answer} is not stored" for answer in texts if answer not in found.texts]
    return problems


def check_ledger(found: Evidence) -> list[str]:
    """Every run is charged once, and settled; the sums are those of the charges, and the charges those of the log."""
    problems = [f"{found.open_charges} charges are open, and no run is live"] if found.open_charges else []
    summed = {
        "runs": len(found.charges),
        "input": sum(_used(charge, "input_tokens") for charge in found.charges),
        "output": sum(_used(charge, "output_tokens") for charge in found.charges),
    }
    problems += [
        f"the sums say {found.sums.get(name, 0)} {name}, the charges {count}"
        for name, count in summed.items()
        if found.sums.get(name, 0) != count
    ]
    told = {"runs": found.sums.get("runs", 0), "cost": found.sums.get("cost", 0)}
    told |= {"input_tokens": found.sums.get("input", 0), "output_tokens": found.sums.get("output", 0)}
    return problems + check_charges(found.log, told)


def _used(charge: dict[str, Any], name: str) -> int:
    usage = charge.get("reported") or charge.get("counted") or {}
    return int(usage.get(name) or 0)
