"""Texts as the full-text index takes them, and what a person types as a query that cannot be wrong.

Words are cut here and not by PostgreSQL, whose parser and dictionaries differ between servers: runs of letters and digits,
without case and accents. Scripts that write no spaces between words give a word per character, and a run of them in a query
must be found side by side. The result is spelled as ``tsvector`` and ``tsquery`` are, and holds nothing that is syntax.
"""

from __future__ import annotations

import re
import unicodedata

#: Ideographs, kana, Thai, Lao, Burmese and Khmer: each character a word.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
#: Words looked for; the rest of a longer text is left out.
_MOST = 16
#: Characters of a word that count; places kept of one word, and all of a text: PostgreSQL takes a megabyte, and no more.
_LENGTH, _PLACES, _BYTES = 100, 255, 900_000


def lexemes(text: str) -> str:
    """``text`` as a ``tsvector``: its words, each with its places; empty when there are none."""
    places: dict[str, list[str]] = {}
    room = _BYTES
    for place, word in enumerate(_words(text), 1):
        found = places.get(word)
        if found is None:
            room -= len(word.encode()) + 8
            if room < 0:
                break  # What comes after so many different words is not found.
            found = places[word] = []
        if len(found) < _PLACES:
            room -= 2
            found.append(str(place))
    return " ".join(f"'{word}':{','.join(found)}" for word, found in places.items())


def query_of(text: str) -> str | None:
    """The ``tsquery`` for all words of ``text``, of which the last may be begun; ``None`` when there are none.

    What stands together in the text must stand together in what is found. One letter alone is no beginning.
    """
    terms = dict.fromkeys(tuple(_words(term)) for term in reversed(text.split()))
    wanted = [term for term in terms if term][:_MOST][::-1]
    if not wanted:
        return None
    spelled = ["<->".join(f"'{word}'" for word in term[:_MOST]) for term in wanted]
    if len(wanted[-1][-1]) > 1:
        spelled[-1] += ":*"
    return " & ".join(f"({term})" for term in spelled)


def _words(text: str) -> list[str]:
    return [word[:_LENGTH] for word in _WORD.findall(_plain(text))]


def _plain(text: str) -> str:
    """A text without case and accents."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(one for one in decomposed if not unicodedata.combining(one)).casefold()
