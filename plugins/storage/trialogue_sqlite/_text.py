"""Texts as the full-text index takes them, and what a person types as a query that cannot be wrong.

The index knows words between spaces and punctuation. Scripts that write none between words get an invisible one after each
character, in the index and in the query, so that any run of characters is found; snippets lose it again.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

#: An invisible separator to the tokeniser, and to a reader nothing.
_BETWEEN = "\u200b"
#: Ideographs, kana, Thai, Lao, Burmese and Khmer.
_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])"
)
#: What would break a snippet's marks or the query's text.
_UNWANTED = re.compile("[\x00\x02\x03\u200b]")
_WORD = re.compile(r"[^\W_]+")
#: Words looked for; the rest of a longer text is left out.
_MOST = 16
#: Characters of a message that are looked through for a snippet, and shown in one.
_SEEN, _SHOWN = 20_000, 160


def indexed(text: str) -> str:
    """``text`` as it is put into the index."""
    return _UNSPACED.sub(r"\1" + _BETWEEN, _UNWANTED.sub(" ", text))


def owner_word(owner: str) -> str:
    """The owner as one word, whatever the id looks like."""
    return "o" + hashlib.sha256(owner.encode(errors="replace")).hexdigest()[:24]


def match_of(owner: str, text: str) -> str | None:
    """The query for rows of ``owner`` with every word of ``text``, the last one perhaps only begun; ``None`` without words.

    Every word is quoted, so that nothing in it is syntax.
    """
    plain = indexed(text.encode(errors="replace").decode()).split()
    # Each once, or at its last place: the last word alone may be begun.
    words = list(dict.fromkeys(word for word in reversed(plain) if any(map(str.isalnum, word))))[:_MOST][::-1]
    if not words:
        return None
    quoted = " ".join('"{}"'.format(word.replace('"', '""')) for word in words)
    return f'owner : "{owner_word(owner)}" AND text : ({quoted} *)'


def snippet_of(query: str, text: str) -> str:
    """The beginning of what matches in ``text``, each match between \\x02 and \\x03."""
    wanted = [_plain(word) for word in _WORD.findall(indexed(query))]
    said = indexed(text[:_SEEN])
    first = next((word.start() for word in _WORD.finditer(said) if _is_among(word[0], wanted)), 0)
    start = max(0, first - _SHOWN // 4)
    start = said.rfind(" ", 0, start + 1) + 1 or start
    marked = _WORD.sub(
        lambda word: f"\x02{word[0]}\x03" if _is_among(word[0], wanted) else word[0], said[start : start + _SHOWN]
    )
    return marked.replace(_BETWEEN, "")


def _is_among(word: str, wanted: list[str]) -> bool:
    plain = _plain(word)
    return bool(wanted) and (plain in wanted or plain.startswith(wanted[-1]))


def _plain(word: str) -> str:
    """A word as the index compares it: without case and accents."""
    if word.isascii():
        return word.lower()
    return "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c)).casefold()
