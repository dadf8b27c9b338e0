"""Pages: what a reader sees of them, with a line for each block."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import BinaryIO

from trialogue_documents._text import decoded

#: Bytes of a page that are looked at: markup is mostly more than text.
LONGEST = 16 * 1024 * 1024
_HIDDEN = frozenset({"script", "style", "template", "noscript", "head"})
_BLOCKS = frozenset(
    {
        *(
            "p",
            "div",
            "br",
            "li",
            "ul",
            "ol",
            "dl",
            "dt",
            "dd",
            "tr",
            "table",
            "section",
            "article",
            "header",
            "footer",
        ),
        *("main", "aside", "nav", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "blockquote", "figure", "figcaption"),
        *("form", "fieldset", "hr", "title"),
    }
)
_SPACE = re.compile(r"\s+")
_CHARSET = re.compile(rb"""<meta[^>]{0,200}charset\s*=\s*["']?([\w.-]{1,40})""", re.IGNORECASE)


class _Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in _HIDDEN
        if tag in _BLOCKS:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = max(0, self._hidden - (tag in _HIDDEN))
        if tag in _BLOCKS:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.pieces.append(_SPACE.sub(" ", data))


def read(source: BinaryIO, characters: int) -> dict[str, object]:
    """The text of a page."""
    parser = _Seen()
    parser.feed(_characters(source.read(LONGEST)))
    parser.close()
    lines = (" ".join(line.split()) for line in "".join(parser.pieces).splitlines())
    return {"text": "\n".join(line for line in lines if line)}


def _characters(data: bytes) -> str:
    found = _CHARSET.search(data[:2048])
    try:
        return data.decode(found[1].decode()) if found else decoded(data)
    except (LookupError, UnicodeError):
        return decoded(data)
