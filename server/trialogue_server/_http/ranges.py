"""Parts of a file: what a ``Range`` header asks for (RFC 9110, 14), and how several are sent in one answer.

What cannot be understood is ignored, as the RFC has it; what asks for nothing there is raises ``RangeError``. Ranges that
overlap are joined, and a header that asks for very many is answered with the whole: it costs the server, and serves nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from trialogue_server._http.errors import RangeError

#: Ranges in one answer.
MOST = 16
_SPECS = re.compile(r"bytes=[0-9,\- \t]{1,1000}", re.IGNORECASE)
_SPEC = re.compile(r"(\d{0,19})-(\d{0,19})")


class Span(NamedTuple):
    """Bytes from ``start`` up to and without ``stop``."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def content_range(self, size: int) -> str:
        """As the header of that name says it."""
        return f"bytes {self.start}-{self.stop - 1}/{size}"


def parse_ranges(header: str, size: int) -> Sequence[Span] | None:
    """What is asked for of ``size`` bytes, joined where it overlaps, in the order asked; ``None`` for the whole.

    Raises ``RangeError`` when none of it is there.
    """
    if not _SPECS.fullmatch(header.strip()):
        return None
    specs = [spec.strip() for spec in header.partition("=")[2].split(",") if spec.strip()]
    found = [_SPEC.fullmatch(spec) for spec in specs]
    if not specs or len(specs) > MOST:
        return None
    spans: list[Span] = []
    for match in found:
        if match is None or match[0] == "-" or (match[1] and match[2] and int(match[1]) > int(match[2])):
            return None
        spans.append(_span(match[1], match[2], size))
    spans = [span for span in spans if span.start < span.stop]
    if not spans:
        raise RangeError(f"none of {header.strip()[:64]!r} is in the {size} bytes there are", size)
    return _joined(spans)


def _span(first: str, last: str, size: int) -> Span:
    if not first:
        return Span(max(size - int(last), 0), size)
    return Span(int(first), min(int(last) + 1, size) if last else size)


def _joined(spans: Sequence[Span]) -> list[Span]:
    joined: list[Span] = []
    for span in spans:
        touching = [one for one in joined if one.start <= span.stop and span.start <= one.stop]
        for one in touching:
            span = Span(min(one.start, span.start), max(one.stop, span.stop))
        place = joined.index(touching[0]) if touching else len(joined)
        joined = [one for one in joined if one not in touching]
        joined.insert(place, span)
    return joined


class Parts:
    """Several spans as the body of ``multipart/byteranges``: where each begins, and how long it all is."""

    def __init__(self, spans: Sequence[Span], size: int, media_type: str, boundary: str) -> None:
        self._spans = spans
        self._heads = [
            f"\r\n--{boundary}\r\ncontent-type: {media_type}\r\ncontent-range: {span.content_range(size)}\r\n\r\n".encode()
            for span in spans
        ]
        self.end = f"\r\n--{boundary}--\r\n".encode()
        self.media_type = f"multipart/byteranges; boundary={boundary}"
        self.length = sum(map(len, self._heads)) + sum(map(len, spans)) + len(self.end)

    def __iter__(self) -> Iterator[tuple[bytes, Span]]:
        return iter(zip(self._heads, self._spans, strict=True))
