"""Texts as the full-text index takes them, and what a person types as a query that cannot be wrong.

The index knows words between spaces and punctuation. Scripts that write none between words get an invisible one after each
character, in the index and in the query, so that any run of characters is found; snippets lose it again.
"""

from __future__ import annotations

import hashlib
import re

#: An invisible separator to the tokeniser, and to a reader nothing.
_BETWEEN = "\u200b"
#: Ideographs, kana, Thai, Lao, Burmese and Khmer.
_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])"
)
#: What would break a snippet's marks or the query's text.
_UNWANTED = re.compile("[\x00\x02\x03\u200b]")
#: Words looked for; the rest of a longer text is left out.
_MOST = 32


def indexed(text: str) -> str:
    """``text`` as it is put into the index."""
    return _UNSPACED.sub(r"\1" + _BETWEEN, _UNWANTED.sub(" ", text))


def shown(snippet: str) -> str:
    """A snippet of what ``indexed`` made, for people."""
    return snippet.replace(_BETWEEN, "")


def owner_word(owner: str) -> str:
    """The owner as one word, whatever the id looks like."""
    return "o" + hashlib.sha256(owner.encode(errors="replace")).hexdigest()[:24]


def match_of(owner: str, text: str) -> str | None:
    """The query for rows of ``owner`` with every word of ``text``, the last one perhaps only begun; ``None`` without words.

    Every word is quoted, so that nothing in it is syntax.
    """
    plain = indexed(text.encode(errors="replace").decode())
    words = [word for word in plain.split() if any(map(str.isalnum, word))][:_MOST]
    if not words:
        return None
    quoted = " ".join('"{}"'.format(word.replace('"', '""')) for word in words)
    return f'owner : "{owner_word(owner)}" AND text : ({quoted} *)'
