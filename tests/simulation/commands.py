"""What clients say: commands drawn at random, each marked so that its effects can be counted in the log.

The mark is the command's id, put where the log keeps it: into a message's text, a title, a stop's ``seen``.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from tests.simulation.fold import Json
from tests.simulation.providers import MODELS
from trialogue import (
    Command,
    ContinueAnswer,
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

KINDS = {"post": 10, "edit": 2, "regenerate": 2, "continue": 3, "remove": 2, "stop": 3, "head": 2, "title": 1, "trash": 1}
POLICIES: tuple[Policy, ...] = ("queue", "queue", "queue", "steer", "interrupt", "latest", "reject")


@dataclass
class Sent:
    """A command and all that became of it."""

    conversation: str
    #: The command as it was sent, time after time: one id, but each time with fresh ids if the client likes.
    attempts: list[Command]
    receipts: list[Receipt] = field(default_factory=list)
    refused: list[Exception] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.attempts[0].id

    @property
    def all_refused(self) -> bool:
        """Whether every attempt was told that it had no effect."""
        return len(self.refused) == len(self.attempts)


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
        known = {message["id"] for message in self.seen}
        self.seen += [message for message in messages if message["id"] not in known]
        latest = {message["id"]: message for message in messages}
        self.seen = [latest.get(message["id"], message) for message in self.seen]

    def compose(self) -> Command | None:
        """A new command; ``None`` when what was drawn makes no sense yet."""
        kind = self._source.choices(list(KINDS), list(KINDS.values()))[0]
        if kind in ("stop", "title", "trash", "post"):
            target = self._source.choice(self.seen) if self.seen else None
        else:
            target = self._target(kind)
            if target is None:
                return None
        return self._command(kind, target)

    def _target(self, kind: str) -> Json | None:
        wanted = self.seen
        if kind == "continue":
            wanted = [m for m in wanted if m["role"] == "assistant" and m["status"] not in ("completed", "in_progress")]
        return self._source.choice(wanted[-4:]) if wanted else None

    def _command(self, kind: str, target: Json | None) -> Command:
        base: dict[str, Any] = {"id": self._new_id(), "at": self._now()}  # Any: of as many types as commands have fields
        model = self._source.choice(MODELS)
        ids = {"message": self._new_id(), "run": self._new_id(), "answer": self._new_id()}
        parts = (TextPart(base["id"]),)
        if kind == "post":
            respond = self._source.random() < 0.9
            post = PostMessage(**base, **ids, parts=parts, model=model, policy=self._source.choice(POLICIES), respond=respond)
            return replace(post, parent=target["id"]) if target and self._source.random() < 0.2 else post
        if kind == "stop":
            run = None if target is None or self._source.random() < 0.7 else target["run"]
            return Stop(**base, run=run, seen=base["id"])
        if kind in ("title", "trash"):
            deleted = {} if kind == "title" else {"deleted": self._source.random() < 0.3}
            return UpdateConversation(**base, title=f"title {base['id']}", **deleted)
        assert target is not None
        return self._about(kind, base, ids, target["id"], parts, model)

    def _about(
        self, kind: str, base: dict[str, Any], ids: dict[str, str], target: str, parts: tuple[TextPart], model: str
    ) -> Command:
        match kind:
            case "edit":
                return EditMessage(**base, **ids, target=target, parts=parts, model=model, respond=self._source.random() < 0.8)
            case "regenerate":
                return Regenerate(**base, target=target, run=ids["run"], answer=ids["answer"], model=model)
            case "continue":
                return ContinueAnswer(**base, target=target, run=ids["run"], model=model)
            case "remove":
                return RemoveMessage(**base, target=target)
            case _:
                return UpdateConversation(**base, title=f"title {base['id']}", head=target)

    def again(self, command: Command) -> Command:
        """The same command once more, as a client that has forgotten its fresh ids sends it, or as it was."""
        fresh: Command = command
        if self._source.random() < 0.5:
            names = [n for n in ("message", "run", "answer") if hasattr(command, n) and not isinstance(command, Stop)]
            fresh = replace(command, at=self._now(), **{name: self._new_id() for name in names})
        return fresh
