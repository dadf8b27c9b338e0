"""What a person types as a query of the full-text index that cannot be wrong. The index holds texts as ``separated`` makes
them; what is said about a text besides, whose it is for instance, is in ``_facts``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_PIECE = re.compile(r"[^\W_]+")


def text_match(words: Sequence[str]) -> str:
    """The query for every word. Each is quoted, so that nothing in it is syntax.

    One letter alone, at the end of a word as well ("a-b"), is no beginning: the index would read all that was ever said, of
    everyone, to find what it begins.
    """
    quoted = " ".join('"{}"'.format(word.replace('"', '""')) for word in words)
    begun = len(_PIECE.findall(words[-1])[-1]) > 1
    return f"text : ({quoted}{' *' if begun else ''})"
