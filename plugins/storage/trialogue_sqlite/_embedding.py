"""Keeping vectors: whose they are, which texts wait for theirs, and what becomes of those that come.

Messages are looked at in the order of their numbers, up to the one that ``through`` says: a new one costs nothing to note.
What changes after it was looked at, and every file, is marked. Vectors come back with the text they were made of: if that is
no longer what is said, they are thrown away and the text waits again.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from trialogue import Embedded, Message, Unembedded, text_of
from trialogue_sqlite import _search_sql as sql
from trialogue_sqlite._driver import Connection
from trialogue_sqlite._facts import owner_match
from trialogue_sqlite._similar import bytes_of, signs_of

_decode = msgspec.json.Decoder(Message).decode
#: What ``pending`` counts up to: beyond it nobody minds.
MOST = 10_000
_MESSAGE, _FILE = 0, 1


# --- whose they are --------------------------------------------------------------------------------------------------


def uses(connection: Connection, name: str, dimensions: int) -> bool:
    """Whether the vectors are this embedder's; if not, they are nobody's from now on."""
    row = connection.execute(sql.EMBEDDER).fetchone()
    if row is not None and row[:2] == (name, dimensions):
        return True
    connection.execute(sql.SET_EMBEDDER, ("", 0))
    return False


def forget_some(connection: Connection) -> bool:
    """Drop a number of vectors; whether there were any."""
    before = connection.total_changes()
    connection.execute(sql.FORGET_SOME)
    return connection.total_changes() > before


def begin(connection: Connection, name: str, dimensions: int) -> None:
    """All texts wait for the vectors of this embedder."""
    connection.execute(sql.SET_EMBEDDER, (name, dimensions))
    connection.execute(sql.FORGET_MARKS)
    connection.execute(sql.MARK_FILES)


# --- what waits ------------------------------------------------------------------------------------------------------


def read_unembedded(connection: Connection, limit: int) -> list[Unembedded]:
    """What is marked, then messages that were not looked at yet."""
    row = connection.execute(sql.EMBEDDER).fetchone()
    if row is None or not row[0]:
        return []
    marked = connection.execute(sql.MARKED, (max(limit, 0),)).fetchall()
    waiting = [Unembedded(_key(kind, n), _text(connection, kind, n)) for kind, n in marked]
    rows = connection.execute(sql.MESSAGES_AFTER, (row[2], max(limit - len(waiting), 0))).fetchall()
    return [*waiting, *(Unembedded(_key(_MESSAGE, n), _said(body)) for n, body in rows)]


def count_pending(connection: Connection, owner: str) -> int:
    """Texts of an owner that wait, up to ``MOST``."""
    row = connection.execute(sql.EMBEDDER).fetchone()
    through = row[2] if row is not None else 0
    new = connection.execute(sql.PENDING_NEW, (owner_match(owner), through, MOST)).get
    marked = connection.execute(sql.PENDING_MARKED, (owner, MOST)).get
    return min(int(new) + int(marked), MOST)


def _text(connection: Connection, kind: int, n: int) -> str:
    """What a message or a file says now; nothing when it is gone."""
    statement = sql.FILE_TEXT if kind == _FILE else sql.MESSAGE_TEXT
    found = connection.execute(statement, (n,)).get
    if found is None:
        return ""
    return str(found) if kind == _FILE else _said(found)


def _said(body: str) -> str:
    if not body:  # Of a removed message nothing is left.
        return ""
    message = _decode(body)
    return text_of(message.parts) if message.role in ("user", "assistant") else ""


def _key(kind: int, n: int) -> str:
    return f"{kind}:{n}"


def _parse(key: str) -> tuple[int, int]:
    kind, _, n = key.partition(":")
    return int(kind), int(n)


# --- what comes ------------------------------------------------------------------------------------------------------


def add_embedded(connection: Connection, embedder: str, texts: Sequence[Embedded]) -> None:
    """Keep what fits; then go on after the messages that were looked at."""
    row = connection.execute(sql.EMBEDDER).fetchone()
    if row is None or row[0] != embedder:
        return
    looked: set[int] = set()
    for text in texts:
        kind, n = _parse(text.key)
        if kind == _MESSAGE:
            looked.add(n)
        if _text(connection, kind, n) == text.text:
            connection.execute(sql.UNMARK, (kind, n))
            _replace(connection, kind, n, text)
        else:
            connection.execute(sql.MARK, (kind, n))
    _advance(connection, row[2], looked)


def _replace(connection: Connection, kind: int, n: int, text: Embedded) -> None:
    owner = connection.execute(sql.OWNER_OF_FILE if kind == _FILE else sql.OWNER_OF_MESSAGE, (n,)).get
    if owner is None:
        return
    connection.execute(sql.DROP_PASSAGES, (kind, n, owner))
    for passage in text.passages:
        if any(passage.vector):  # One without a direction is near to nothing.
            values = (kind, n, passage.start, passage.stop, bytes_of(passage.vector))
            number = connection.execute(sql.ADD_PASSAGE, values).get
            connection.execute(sql.ADD_SIGNS, (owner, number, kind, n, signs_of(passage.vector)))


def _advance(connection: Connection, through: int, looked: set[int]) -> None:
    furthest = max(looked, default=0)
    for (n,) in connection.execute(sql.NUMBERS_AFTER, (through, furthest)).fetchall():
        if n not in looked:
            break
        through = n
    connection.execute(sql.SET_THROUGH, (through,))
