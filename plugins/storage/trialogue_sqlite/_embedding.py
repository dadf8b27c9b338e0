"""Keeping vectors: whose they are, which texts wait for theirs, and what becomes of those that come.

Messages are looked at in the order of their numbers, up to the one that ``through`` says: a new one costs nothing to note.
What changes after it was looked at, and every file, is marked. Vectors come back with the text they were made of: if that is
no longer what is said, they are thrown away and the text waits again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from trialogue import Embedded, Message, Unembedded, text_of
from trialogue_sqlite import _search_sql as sql
from trialogue_sqlite._driver import Connection
from trialogue_sqlite._facts import owner_match
from trialogue_sqlite._similar import bytes_of, signs_of

_decode = msgspec.json.Decoder(Message).decode
#: What ``pending`` counts up to: beyond it nobody minds.
MOST = 10_000
#: Passages and texts in one commit.
TOGETHER = 64
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


class Row(NamedTuple):
    """A passage as it is written."""

    start: int
    stop: int
    vector: bytes
    signs: bytes


class Made(NamedTuple):
    """A text and the rows of its passages."""

    kind: int
    n: int
    text: str
    rows: tuple[Row, ...]


def make_rows(texts: Sequence[Embedded]) -> list[list[Made]]:
    """What is to be written, in commits that are short enough to hold nobody up. Takes long: for a thread of its own."""
    commits: list[list[Made]] = [[]]
    room = TOGETHER
    for text in texts:
        made = Made(*_parse(text.key), text.text, tuple(_rows(text)))
        size = len(made.rows) + 1
        if size > room and commits[-1]:
            commits.append([])
            room = TOGETHER
        room -= size
        commits[-1].append(made)
    return commits


def _rows(text: Embedded) -> Iterator[Row]:
    for passage in text.passages:
        if any(passage.vector):  # One without a direction is near to nothing.
            yield Row(passage.start, passage.stop, bytes_of(passage.vector), signs_of(passage.vector))
        time.sleep(0)  # Whoever waits for the interpreter goes first.


def add_embedded(connection: Connection, embedder: str, texts: Sequence[Made]) -> None:
    """Keep what fits; then go on after the messages that were looked at."""
    row = connection.execute(sql.EMBEDDER).fetchone()
    if row is None or row[0] != embedder:
        return
    looked: set[int] = set()
    for made in texts:
        if made.kind == _MESSAGE:
            looked.add(made.n)
        if _text(connection, made.kind, made.n) == made.text:
            connection.execute(sql.UNMARK, (made.kind, made.n))
            _replace(connection, made)
        else:
            connection.execute(sql.MARK, (made.kind, made.n))
    _advance(connection, row[2], looked)


def _replace(connection: Connection, made: Made) -> None:
    kind, n = made.kind, made.n
    owner = connection.execute(sql.OWNER_OF_FILE if kind == _FILE else sql.OWNER_OF_MESSAGE, (n,)).get
    if owner is None:
        return
    connection.execute(sql.DROP_PASSAGES, (kind, n, owner))
    for row in made.rows:
        number = connection.execute(sql.ADD_PASSAGE, (kind, n, row.start, row.stop, row.vector)).get
        connection.execute(sql.ADD_SIGNS, (owner, number, kind, n, row.signs))


def _advance(connection: Connection, through: int, looked: set[int]) -> None:
    furthest = max(looked, default=0)
    for (n,) in connection.execute(sql.NUMBERS_AFTER, (through, furthest)).fetchall():
        if n not in looked:
            break
        through = n
    connection.execute(sql.SET_THROUGH, (through,))
