"""Cursors: what a client hands back to resume, and the frames that carry them. Opaque to the client.

A cursor names the last event its holder has seen as ``generation.epoch.seq``, zero-padded so that text order is log order.
The same text is the ``id`` of a server-sent event. Widths: generations to 9999, epochs to 10^10, numbers to 10^12.
"""

from __future__ import annotations

import re

import msgspec

from trialogue._facts.errors import InvalidError
from trialogue._facts.events import Entry

_FORM = re.compile(r"(\d{4})\.(\d{10})\.(\d{12})")


class Cursor(msgspec.Struct, frozen=True):
    """A place in a log: just after event ``seq``, which the owner of ``epoch`` wrote."""

    generation: int
    epoch: int
    seq: int

    def __str__(self) -> str:
        return f"{self.generation:04d}.{self.epoch:010d}.{self.seq:012d}"


def parse_cursor(text: str) -> Cursor:
    """The cursor that ``str(cursor)`` spelled. Raises ``InvalidError`` for anything else."""
    found = _FORM.fullmatch(text) if text.isascii() else None
    if found is None:
        raise InvalidError(f"{text[:64]!r} is not a cursor: send one back as it came, or none to start over")
    generation, epoch, seq = map(int, found.groups())
    return Cursor(generation, epoch, seq)


def cursor_in(frame: bytes) -> str:
    """The cursor that a frame carries."""
    return frame[len(b"id: ") : frame.index(b"\n")].decode()


def frame(generation: int, entry: Entry) -> bytes:
    """The entry as one server-sent event; the bytes every subscriber gets."""
    return b"id: %04d.%010d.%012d\nevent: %b\ndata: %b\n\n" % (
        generation,
        entry.epoch,
        entry.seq,
        entry.type.encode(),
        entry.data,
    )
