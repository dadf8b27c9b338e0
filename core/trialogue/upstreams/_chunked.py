"""HTTP/1.1's chunked coding, decoded a whole read at a time.

h11 hands out every chunk as an event of its own, and an upstream puts every token into a chunk of its own; joined here,
a read costs one step through the layers above instead of one per token.
"""

from __future__ import annotations

#: The line before a chunk is short; more than this is not one.
_LONGEST_LINE = 4096


class ChunkedDecoder:
    """Takes the body's bytes as they come, cut anywhere; ``ended`` once the last chunk and the trailers are in."""

    def __init__(self) -> None:
        self.ended = False
        #: What arrived and is not decoded: the beginning of a line, or, once ``ended``, what follows the body.
        self.rest = b""
        #: Bytes of the present chunk that are still to come.
        self._left = 0
        #: The line break that closes a chunk is to come.
        self._closing = False
        self._in_trailers = False

    def feed(self, data: bytes) -> bytes:
        """What ``data`` holds of the body. Raises ``ValueError`` when it cannot be this coding."""
        buffer = self.rest + data if self.rest else data
        out: list[bytes] = []
        between = not (self._left or self._closing or self._in_trailers or self.ended)
        at = _whole_chunks(buffer, out) if between else 0
        while not self.ended:
            if self._left:
                part = buffer[at : at + self._left]
                out.append(part)
                at += len(part)
                self._left -= len(part)
                if self._left:
                    break
                self._closing = True
            end = buffer.find(b"\r\n", at)
            if end < 0:
                break
            self._take_line(buffer[at:end])
            at = end + 2
        self.rest = buffer[at:]
        if len(self.rest) > _LONGEST_LINE and not self.ended:
            raise ValueError("a chunk's size takes too long a line")
        return b"".join(out)

    def _take_line(self, line: bytes) -> None:
        if self._closing:
            if line:
                raise ValueError("a chunk is longer than its size")
            self._closing = False
        elif self._in_trailers:
            self.ended = not line
        else:
            self._left = int(line.partition(b";")[0], 16)
            if self._left < 0:
                raise ValueError("a chunk's size is negative")
            self._in_trailers = self._left == 0


def _whole_chunks(buffer: bytes, out: list[bytes]) -> int:
    """Add the chunks at the beginning of ``buffer`` that are all there; returns where the first one begins that is not.

    These are nearly all, and cost a third of what the decoder's states cost. Whatever is out of the ordinary (a chunk
    that was cut, the last one, an extension, a mistake) is left to those.
    """
    at = 0
    while (end := buffer.find(b"\r\n", at)) > 0:
        try:
            stop = end + 2 + int(buffer[at:end], 16)
        except ValueError:
            break
        if stop <= end + 2 or buffer[stop : stop + 2] != b"\r\n":
            break
        out.append(buffer[end + 2 : stop])
        at = stop + 2
    return at
