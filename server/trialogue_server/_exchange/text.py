"""Texts inside a Markdown document that they must not break."""

from __future__ import annotations

import re

#: The beginning of a line that opens or closes a code block: up to three spaces, and a run of one of the two signs.
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})([^\n]*)$")
#: What has a meaning within a line.
_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~])")


def closed(text: str) -> str:
    """``text``, with the code block closed that it leaves open."""
    fence = ""
    for line in text.split("\n"):
        found = _FENCE.match(line)
        if found is None:
            continue
        marks, rest = found[1], found[2]
        if not fence:
            # A run of backquotes with another behind it on the line is code within a line.
            fence = "" if marks[0] == "`" and "`" in rest else marks
        elif marks[0] == fence[0] and len(marks) >= len(fence) and not rest.strip():
            fence = ""
    return f"{text}\n{fence}" if fence else text


def fenced(text: str, language: str = "") -> str:
    """``text`` as a code block, with a fence that is longer than any within."""
    longest = max(map(len, re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def quoted(text: str) -> str:
    """``text`` as a quotation; what it opens ends with it."""
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


def one_line(text: str) -> str:
    """``text`` as plain words of one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
