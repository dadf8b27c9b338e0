"""A letter: a command in a mailbox, and how one that comes again is told from another with the same id."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256

import msgspec

from trialogue._actors.reply import Reply
from trialogue._deciding.commands import AnswerApproval, Command, Receipt, Stop
from trialogue._facts.errors import ConflictError
from trialogue._runs.run import Run
from trialogue._watching.observer import Cause

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Letter:
    """A command in a mailbox, with the reply its sender waits for; a bare wake-up has none."""

    command: Command | None
    #: Its ids were made just now: it is no repeat, and no message has them.
    fresh: bool = False
    #: What it comes of, for those who look on.
    cause: Cause = None
    reply: Reply[Receipt] = field(default_factory=lambda: Reply[Receipt]())
    #: The run this command ended, which its sender may want to see gone.
    ended: Run | None = None


def used_otherwise(command: Command) -> ConflictError:
    """To be raised for a command whose id another one had."""
    if isinstance(command, AnswerApproval):
        return ConflictError("this call was decided about already, and otherwise")
    return ConflictError(f"the id {command.id!r} was used for another command: choose a new one")


def digest_of(command: Command) -> bytes:
    """What the command asks for, without what may be another with a retry: its time, its fresh ids, and its terms."""
    asked = msgspec.to_builtins(command)
    for name in ("at", "run", "answer", "message", "seen", "terms"):
        if name != "run" or not isinstance(command, Stop):
            asked.pop(name, None)
    return sha256(_encode(asked)).digest()
