"""How well a row of a full-text table matches, from that row alone.

More of what was looked for is better, less and less so; in a short text it says more than in a long one; a long word says
more than a short one. Nothing is counted in other rows, as FTS5's own rank does: that would take half a second for a word
that stands in half of a million messages, and change the order between two pages.
"""

from __future__ import annotations

from trialogue_sqlite._driver import Connection, Matched

#: How soon more of the same word says nothing more, how much length counts, and words of a text of middling length.
_SATURATION, _LENGTH, _MIDDLING = 1.2, 0.75, 60
#: Letters of a word beyond which it says no more.
_LONG = 10
#: The column that holds the text.
_TEXT = 1


def add_relevance(connection: Connection) -> None:
    """Let statements of the connection ask for ``relevance(table, words)``."""
    connection.register_fts5_function("relevance", relevance)


def relevance(row: Matched, words: int) -> float:
    """From 0 up. The first ``words`` phrases of the query are what was looked for; the rest are filters."""
    if row.aux_data is None:
        row.aux_data = [_weight(phrase) for phrase in row.phrases[:words]]
    weights: list[float] = row.aux_data
    dampening = _SATURATION * (1 - _LENGTH + _LENGTH * row.column_size(_TEXT) / _MIDDLING)
    score = 0.0
    for number, weight in enumerate(weights):
        count = len(row.phrase_column_offsets(number, _TEXT))
        score += weight * count / (count + dampening)
    return score


def _weight(phrase: tuple[str | None, ...]) -> float:
    letters = sum(len(token or "") for token in phrase)
    return min(letters, _LONG) / _LONG
