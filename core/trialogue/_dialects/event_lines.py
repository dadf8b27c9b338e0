"""The lines of an upstream's event stream, cut anywhere, and what is common to the dialects that decode them.

An event's data stands in one line, as the upstreams of these dialects send it; what they call the event stands in the data
too, so its other lines say nothing.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Set
from typing import ClassVar, Final

import msgspec

from trialogue._asking.provider import Piece
from trialogue._facts.errors import ProviderError

#: A longer line is no answer to a chat.
LONGEST_LINE: Final = 1 << 20
#: What decoding raises of an upstream's JSON that is none, or too deep.
UNREADABLE: Final = (msgspec.DecodeError, UnicodeError, RecursionError)
#: So many characters of an upstream's own words are shown.
LONGEST_MESSAGE: Final = 300


class EventDecoder(ABC):
    """Turns the bytes of a stream into pieces; cut anywhere, inside a character too.

    What it meets sets ``over`` (nothing follows) or ``failure`` (raise it once the pieces are handed out).
    """

    #: A line that is longer fails the response.
    longest_line: ClassVar[int] = LONGEST_LINE

    def __init__(self) -> None:
        #: The response ended as it should have; further bytes are ignored.
        self.over: bool = False
        #: What is wrong with the response; further bytes are ignored.
        self.failure: ProviderError | None = None
        #: The beginning of a line whose end has not arrived.
        self._rest = b""
        #: A ``FinishPiece`` was handed out.
        self._finished = False

    @abstractmethod
    def _take(self, data: bytes, pieces: list[Piece]) -> None:
        """Add what an event's data means."""

    def feed(self, data: bytes) -> list[Piece]:
        """The pieces in the lines that are complete."""
        pieces: list[Piece] = []
        if self.over or self.failure:
            return pieces
        if self._rest:
            data = self._rest + data
        cut = data.rfind(b"\n") + 1
        self._rest = data[cut:]
        for line in data[:cut].split(b"\n"):
            if line.startswith(b"data:"):
                self._take(line[5:].strip(), pieces)
                if self.over or self.failure:
                    break
            elif line and not _ignorable(line):
                self._fail("malformed", f"the upstream sent no event stream but {_excerpt(line)}")
                break
        if len(self._rest) > self.longest_line:
            self._fail("malformed", f"the upstream sent a line of more than {self.longest_line} bytes")
        return pieces

    def end(self) -> None:
        """The upstream sends nothing more; without a finish that is a failure."""
        if self._finished:
            self.over = True
        elif not self.failure:
            self._fail("broken", "the upstream ended in the middle of its answer")

    def _fail(self, kind: str, detail: str) -> None:
        self.failure = ProviderError(detail, kind=kind)

    def _unreadable(self, data: bytes) -> None:
        self._fail("malformed", f"the upstream sent an event that cannot be read: {_excerpt(data)}")


class StreamError(msgspec.Struct):
    """What an upstream of OpenAI's kind says of a failure in the middle of a stream."""

    message: str | None = None
    type: str | None = None
    code: str | int | None = None


def failure_in_stream(error: StreamError) -> ProviderError:
    """The same as ours."""
    words = f"{error.type} {error.code}".lower()
    kind = "broken"
    if isinstance(error.code, int) and 400 <= error.code < 600:
        kind = kind_of_status(error.code)
    else:
        kind = next((kind for kind, told in _TOLD.items() if any(word in words for word in told)), kind)
    return ProviderError(f"the upstream broke off: {shown(error.message or words)}", kind=kind)


_TOLD: Final = {
    "throttled": ("rate_limit", "quota"),
    "unavailable": ("overloaded", "server_error", "unavailable"),
    "refused": ("invalid", "auth", "policy", "not_found"),
}


def kind_of_status(status: int) -> str:
    """The kind of ``ProviderError`` an HTTP status means."""
    if status == 429:
        return "throttled"
    return "unavailable" if status >= 500 or status == 408 else "refused"


def shown(message: str) -> str:
    """An upstream's own words, short, in one line, and without what looks like a key."""
    text = re.sub(r"\b(?:(?:sk|pk|key|tok)[-_]|Bearer )[\w*.\-]{6,}", "[key]", " ".join(message.split()))
    return text if len(text) <= LONGEST_MESSAGE else text[: LONGEST_MESSAGE - 1] + "…"


class _Kind(msgspec.Struct):
    type: str


_decode_kind = msgspec.json.Decoder(_Kind).decode


def is_foreign(data: bytes, known: Set[str]) -> bool:
    """Whether it is an event with a ``type`` that is none of the ``known``."""
    try:
        return _decode_kind(data).type not in known
    except UNREADABLE:
        return False


def _ignorable(line: bytes) -> bool:
    """A comment, or a field that means nothing here; a line break's other half stands for an empty line."""
    return line == b"\r" or line.startswith((b":", b"event:", b"id:", b"retry:"))


def _excerpt(data: bytes) -> str:
    return repr(shown(data[:80].decode(errors="replace")))
