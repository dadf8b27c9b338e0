"""Calls of tools in a stream of an answer: collected from their pieces, within limits. Pure; for decoders of dialects."""

from __future__ import annotations

from typing import Final

import msgspec

from trialogue._asking.provider import ToolCallPiece
from trialogue._dialects.event_lines import UNREADABLE, shown
from trialogue._facts.errors import ProviderError

#: What the arguments of all calls in one response may take together, in code points, and how many calls it may hold.
LONGEST_ARGUMENTS: Final = 1 << 20
MOST_CALLS: Final = 128
#: A longer name is nobody's.
_LONGEST_NAME = 256


class _Collected:
    """A call of which perhaps more is to come."""

    __slots__ = ("arguments", "id", "name")

    def __init__(self, name: str, call: str) -> None:
        self.name = name
        self.id = call
        self.arguments: list[str] = []

    def piece(self) -> ToolCallPiece:
        return ToolCallPiece(self.name, "".join(self.arguments), self.id or None)


class CallCollector:
    """Begins calls, adds to their arguments, hands them out in the order in which they began.

    What goes beyond a limit, or belongs to no call, is a ``failure``; after one nothing is handed out.
    """

    def __init__(self) -> None:
        self.failure: ProviderError | None = None
        #: Calls that were handed out.
        self.handed_out: int = 0
        self._waiting: list[_Collected] = []
        #: The last one that began at an index.
        self._last: dict[int, _Collected] = {}
        self._characters = 0
        self._begun = 0

    def take(self, index: int, name: str | None, call: str | None, arguments: str) -> None:
        """A piece of the call at ``index``, which begins with it unless it has begun; ``call`` is the upstream's own id.

        Some say the same index for each of several calls: another id is another call.
        """
        begun = self._last.get(index)
        if begun is None or (call and begun.id and begun.id != call):
            begun = self._begin(index, name, call)
        self._characters += len(arguments)
        if self._characters > LONGEST_ARGUMENTS:
            self._fail(f"calls tools with arguments of more than {LONGEST_ARGUMENTS} characters")
        else:
            begun.arguments.append(arguments)

    def _begin(self, index: int, name: str | None, call: str | None) -> _Collected:
        self._begun += 1
        if not name:
            self._fail("sends a tool call without a name")
        elif len(name) > _LONGEST_NAME:
            self._fail(f"calls a tool by a name of {len(name)} characters: {shown(name[:40])!r}…")
        elif self._begun > MOST_CALLS:
            self._fail(f"calls more than {MOST_CALLS} tools at a time")
        begun = self._last[index] = _Collected(name or "", call or "")
        self._waiting.append(begun)
        return begun

    def end(self, *, cut: bool = False) -> list[ToolCallPiece]:
        """The calls so far are whole. An answer that was ``cut`` may have been so in the middle of a call: what cannot be
        meant is left out.
        """
        found = [] if self.failure is not None else [one.piece() for one in self._waiting]
        self._waiting.clear()
        self._last.clear()
        if cut:
            found = [piece for piece in found if _is_object(piece.arguments)]
        self.handed_out += len(found)
        return found

    def end_whole(self) -> list[ToolCallPiece]:
        """The calls so far, if their arguments can be meant; else it depends on how the answer ends."""
        whole = all(_is_object("".join(one.arguments) or "{}") for one in self._waiting)
        return self.end() if whole else []

    def _fail(self, what: str) -> None:
        self.failure = self.failure or ProviderError(f"the upstream {what}", kind="malformed")


def _is_object(arguments: str) -> bool:
    try:
        return isinstance(msgspec.json.decode(arguments.encode()), dict)
    except UNREADABLE:
        return False
