"""The ledger: what was sent, what was answered, and whether the log agrees (I10).

A command has its effect exactly once if any attempt was acknowledged, at most once otherwise, and not at all if every
attempt was refused. Every acknowledgement of one command is the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from simulation.commands import Sent
from simulation.fold import Json, require

from trialogue import (
    AnswerApproval,
    ContinueAnswer,
    EditMessage,
    PostMessage,
    Receipt,
    Regenerate,
    RemoveMessage,
    Stop,
    UpdateConversation,
)
from trialogue.testing._memory_rows import Row


def check_acknowledged(row: Row, sent: Sent, receipt: Receipt) -> None:
    """At the instant of an acknowledgement: what it speaks of is in the store, and was said the same before."""
    require(receipt.seq < row.next_seq, "acknowledged up to", receipt.seq, "with the log at", row.next_seq)
    done = row.done.get(sent.id)
    require(done is not None and done.receipt == receipt, sent.id, "acknowledged", receipt, "but stored is", done)
    told = expected(sent)
    require(told in (None, receipt), sent.id, "acknowledged", receipt, "and before", told)


def expected(sent: Sent) -> Receipt | None:
    """What a repeat has to be answered with, once it is known."""
    return sent.receipts[0] if sent.receipts else None


def _did_something(sent: Sent, receipt: Receipt) -> bool:
    """Whether the log has to show it: a stop may find nothing to stop."""
    return receipt.run is not None or not isinstance(sent.attempts[0], Stop)


def check_effects(row: Row, ledger: Sequence[Sent]) -> None:
    """Each command of the ledger against the whole log."""
    counts = _count(row)
    for sent in ledger:
        receipt = next((receipt for receipt in sent.receipts if _did_something(sent, receipt)), None)
        count = sum(counts.get(mark, 0) for mark in _marks(sent))
        told = f"{sent.attempts} took effect {count} times: {sent.receipts} {sent.refused}"
        require(count <= 1, told)
        require(count == (receipt is not None) or not sent.receipts, told)
        require(count == 0 or not sent.all_refused, told)
        if receipt is not None:
            _check_receipt(row, sent, receipt)


def _marks(sent: Sent) -> list[str]:
    """What in the log shows an effect of a command: one mark for all attempts, or one each."""
    match sent.attempts[0]:
        case PostMessage() | EditMessage() | Stop():
            return [sent.id]
        case AnswerApproval(reason=str() as reason):
            return [reason]
        case UpdateConversation():
            return [f"title {sent.id}"]
        case RemoveMessage(target=target):
            return [f"remove {target}"] if sent.receipts else []
        case Regenerate() | ContinueAnswer():
            runs = [command.run for command in sent.attempts if isinstance(command, Regenerate | ContinueAnswer)]
            return [f"run {run}" for run in dict.fromkeys(runs)]
        case other:
            raise AssertionError(f"nobody sends {other}")


def _count(row: Row) -> dict[str, int]:
    """How often each mark stands in the log. A message that waited is counted when it came."""
    counts: dict[str, int] = {}
    waited: set[str] = set()
    for seq in range(row.next_seq):
        event = json.loads(row.entries[seq].data)
        mark = _mark(event, waited)
        if mark is not None:
            counts[mark] = counts.get(mark, 0) + 1
    return counts


def _mark(event: Json, waited: set[str]) -> str | None:
    match event["type"]:
        case "inbox.added":
            waited.add(event["queued"]["message"]["id"])
            return _text(event["queued"]["message"])
        case "message.added" if event["message"]["role"] == "user" and event["message"]["id"] not in waited:
            return _text(event["message"])
        case "message.revised":
            return _text(event["message"])
        case "message.removed":
            return f"remove {event['message']}"
        case "inbox.removed" if event["reason"] == "withdrawn":
            return f"remove {event['message']}"
        case "conversation.updated" if str(event.get("title")).startswith("title "):
            return str(event["title"])
        case "run.started" if event.get("cause") in ("regenerate", "continue"):
            return f"run {event['run']}"
        case "approval.given" if event.get("reason"):
            return str(event["reason"])
        case "run.cancelled" if event.get("seen"):
            return str(event["seen"])
        case _:
            return None


def _text(message: Json) -> str:
    return str(message["parts"][0]["text"])


def _check_receipt(row: Row, sent: Sent, receipt: Receipt) -> None:
    """The receipt names what the log has."""
    event = json.loads(row.entries[receipt.seq].data)
    told = f"{sent.attempts[0]} was told {receipt}, where the log has {event}"
    match sent.attempts[0]:
        case Stop():
            require(event["type"] == "run.cancelled" and event["run"] == receipt.run, told)
        case Regenerate() | ContinueAnswer():
            require(event["type"] == "run.started" and event["run"] == receipt.run, told)
        case RemoveMessage():
            require(event["type"] in ("message.removed", "inbox.removed"), told)
        case PostMessage(respond=True) if not receipt.queued:
            require(event["type"] == "run.started" and event["message"] == receipt.answer, told)
        case PostMessage() if receipt.queued:
            require(event["type"] == "inbox.added" and event["queued"]["message"]["id"] == receipt.message, told)
        case _:
            pass
