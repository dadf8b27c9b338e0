"""Hits as they are shown: what a store found, held to the filters once more. Pure; for stores, so that all show the same.

``words`` are those of ``query_words``. ``start`` is where in the text the passage begins that was found by its meaning;
without it the words say which part is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from trialogue._facts.values import Conversation, Location, Message, text_of
from trialogue._files.files import File
from trialogue._search.search import Hit, SearchQuery, distance
from trialogue._search.snippets import excerpt_of, snippet_of


def message_hit(
    message: Message,
    conversation: str,
    title: str | None,
    query: SearchQuery,
    words: Sequence[str],
    score: float,
    start: int | None = None,
) -> Hit | None:
    """The hit that a message is; ``None`` when the query does not want it."""
    metres, near = _distance(query, message.location)
    wanted = query.role in (None, message.role) and query.model in (None, message.model)
    if (
        not wanted
        or not near
        or query.conversation not in (None, conversation)
        or not _in_time(query, message.created_at)
    ):
        return None
    snippet, matches = _snippet(text_of(message.parts), words, start)
    return Hit(
        kind="message",
        id=message.id,
        at=message.created_at,
        snippet=snippet,
        matches=matches,
        score=score,
        conversation=conversation,
        title=title,
        role=message.role,
        model=message.model,
        distance=metres,
    )


def title_hit(header: Conversation, query: SearchQuery, words: Sequence[str], score: float) -> Hit | None:
    """The hit that a conversation's title is; ``None`` when the query does not want it."""
    if query.conversation not in (None, header.id) or not _in_time(query, header.created_at):
        return None
    snippet, matches = snippet_of(words, header.title or "")
    return Hit("title", header.id, header.created_at, snippet, matches, score, header.id, header.title)


def file_hit(
    file: File, text: str, query: SearchQuery, words: Sequence[str], score: float, start: int | None = None
) -> Hit | None:
    """The hit that a file is; ``None`` when the query does not want it. ``text`` begins at ``start``."""
    place = None if file.lat is None or file.lon is None else Location(file.lat, file.lon)
    metres, near = _distance(query, place)
    if not near or not _in_time(query, file.created_at):
        return None
    snippet, matches = _snippet(text, words, None if start is None else 0)
    return Hit("file", file.id, file.created_at, snippet, matches, score, title=file.name, distance=metres)


def _snippet(text: str, words: Sequence[str], start: int | None) -> tuple[str, tuple[tuple[int, int], ...]]:
    return snippet_of(words, text) if start is None else (excerpt_of(text, start), ())


def _distance(query: SearchQuery, place: Location | None) -> tuple[float | None, bool]:
    circle = query.near
    if circle is None:
        return None, True
    metres = None if place is None else distance(place.lat, place.lon, circle)
    return metres, metres is not None and metres <= circle.radius


def _in_time(query: SearchQuery, at: datetime) -> bool:
    return (query.since is None or at >= query.since) and (query.until is None or at < query.until)
