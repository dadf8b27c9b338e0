"""Where a branch is cut for its summary: what stays as it was said, and what is summed up, in how many steps. Pure.

It is cut between turns, before a message of a user, so that tool calls keep their results; and deeply, so that the next cut
is far away and requests meanwhile begin with the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from trialogue._facts.values import Role


class Seen(NamedTuple):
    """A message of the branch: how many tokens it takes as it is shown, and how many in what is summed up."""

    id: str
    role: Role
    shown: int
    summed: int


class Step(NamedTuple):
    """To be summed up at once: the ``number`` messages that end in ``message``."""

    message: str
    number: int


def plan(branch: Sequence[Seen], keep: int, room: int) -> Sequence[Step]:
    """The steps, the oldest part first; ``branch`` is newest first, and ends where a summary stands or it begins.

    At most ``keep`` tokens stay, but the last turn always; ``room`` is what is summed up at once, unless a turn takes more.
    """
    older = branch[_kept(branch, keep) :][::-1]
    return list(_steps(older, room))


def _kept(branch: Sequence[Seen], keep: int) -> int:
    """How many messages stay."""
    kept = size = 0
    for number, seen in enumerate(branch, 1):
        size += seen.shown
        if kept and size > keep:
            break
        if seen.role == "user":
            kept = number
    return kept or len(branch)


def _steps(older: Sequence[Seen], room: int) -> Iterator[Step]:
    last: str | None = None
    count = size = 0
    for turn in _turns(older):
        needed = sum(seen.summed for seen in turn)
        if last is not None and size + needed > room:
            yield Step(last, count)
            count = size = 0
        last, count, size = turn[-1].id, count + len(turn), size + needed
    if last is not None:
        yield Step(last, count)


def _turns(older: Sequence[Seen]) -> Iterator[Sequence[Seen]]:
    turn: list[Seen] = []
    for seen in older:
        if seen.role == "user" and turn and turn[-1].role != "user":
            yield turn
            turn = []
        turn.append(seen)
    if turn:
        yield turn
