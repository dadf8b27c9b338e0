"""What a person types as a query of the full-text index that cannot be wrong. The index holds texts as ``separated`` makes
them; what is said about a text besides, whose it is for instance, is in ``_facts``.
"""

from __future__ import annotations

from collections.abc import Sequence


def text_match(words: Sequence[str]) -> str:
    """The query for every word. Each is quoted, so that nothing in it is syntax.

    One letter alone is no beginning: the index would read all that was ever said, of everyone, to find what it begins.
    """
    quoted = " ".join('"{}"'.format(word.replace('"', '""')) for word in words)
    begun = sum(map(str.isalnum, words[-1])) > 1
    return f"text : ({quoted}{' *' if begun else ''})"
