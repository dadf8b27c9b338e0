"""A candidate looked at more closely: whether it is there, one's own and within the filters, and how it is shown."""

from __future__ import annotations

import msgspec

from trialogue import Conversation, File, Hit, HitKind, Message, SearchQuery, file_hit, message_hit, title_hit
from trialogue_sqlite import _search_sql as sql
from trialogue_sqlite._driver import Connection

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
        body, conversation, title = row
        return message_hit(_decode_message(body), conversation, title, self._query, self._words, score, start)

    def _title(self, n: int, score: float) -> Hit | None:
        body = self._connection.execute(sql.FOUND_TITLE, (n, self._owner)).get
        return None if body is None else title_hit(_decode_conversation(body), self._query, self._words, score)

    def _file(self, n: int, score: float, start: int | None) -> Hit | None:
        # SQLite counts characters from 1.
        values = (n, self._owner, (start or 0) + 1, _SEEN)
        row = self._connection.execute(sql.FOUND_FILE, values).fetchone()
        if row is None:
            return None
        body, text = row
        return file_hit(_decode_file(body), text or "", self._query, self._words, score, start)
