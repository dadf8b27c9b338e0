"""A conversation as its log tells it, written from the wire contract alone: nothing here comes from the core's own fold.

It is at once what a reader ends up with and what the rows in the store have to say, and it refuses every event that cannot
follow from those before it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]  # Any: a decoded JSON object

ENDS = {
    "run.completed": "completed",
    "run.incomplete": "incomplete",
    "run.failed": "failed",
    "run.cancelled": "cancelled",
    "run.interrupted": "incomplete",
}
_HEADER_FIELDS = ("title", "model", "system", "settings", "metadata", "archived", "pinned", "folder")


class Impossible(AssertionError):
    """An event that cannot follow from those before it."""


def require(condition: object, *told: object) -> None:
    """Raise ``Impossible`` unless ``condition`` holds."""
    if not condition:
        raise Impossible(" ".join(map(str, told)))


class Fold:
    """The conversation after the events given to ``apply``, in order, from number 0."""

    def __init__(self) -> None:
        self.next_seq = 0
        self.header: Json = {}
        #: By id, in the order in which they were said; removed ones are gone.
        self.messages: dict[str, Json] = {}
        self.removed: set[str] = set()
        self.inbox: list[Json] = []
        #: The live run's ``run.started``.
        self.run: Json | None = None
        #: Number of the part being written.
        self.open_part: int | None = None
        #: The run that has to start next, since the last one failed and said so; and that one, with its answer.
        self.successor: str | None = None
        self.last: str | None = None
        self.last_message: str | None = None
        #: Calls of the live run that have no result, or of one that was interrupted and is to be gone on with.
        self.calls: dict[str, str] = {}
        #: Calls that were ever made, and those that ever had a result.
        self.called: set[str] = set()
        self.returned: set[str] = set()
        #: Terminal events of each run that ever started.
        self.ends: dict[str, int] = {}
        #: What models were asked beside the answers: the runs.
        self.asides: dict[str, Json] = {}
        #: Messages changed by the last event.
        self.touched: list[str] = []
        #: Answers whose text no script foretells: a person corrected it, or the model that never ends wrote in it.
        self.free: set[str] = set()

    def apply(self, data: bytes) -> None:
        event = json.loads(data)
        kind = event["type"]
        self.touched = []
        require((kind == "conversation.created") == (self.next_seq == 0), kind, "as number", self.next_seq)
        handler = _HANDLERS["end" if kind in ENDS else kind]
        handler(self, event)
        self.next_seq += 1
        self._check_head()

    def _check_head(self) -> None:
        head = self.header["head"]
        require(head is None or head in self.messages, "the head", head, "is no message that is there")
        if self.run is not None:
            require(self.run["message"] in self.messages, "a run writes an answer that is gone")

    def _touch(self, at: str) -> None:
        self.header |= {"updated_at": at, "version": self.next_seq}

    # --- the conversation ----------------------------------------------------------------------------------------

    def _created(self, event: Json) -> None:
        self.header = event["conversation"]

    def _updated(self, event: Json) -> None:
        if "titled" in event:
            persons = str(self.header["title"]).startswith("title ")
            require("title" not in event or not persons, "a person's title is replaced:", self.header["title"], event)
            self._beside(event["titled"])
        self.header |= {name: event[name] for name in _HEADER_FIELDS if name in event}
        if "deleted" in event:
            self.header["deleted_at"] = event["at"] if event["deleted"] else None
        self._touch(event["at"])

    def _beside(self, asked: Json) -> None:
        require(asked["run"] not in self.asides, "asked twice in one run:", asked)
        self.asides[asked["run"]] = asked

    def _compacted(self, event: Json) -> None:
        self._beside(event["asked"])
        self._forget(event)
        if "summary" in event:
            require(event["message"] in self.messages, "a summary of what is gone:", event)
            self.messages[event["message"]]["summary"] = event["summary"]
            self.touched.append(event["message"])

    def _forget(self, event: Json) -> None:
        """Summaries that are not true any more, or too many."""
        for name in event.get("stale", ()):
            if name in self.messages:
                self.messages[name]["summary"] = None
                self.touched.append(name)

    def _tells_of(self, above: str, message: str) -> bool:
        """Whether what is summed up in ``message`` holds ``above``."""
        place: str | None = message
        while place is not None and place != above:
            place = self.messages[place]["parent"]
        return place == above

    def _head_moved(self, event: Json) -> None:
        self.header["head"] = event["head"]
        self._touch(event["at"])

    # --- messages ------------------------------------------------------------------------------------------------

    def _added(self, event: Json) -> None:
        message = event["message"]
        require(message["id"] not in self.messages and message["id"] not in self.removed, "added twice:", message["id"])
        require(message["parent"] is None or message["parent"] in self.messages, "below nothing:", message["id"])
        waiting = [queued["message"]["id"] for queued in self.inbox]
        require(message["id"] not in waiting, "said while it still waits:", message["id"])
        self.messages[message["id"]] = message
        self.touched = [message["id"]]
        self.header["head"] = message["id"]
        self._touch(message["created_at"])

    def _revised(self, event: Json) -> None:
        message = event["message"]
        old = self.messages[message["id"]]
        require(message["revision"] == old.get("revision", 0) + 1, "revision", message["revision"])
        self.touched = [message["id"]]
        self._forget(event)
        self.messages[message["id"]] = message
        require(message["status"] != "in_progress", "corrected while it is written")
        left = [name for name, one in self.messages.items() if one["summary"] and self._tells_of(message["id"], name)]
        require(not left, "summaries of what was corrected:", left, event)
        self.free.add(message["id"])
        self._touch(event["at"])

    def _removed(self, event: Json) -> None:
        require(event["message"] in self.messages, "removed but not there:", event["message"])
        below = [event["message"]]
        while below:
            gone = below.pop()
            del self.messages[gone]
            self.removed.add(gone)
            below += [name for name, message in self.messages.items() if message["parent"] == gone]
        self.header["head"] = event["head"]
        self._touch(event["at"])

    def _queued(self, event: Json) -> None:
        queued = event["queued"]
        self.inbox.insert(0 if event.get("front") else len(self.inbox), queued)

    def _dequeued(self, event: Json) -> None:
        left = [queued for queued in self.inbox if queued["message"]["id"] != event["message"]]
        require(len(left) == len(self.inbox) - 1, "left the inbox without being in it:", event["message"])
        self.inbox = left

    # --- runs ----------------------------------------------------------------------------------------------------

    def _started(self, event: Json) -> None:
        require(self.run is None, "a run starts while", self.run, "is live")
        require(event["run"] not in self.ends, "a run starts twice:", event["run"])
        answer = self.messages[event["message"]]
        require(self.successor in (None, event["run"]), "another run than the one that was to follow:", event)
        failed_over = event.get("cause") == "failover"
        require(failed_over == (self.successor is not None), "nobody has failed, or nobody said who follows:", event)
        require(not failed_over or event["before"][-1] == self.last, "it follows another one:", event)
        same = failed_over and self.last_message == event["message"]
        goes_on = event.get("cause", "post") in ("continue", "recover") or same
        require(event.get("attempt", 1) == (answer["attempt"] + 1 if goes_on else 1), "attempt", event)
        require(event.get("first_part", 0) == len(answer["parts"]), "first part", event)
        fresh = {"status": "in_progress", "run": event["run"], "model": event["model"]}
        answer |= fresh | {"attempt": event.get("attempt", 1), "finish_reason": None, "failure": None, "usage": None}
        answer |= {"asked": event.get("asked"), "summary": None}
        calls = {call["call"]: call.get("state", "new") for call in event.get("calls", ())}
        require(set(calls) == set(self.calls), "calls that are open:", self.calls, "while it goes on with", calls)
        self.calls = calls
        self.run, self.open_part, self.successor = event, None, None
        if event["model"].startswith("endless"):
            self.free.add(event["message"])
        self.ends[event["run"]] = 0
        self.touched = [event["message"]]

    def _written(self, event: Json) -> Json:
        require(self.run is not None and event["run"] == self.run["run"], "of no live run:", event)
        assert self.run is not None
        require(event["message"] == self.run["message"], "of another answer:", event)
        self.touched = [event["message"]]
        return self.messages[event["message"]]

    def _part_started(self, event: Json) -> None:
        parts = self._written(event)["parts"]
        require(self.open_part is None and event["part"] == len(parts), "a part out of order:", event)
        parts.append({"type": event["kind"], "text": ""})
        self.open_part = event["part"]

    def _delta(self, event: Json) -> None:
        part = self._open(event)
        require(event["offset"] == len(part["text"]), "a delta at the wrong place:", event)
        part["text"] += event["text"]

    def _part_ended(self, event: Json) -> None:
        require(event["length"] == len(self._open(event)["text"]), "a part of another length:", event)
        self.open_part = None

    def _open(self, event: Json) -> Json:
        parts = self._written(event)["parts"]
        require(self.open_part is not None and event["part"] == self.open_part, "no such part is open:", event)
        part: Json = parts[event["part"]]
        return part

    def _part_added(self, event: Json) -> None:
        parts, content = self._written(event)["parts"], event["content"]
        require(self.open_part is None and event["part"] == len(parts), "a part out of order:", event)
        parts.append(content)
        if content["type"] == "tool_call":
            require(content["call"] == f"{event['message']}-{event['part']}", "a call of another name:", content)
            self.calls[content["call"]] = "new"

    def _asked(self, event: Json) -> None:
        self._moved(event, "asked", "new")

    def _given(self, event: Json) -> None:
        self._moved(event, "approved" if event["decision"] in ("approve", "edit") else "denied", "asked")
        if "arguments" in event:
            for part in self._written(event)["parts"]:
                if part.get("call") == event["call"] and part["type"] == "tool_call":
                    part["edited"] = event["arguments"]

    def _called(self, event: Json) -> None:
        self._moved(event, "called", "approved", *([] if event["name"] == "ask" else ["new"]))
        require(event.get("idempotent") or event["call"] not in self.called, "called again:", event)
        self.called.add(event["call"])

    def _moved(self, event: Json, state: str, *before: str) -> None:
        self._written(event)
        require(self.calls.get(event["call"]) in before, event, "while it is", self.calls.get(event["call"]))
        self.calls[event["call"]] = state

    def _returned(self, event: Json) -> None:
        parts = self._written(event)["parts"]
        require(self.open_part is None and event["part"] == len(parts), "a part out of order:", event)
        require(event["call"] not in self.returned, "a second result:", event)
        require(self.calls.pop(event["call"], None) is not None, "a result of no call:", event)
        self.returned.add(event["call"])
        kept: Json = {name: event[name] for name in ("call", "text", "failed", "citations", "files") if name in event}
        parts.append({"type": "tool_result", **kept})

    def _next_generation(self, event: Json) -> None:
        parts = self._written(event)["parts"]
        require(not self.calls, "the model goes on without results:", event)
        require(event.get("paused") or parts[-1]["type"] == "tool_result", "the model goes on for no reason:", event)

    def _waits(self, event: Json) -> None:
        self._written(event)

    def _usage(self, event: Json) -> None:
        self._written(event)["usage"] = event["usage"]

    def _ended(self, event: Json) -> None:
        answer = self._written(event)
        require(self.open_part is None, "a run ends within a part")
        require(not self.calls or event["type"] == "run.interrupted", "a run ends with open calls:", self.calls)
        answer["status"] = ENDS[event["type"]]
        answer["finish_reason"], answer["failure"] = _reasons(event)
        self.ends[event["run"]] += 1
        self.run = None
        self.last, self.last_message, self.successor = event["run"], event["message"], event.get("next")
        self._touch(event["at"])


def _reasons(event: Json) -> tuple[str | None, Json | None]:
    """Finish reason and failure of an answer whose run ended this way."""
    match event["type"]:
        case "run.completed":
            return event["finish_reason"], None
        case "run.incomplete":
            return "content_filter" if event["reason"] == "content_filter" else "length", None
        case "run.failed":
            return "error", event["failure"]
        case "run.interrupted":
            return None, {"code": "interrupted"}
        case _:
            return None, None


_HANDLERS: dict[str, Callable[[Fold, Json], None]] = {
    "conversation.created": Fold._created,
    "conversation.updated": Fold._updated,
    "message.added": Fold._added,
    "message.revised": Fold._revised,
    "message.removed": Fold._removed,
    "context.compacted": Fold._compacted,
    "head.moved": Fold._head_moved,
    "inbox.added": Fold._queued,
    "inbox.removed": Fold._dequeued,
    "run.started": Fold._started,
    "run.waiting": Fold._waits,
    "part.started": Fold._part_started,
    "part.delta": Fold._delta,
    "part.ended": Fold._part_ended,
    "part.added": Fold._part_added,
    "approval.asked": Fold._asked,
    "approval.given": Fold._given,
    "tool.called": Fold._called,
    "tool.returned": Fold._returned,
    "generation.started": Fold._next_generation,
    "usage": Fold._usage,
    "end": Fold._ended,
}


def same_message(told: Json, stored: Json) -> bool:
    """Whether a row says what the log says; the sentence that explains an interruption is the server's own."""
    return _plain(told) == _plain(stored)


def _plain(message: Json) -> Json:
    failure = message.get("failure")
    kept = {name: value for name, value in message.items() if name not in ("failure", "siblings")}
    if failure is not None and failure["code"] == "interrupted":
        failure = {"code": "interrupted"}
    return kept | {"failure": failure}
