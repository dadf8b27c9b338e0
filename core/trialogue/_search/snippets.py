"""Snippets of what was found, and the words that a person types into a search. Pure; for stores, so that all show the same.

Scripts that write nothing between words get an invisible separator after each character, so that any run of characters is
found; snippets lose it again.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Sequence

#: An invisible separator to the tokeniser, and to a reader nothing.
_BETWEEN = "\u200b"
#: Ideographs, kana, Thai, Lao, Burmese and Khmer.
_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])"
)
#: What would break the query's text.
_UNWANTED = re.compile("[\x00\x02\x03\u200b]")
_WORD = re.compile(r"[^\W_]+")
#: Words looked for; the rest of a longer text is left out.
_MOST = 16
#: Pieces that they are made of, which an index looks up one by one, each with all its places: "a-b" has two.
_PIECES = 32
#: Characters of a text that are looked through for a snippet, and shown in one.
_SEEN, _SHOWN = 20_000, 160


def separated(text: str) -> str:
    """``text`` with an invisible separator between the characters of scripts without spaces, and nothing unprintable."""
    wanted = _UNWANTED.sub(" ", text)
    # Commits wait for this: what has none of those scripts is not looked through for them.
    return wanted if wanted.isascii() else _UNSPACED.sub(r"\1" + _BETWEEN, wanted)


def query_words(text: str) -> list[str]:
    """The words to look for, each once, or at its last place, and not too many: the last word alone may be begun."""
    plain = separated(text.encode(errors="replace").decode()).split()
    words = list(dict.fromkeys(word for word in reversed(plain) if any(map(str.isalnum, word))))[:_MOST]
    wanted, left = list[str](), _PIECES
    for word in words:
        ends = [piece.end() for piece in itertools.islice(_WORD.finditer(word), left)]
        if len(ends) == left:
            wanted.append(word[: ends[-1]])  # Of a longer one its beginning is looked for.
            break
        wanted.append(word)
        left -= len(ends)
    return wanted[::-1]


def snippet_of(words: Sequence[str], text: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    """The beginning of what matches in ``text``, and where in it the matches are, in code points."""
    wanted = [_plain(word) for word in _WORD.findall(" ".join(words))]
    said = separated(text[:_SEEN])
    found = next((word.start() for word in _WORD.finditer(said) if _is_among(word[0], wanted)), 0)
    start = max(0, found - _SHOWN // 4)
    start = said.rfind(" ", 0, start + 1) + 1 or start
    return _marked(said[start : start + _SHOWN], wanted)


def excerpt_of(text: str, start: int) -> str:
    """What a text says from a place on."""
    return text[start : start + _SHOWN].strip()


def _marked(said: str, wanted: list[str]) -> tuple[str, tuple[tuple[int, int], ...]]:
    shown, at, matches = "", 0, list[tuple[int, int]]()
    for word in _WORD.finditer(said):
        if _is_among(word[0], wanted):
            shown += said[at : word.start()].replace(_BETWEEN, "")
            # Neighbours in a script without spaces are one match.
            first = matches.pop()[0] if matches and matches[-1][1] == len(shown) else len(shown)
            shown += word[0]
            matches.append((first, len(shown)))
            at = word.end()
    return shown + said[at:].replace(_BETWEEN, ""), tuple(matches)


def _is_among(word: str, wanted: list[str]) -> bool:
    plain = _plain(word)
    return bool(wanted) and (plain in wanted or (len(wanted[-1]) > 1 and plain.startswith(wanted[-1])))


def _plain(word: str) -> str:
    """A word as the index compares it: without case and accents."""
    if word.isascii():
        return word.lower()
    return "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c)).casefold()
