"""Lines of a stream, with a bound: of one that is longer, its beginning and its end are kept and the rest is let go."""

from __future__ import annotations

from typing import NamedTuple

import trio

#: Bytes kept of the beginning and of the end of a line that is too long.
ENDS = 512


class Line(NamedTuple):
    """A line without its end. Of one that was too long, ``text`` is its beginning and ``tail`` its end."""

    text: bytes
    size: int
    tail: bytes = b""

    @property
    def is_whole(self) -> bool:
        """Whether all of it is in ``text``."""
        return self.size == len(self.text)


class Lines:
    """Reads one line at a time; holds no more than ``limit`` bytes and what comes at one read."""

    def __init__(self, stream: trio.abc.ReceiveStream, limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self._buffer = bytearray()
        # Bytes of the buffer in which there is no end of a line, and the beginning of a line that is too long.
        self._looked = 0
        self._head = b""
        self._dropped = 0

    async def next(self) -> Line | None:
        """The next line; ``None`` at the end, where half a line is nothing. Raises ``trio.BrokenResourceError``."""
        while (end := self._buffer.find(b"\n", self._looked)) < 0:
            self._looked = len(self._buffer)
            self._let_go()
            data = await self._stream.receive_some()
            if not data:
                return None
            self._buffer += data
        return self._taken(end)

    def _let_go(self) -> None:
        if len(self._buffer) <= self._limit and not self._head:
            return
        if not self._head:
            self._head = bytes(self._buffer[:ENDS])
            self._dropped = ENDS
            del self._buffer[:ENDS]
        more = max(0, len(self._buffer) - ENDS)
        del self._buffer[:more]
        self._dropped += more
        self._looked = len(self._buffer)

    def _taken(self, end: int) -> Line:
        text = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._looked = 0
        head, size = self._head, self._dropped + end
        self._head, self._dropped = b"", 0
        if head:
            return Line(head, size, text[-ENDS:])
        if size > self._limit:
            return Line(text[:ENDS], size, text[-ENDS:])
        return Line(text, size)
