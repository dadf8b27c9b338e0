"""A candidate looked at more closely: whether it is there, one's own and within the filters, and how it is shown."""

from __future__ import annotations

from datetime import datetime

import msgspec

from trialogue import Conversation, File, Hit, HitKind, Location, Message, SearchQuery, distance, text_of
from trialogue_sqlite import _search_sql as sql
from trialogue_sqlite._driver import Connection
from trialogue_sqlite._text import excerpt_of, snippet_of

_decode_message = msgspec.json.Decoder(Message).decode
_decode_conversation = msgspec.json.Decoder(Conversation).decode
_decode_file = msgspec.json.Decoder(File).decode
#: Characters of a file's text that are looked through for a snippet.
_SEEN = 20_000


class Look:
    """Called with a kind and a row's number; the hit, or ``None`` when it must not be shown."""

    def __init__(self, connection: Connection, owner: str, query: SearchQuery, words: list[str]) -> None:
        self._connection = connection
        self._owner = owner
        self._query = query
        self._words = words

    def __call__(self, kind: HitKind, n: int, score: float, start: int | None = None) -> Hit | None:
        """``start`` is where the passage begins that was found; otherwise the words say what is shown."""
        match kind:
            case "message":
                return self._message(n, score, start)
            case "title":
                return self._title(n, score)
            case "file":
                return self._file(n, score, start)

    def _message(self, n: int, score: float, start: int | None) -> Hit | None:
        row = self._connection.execute(sql.FOUND_MESSAGE, (n, self._owner)).fetchone()
        if row is None:
            return None
        message, query = _decode_message(row[0]), self._query
        wanted = (query.role in (None, message.role)) and (query.model in (None, message.model))
        metres, near = self._distance(message.location)
        if not wanted or not near or query.conversation not in (None, row[1]) or not self._in_time(message.created_at):
            return None
        snippet, matches = self._snippet(text_of(message.parts), start)
        return Hit(
            kind="message",
            id=message.id,
            at=message.created_at,
            snippet=snippet,
            matches=matches,
            score=score,
            conversation=row[1],
            title=row[2],
            role=message.role,
            model=message.model,
            distance=metres,
        )

    def _title(self, n: int, score: float) -> Hit | None:
        body = self._connection.execute(sql.FOUND_TITLE, (n, self._owner)).get
        if body is None:
            return None
        header = _decode_conversation(body)
        if self._query.conversation not in (None, header.id) or not self._in_time(header.created_at):
            return None
        snippet, matches = snippet_of(self._words, header.title or "")
        return Hit("title", header.id, header.created_at, snippet, matches, score, header.id, header.title)

    def _file(self, n: int, score: float, start: int | None) -> Hit | None:
        # SQLite counts characters from 1.
        values = (n, self._owner, (start or 0) + 1, _SEEN)
        row = self._connection.execute(sql.FOUND_FILE, values).fetchone()
        if row is None:
            return None
        file = _decode_file(row[0])
        place = None if file.lat is None or file.lon is None else Location(file.lat, file.lon)
        metres, near = self._distance(place)
        if not near or not self._in_time(file.created_at):
            return None
        snippet, matches = self._snippet(row[1] or "", None if start is None else 0)
        return Hit("file", file.id, file.created_at, snippet, matches, score, title=file.name, distance=metres)

    def _snippet(self, text: str, start: int | None) -> tuple[str, tuple[tuple[int, int], ...]]:
        return snippet_of(self._words, text) if start is None else (excerpt_of(text, start), ())

    def _distance(self, place: Location | None) -> tuple[float | None, bool]:
        circle = self._query.near
        if circle is None:
            return None, True
        metres = None if place is None else distance(place.lat, place.lon, circle)
        return metres, metres is not None and metres <= circle.radius

    def _in_time(self, at: datetime) -> bool:
        since, until = self._query.since, self._query.until
        return (since is None or at >= since) and (until is None or at < until)
