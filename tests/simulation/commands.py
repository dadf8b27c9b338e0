"""What clients say: commands drawn at random, each marked so that its effects can be counted in the log.

The mark is the command's id, put where the log keeps it: into a message's text, a title, a stop's ``seen``, and as the
reason of an approval, whose command has the id of its call.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from msgspec import UNSET
from msgspec.structs import replace
from simulation.fold import Json
from simulation.providers import MODELS

from trialogue import (
    AnswerApproval,
    Command,
    ContinueAnswer,
    Done,
    EditMessage,
    Policy,
    PostMessage,
    Receipt,
    Regenerate,
    RemoveMessage,
    Stop,
    TextPart,
    UpdateConversation,
)

KINDS = {
    "post": 10,
    "edit": 5,
    "regenerate": 2,
    "continue": 6,
    "remove": 2,
    "stop": 3,
    "approve": 12,
    "head": 2,
    "title": 1,
    "trash": 1,
}
DECISIONS: tuple[Literal["approve", "deny", "edit"], ...] = ("approve", "deny", "edit")
POLICIES: tuple[Policy, ...] = ("queue", "queue", "queue", "steer", "interrupt", "latest", "reject")


@dataclass
class Sent:
    """A command and all that became of it."""

    conversation: str
    #: The command as it was sent, time after time: one id, but each time with fresh ids if the client likes.
    attempts: list[Command]
    receipts: list[Receipt] = field(default_factory=list)
    refused: list[Exception] = field(default_factory=list)
    #: An attempt was given up by a node, and arrives at another one later: no refusal says that it had no effect.
    astray: bool = False

    @property
    def id(self) -> str:
        return self.attempts[0].id

    def go_back(self, done: Mapping[str, Done]) -> None:
        """The store holds less than it did, and perhaps not this one's effect. What it was told before binds nobody."""
        self.astray = True
        if self.receipts and (self.id not in done or done[self.id].receipt != self.receipts[0]):
            self.receipts.clear()

    @property
    def all_refused(self) -> bool:
        """Whether every attempt was told that it had no effect."""
        return len(self.refused) == len(self.attempts) and not self.astray


class Composer:
    """Draws commands for one client."""

    def __init__(self, source: random.Random, new_id: Callable[[], str], now: Callable[[], datetime]) -> None:
        self._source = source
        self._new_id = new_id
        self._now = now
        #: Ids of messages it has ever seen: some are gone by now, which is a client's right not to know.
        self.seen: list[Json] = []

    def look(self, messages: list[Json]) -> None:
        """Remember messages of a snapshot."""
        shown = {message["id"] for message in messages}
        # The active branch comes last, because its end is what one goes on with.
        self.seen = [message for message in self.seen if message["id"] not in shown] + messages

    def compose(self) -> Command | None:
        """A new command; ``None`` when what was drawn makes no sense yet."""
        kind = self._source.choices(list(KINDS), list(KINDS.values()))[0]
        target = self._target(kind)
        mark = self._new_id()
        match kind:
            case "post":
                return self._post(mark, target)
            case "stop":
                named = target is not None and self._source.random() < 0.3
                return Stop(mark, self._now(), run=target["run"] if named and target else None, seen=mark)
            case "title":
                return UpdateConversation(mark, self._now(), title=f"title {mark}")
            case "trash":
                deleted = self._source.random() < 0.3
                return UpdateConversation(mark, self._now(), title=f"title {mark}", deleted=deleted)
            case "approve":
                return self._decide(mark)
            case _:
                return None if target is None else self._about(kind, mark, target["id"])

    def _target(self, kind: str) -> Json | None:
        wanted = self.seen
        if kind == "continue":
            unfinished = ("incomplete", "failed", "cancelled")
            wanted = [m for m in wanted[-4:] if m["role"] == "assistant" and m["status"] in unfinished]
            return wanted[-1] if wanted else None
        # Often the very end, where something is being written and other things happen at the same time.
        return self._source.choice(wanted[-4:] + wanted[-1:] * 4) if wanted else None

    def _post(self, mark: str, target: Json | None) -> Command:
        message, run, answer = self._new_id(), self._new_id(), self._new_id()
        post = PostMessage(mark, self._now(), message, run, answer, (TextPart(mark),), self._model())
        policy, respond = self._source.choice(POLICIES), self._source.random() < 0.9
        parent = target["id"] if target is not None and self._source.random() < 0.2 else UNSET
        return replace(post, policy=policy, respond=respond, parent=parent)

    def _about(self, kind: str, mark: str, target: str) -> Command:
        at, message, run, answer = self._now(), self._new_id(), self._new_id(), self._new_id()
        match kind:
            case "edit":
                parts, respond = (TextPart(mark),), self._source.random() < 0.8
                return EditMessage(mark, at, target, message, run, answer, parts, self._model(), respond=respond)
            case "regenerate":
                return Regenerate(mark, at, target, run, answer, self._model())
            case "continue":
                return ContinueAnswer(mark, at, target, run, self._model())
            case "remove":
                return RemoveMessage(mark, at, target)
            case _:
                return UpdateConversation(mark, at, title=f"title {mark}", head=target)

    def _decide(self, mark: str) -> Command | None:
        """About a tool call that may wait; somebody else may decide about it as well, and otherwise."""
        parts = [part for message in self.seen[-4:] for part in message["parts"]]
        answered = {part["call"] for part in parts if part["type"] == "tool_result"}
        calls = [part["call"] for part in parts if part["type"] == "tool_call" and part["call"] not in answered]
        if not calls:
            return None
        call = self._source.choice(calls)
        decision = self._source.choice(DECISIONS)
        arguments = '{"b": 2}' if decision == "edit" else None
        return AnswerApproval(call, self._now(), call, decision, arguments, mark)

    def _model(self) -> str:
        return self._source.choice(MODELS)

    def again(self, command: Command) -> Command:
        """The same command once more, as a client that has forgotten its fresh ids sends it, or as it was."""
        if self._source.random() < 0.5 or isinstance(command, Stop):
            return command
        names = [name for name in ("message", "run", "answer") if hasattr(command, name)]
        fresh: Command = replace(command, at=self._now(), **{name: self._new_id() for name in names})
        return fresh
