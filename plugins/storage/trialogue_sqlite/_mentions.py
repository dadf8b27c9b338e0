"""Which messages name which files: noted in the transaction that writes the message, forgotten with the conversation."""

from __future__ import annotations

from trialogue import Message, files_of
from trialogue_sqlite import _files_sql as sql
from trialogue_sqlite._driver import Connection


def put_mentions(connection: Connection, n: int, row: int, message: Message) -> None:
    """Note what ``message`` (numbered ``row``, of conversation ``n``) names; what it named before a revision stays noted."""
    for part in files_of(message.parts):
        connection.execute(sql.ADD_MENTION, (row, n, part.file))


def purge_mentions(connection: Connection, n: int) -> None:
    """Before the conversation's messages go: remove the files that only they name, and the mentions of the others."""
    for statement in sql.PURGE_FILES:
        connection.execute(statement, (n,))
