"""Keeping vectors: whose they are, which texts wait for theirs, and what becomes of those that come.

What is said is marked when it is said (``extensions/vector.sql``). Vectors come back with the text they were made of: if
that is no longer what is said, they are thrown away and the text waits on.
"""

from __future__ import annotations

import math
import struct
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from trialogue import Embedded, Message, Unembedded, text_of
from trialogue_postgres import _search_sql as sql
from trialogue_postgres._connection import TrioConnection
from trialogue_postgres._database import Database, rows, send
from trialogue_postgres._similar import spelled

_decode = msgspec.json.Decoder(Message).decode
#: What ``pending`` counts up to: beyond it nobody minds.
MOST = 10_000
#: Passages and texts in one commit; vectors forgotten and texts marked in one.
TOGETHER, STEP = 64, 5_000
_MESSAGE = 0


# --- whose they are --------------------------------------------------------------------------------------------------


async def use_embedder(database: Database, name: str, dimensions: int) -> None:
    """Forget another one's vectors and mark all texts, step by step, unless it is this one's already."""
    wanted = {"name": name, "dimensions": dimensions}

    async def step(statement: str, values: dict[str, object]) -> int | None:
        """One step; what its statement gives first, or ``None`` at the end, or when another server was quicker."""

        async def work(connection: TrioConnection) -> int | None:
            await send(connection, sql.ONE_AT_A_TIME)
            if await rows(connection, sql.EMBEDDER) == [(name, dimensions)]:
                return None
            found = await rows(connection, statement, values)
            return found[0][0] if found else None

        return await database.write(work)

    await step(sql.SET_EMBEDDER, {"name": "", "dimensions": 0})
    while await step(sql.FORGET_SOME, {"limit": STEP}):
        pass
    for statement in (sql.MARK_MESSAGES, sql.MARK_FILES):
        after: int | None = 0
        while after is not None:
            after = await step(statement, {"after": after, "limit": STEP})
    await step(sql.SET_EMBEDDER, {**wanted})


# --- what waits ------------------------------------------------------------------------------------------------------


async def read_unembedded(database: Database, limit: int) -> list[Unembedded]:
    """What is marked."""
    found = await database.read(sql.WAITING, {"limit": max(limit, 0)})
    return [Unembedded(f"{kind}:{n}", _said(body, text)) for kind, n, body, text in found]


async def count_pending(database: Database, owner: str) -> int:
    """Texts of an owner that wait, up to ``MOST``."""
    return int((await database.read(sql.PENDING_OF, {"owner": owner, "limit": MOST}))[0][0])


def _said(body: str | None, text: str | None) -> str:
    """What a message or a file says; nothing when it is gone."""
    if not body:
        return text or ""
    return text_of(_decode(body).parts)


# --- what comes ------------------------------------------------------------------------------------------------------


class Made(NamedTuple):
    """A text, and where its passages begin, with their vectors as PostgreSQL reads them."""

    kind: int
    n: int
    text: str
    dimensions: int
    passages: tuple[tuple[int, str], ...]


def make_rows(texts: Sequence[Embedded]) -> list[list[Made]]:
    """What is to be written, in commits that are short. Takes long: for a thread of its own."""
    commits: list[list[Made]] = [[]]
    room = TOGETHER
    for text in texts:
        kind, _, n = text.key.partition(":")
        dimensions = max((len(passage.vector) // 4 for passage in text.passages), default=0)
        made = Made(int(kind), int(n), text.text, dimensions, tuple(_passages(text)))
        room -= len(made.passages) + 1
        if room < 0 and commits[-1]:
            commits.append([])
            room = TOGETHER - len(made.passages) - 1
        commits[-1].append(made)
    return commits


def _passages(text: Embedded) -> Iterator[tuple[int, str]]:
    for passage in text.passages:
        if _has_direction(passage.vector):  # One without is near to nothing.
            yield passage.start, spelled(passage.vector)
        time.sleep(0)  # Whoever waits for the interpreter goes first.


def _has_direction(vector: bytes) -> bool:
    length = math.hypot(*struct.unpack(f"<{len(vector) // 4}f", vector))
    return 0 < length < math.inf


async def add_embedded(database: Database, embedder: str, texts: Sequence[Made]) -> None:
    """Keep the vectors of what is said still."""
    made = {(text.kind, text.n): text for text in texts}
    asked = {"kinds": [kind for kind, _ in made], "sources": [n for _, n in made]}

    async def work(connection: TrioConnection) -> None:
        async with connection.pipeline(), connection.transaction():
            whose = await send(connection, sql.LOCK_EMBEDDER)
            marked = await send(connection, sql.MARKED, asked)
            row = await whose.fetchone()
            if row is None or row[0] != embedder:
                return
            fitting = [
                (made[kind, n], stamp, owner)
                for kind, n, stamp, owner, body, text in await marked.fetchall()
                if made[kind, n].text == _said(body, text) and made[kind, n].dimensions in (0, row[1])
            ]
            if fitting:
                await _replace(connection, fitting)

    if made:
        await database.commit(work)


async def _replace(connection: TrioConnection, fitting: list[tuple[Made, int, str]]) -> None:
    texts = {"kinds": [text.kind for text, *_ in fitting], "sources": [text.n for text, *_ in fitting]}
    passages = [(owner, text, start, vector) for text, _, owner in fitting for start, vector in text.passages]
    await send(connection, sql.DROP_PASSAGES, texts)
    if passages:
        columns: dict[str, list[object]] = {
            "owners": [owner for owner, *_ in passages],
            "kinds": [text.kind for _, text, *_ in passages],
            "sources": [text.n for _, text, *_ in passages],
            "starts": [start for _, _, start, _ in passages],
            "vectors": [vector for *_, vector in passages],
        }
        await send(connection, sql.ADD_PASSAGES, columns)
    # Last, since who says something new to one of them waits for this.
    await send(connection, sql.UNMARK, {**texts, "stamps": [stamp for _, stamp, _ in fitting]})
