"""Which conversations of a list have the words: when those that do are few, they are looked up; when they are many, the list
is gone through, as the next one that does is never far.
"""

from __future__ import annotations

from trialogue_sqlite import _search_sql as sql
from trialogue_sqlite._driver import Connection
from trialogue_sqlite._facts import conversation_match, owner_match
from trialogue_sqlite._text import text_match

#: Messages with the words, beyond which they are many.
MANY = 5_000


class Mentions:
    """The words of one list's query."""

    def __init__(self, connection: Connection, owner: str, words: list[str]) -> None:
        self._connection = connection
        self._owner = owner
        self._words = text_match(words)
        #: For a statement that looks all of them up.
        self.match = f"{self._words} AND {owner_match(owner)}"
        #: Conversations of the newest messages with the words; all of them, when they are few.
        rows = connection.execute(sql.MENTIONING, (self.match, MANY + 1)).fetchall()
        self.are_many = len(rows) > MANY
        self._newest = {conversation for _, conversation in rows}
        #: The oldest of those messages: younger ones are not worth a look.
        self._oldest: int = rows[-1][0] if rows else 0

    def in_conversation(self, conversation: str) -> bool:
        """Whether a title, or a message, of this conversation has them."""
        execute = self._connection.execute
        n = execute(sql.CONVERSATION_NUMBER, (conversation,)).get
        if n in self._newest or execute(sql.IS_TITLED, (self.match, n)).get:
            return True
        if not execute(sql.IS_OLDER, (n, self._oldest)).get:
            return False
        within = f"{self._words} AND {conversation_match(self._owner, conversation)}"
        return bool(execute(sql.IS_MENTIONED, (within,)).get)
