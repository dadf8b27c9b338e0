"""Cutting a text into passages, each short enough for one vector, where people would pause. Pure."""

from __future__ import annotations

import re

#: Where a passage may end, the better places first.
_PAUSES = tuple(re.compile(pattern) for pattern in (r"\n\s*\n", r"[.!?…。！？]\s", r"\n", r"\s"))  # noqa: RUF001


def passages_of(text: str, length: int, most: int) -> list[tuple[int, int]]:
    """From and up to where, in code points; at most ``most``, so that what a very long text says at its end may be left out.

    Nothing but space is in none. A pause in the second half of a passage ends it; where there is none it is cut off.
    """
    passages: list[tuple[int, int]] = []
    start = 0
    while start < len(text) and len(passages) < most:
        stop = len(text) if len(text) - start <= length else _pause(text, start, start + length)
        if not text[start:stop].isspace():
            passages.append((start, stop))
        start = stop
    return passages


def _pause(text: str, start: int, end: int) -> int:
    half = (start + end) // 2
    for pause in _PAUSES:
        last = None
        for last in pause.finditer(text, half, end):  # noqa: B007 - the last one counts
            pass
        if last is not None:
            return last.end()
    return end
