"""Searches by meaning: the passages whose vectors point where the query's does, of all of the owner's, compared by pgvector.

Exactly, and not by an index of everybody's vectors: that one finds what is near of other people and leaves out one's own.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator

import trio

from trialogue import Hit, HitKind, SearchQuery, file_hit, message_hit
from trialogue_postgres import _search_sql as sql
from trialogue_postgres._database import Database, Row
from trialogue_postgres._windows import SEEN, decode_file, decode_header, decode_message, filters_of, values_of

#: Passages among which the nearest texts are looked for, for each that is wanted: a text has several.
LOOK = 10
KINDS: tuple[HitKind, ...] = ("message", "file")


async def read_similar(
    database: Database, owner: str, query: SearchQuery, vector: bytes, limit: int, near: str
) -> list[Hit]:
    """The nearest, each message and file once, by its nearest passage."""
    wanted = wanted_of(query)
    if not wanted or not any(vector) or limit <= 0:
        await database.nothing()
        return []
    values = values_of(owner, query) | {
        "vector": spelled(vector),
        "dimensions": len(vector) // 4,
        "look": LOOK * limit,
        "seen": SEEN,
    }
    rows = await database.read(similar_statement(query, wanted, near), values, planned=False)
    return await trio.to_thread.run_sync(_shown, rows, query, limit, abandon_on_cancel=True)


def wanted_of(query: SearchQuery) -> list[HitKind]:
    """The kinds that have vectors and that no filter leaves out."""
    only_messages = any((query.conversation, query.role, query.model))
    return [kind for kind in KINDS if kind in query.kinds and not (kind == "file" and only_messages)]


def similar_statement(query: SearchQuery, wanted: list[HitKind], near: str) -> str:
    """The statement with the query's filters."""
    parts = [sql.SIMILAR, *([sql.SIMILAR_FILTERS[wanted[0]]] if len(wanted) == 1 else [])]
    if facts := filters_of("message", query):
        parts.append(sql.SIMILAR_FILTERS["facts"].format(facts))
    if query.near is not None:
        parts.append(sql.SIMILAR_FILTERS["near"].format(near.format("m"), near.format("f")))
    return "".join([*parts, sql.SIMILAR_END])


def _shown(rows: list[Row], query: SearchQuery, limit: int) -> list[Hit]:
    return [hit for hit, _ in zip(_hits(rows, query), range(limit), strict=False)]


def _hits(rows: list[Row], query: SearchQuery) -> Iterator[Hit]:
    seen = set[tuple[int, int]]()
    for kind, source, start, score, body, conversation, header, text in rows:
        if (kind, source) in seen or body is None:
            continue
        seen.add((kind, source))
        if KINDS[kind] == "file":
            hit = file_hit(decode_file(body), text or "", query, (), score, start)
        elif conversation is not None:
            title = decode_header(header).title
            hit = message_hit(decode_message(body), conversation, title, query, (), score, start)
        else:
            hit = None  # In the trash.
        if hit is not None:
            yield hit


def spelled(vector: bytes) -> str:
    """A vector of length one with the same direction, as PostgreSQL reads it. There must be a direction."""
    numbers = struct.unpack(f"<{len(vector) // 4}f", vector)
    length = math.hypot(*numbers)
    return "[" + ",".join(f"{number / length:.5g}" for number in numbers) + "]"
