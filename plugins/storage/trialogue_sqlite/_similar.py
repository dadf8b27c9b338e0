"""Searches by meaning: the passages whose vectors point where the query's does.

All of an owner's passages are compared by the signs of their vectors, 48 bytes each, which says roughly how near they are;
the nearest few hundred are then compared as vectors of bytes. The comparing itself is done by the extension ``sqlite-vec``,
in ordinary tables, so that filters, transactions and the brake of long reads are those of every other statement.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import datetime
from importlib import import_module

import apsw

from trialogue import Hit, HitKind, SearchQuery, box_of
from trialogue_sqlite import _search_sql as sql
from trialogue_sqlite._driver import Connection, Value
from trialogue_sqlite._facts import is_filtered, message_match
from trialogue_sqlite._looking import Look

#: Passages that are looked at closely: of a hundred thousand, they hold 99 in 100 of the 20 nearest, and a fifth of the time
#: is spent on them.
LOOK = 1_000
KINDS: tuple[HitKind, ...] = ("message", "file")


def read_similar(
    connection: Connection, owner: str, query: SearchQuery, vector: bytes, limit: int, now: datetime
) -> list[Hit]:
    """The nearest, each message and file once, by its nearest passage."""
    wanted = _wanted(query)
    if not wanted or not any(vector):
        return []
    load_vectors(connection)
    values: dict[str, Value] = {"owner": owner, "look": LOOK, "signs": signs_of(vector), "vector": bytes_of(vector)}
    values["match"] = message_match(owner, query, now.date())
    if query.near is not None:
        values |= box_of(query.near)
    rows = connection.execute(similar_statement(filters_of(query, now)), values).fetchall()
    return _shown(Look(connection, owner, query, []), rows, limit)


def filters_of(query: SearchQuery, now: datetime) -> list[str]:
    """The parts of the statement that the query asks for, by names of ``SIGNS_FILTERS``."""
    wanted = _wanted(query)
    filters = list[str](wanted) if len(wanted) == 1 else []
    if wanted != ["file"] and is_filtered(query, now.date()):
        filters.append("facts")
    if query.near is not None:
        filters.append("near")
    return filters


def similar_statement(filters: list[str]) -> str:
    """The statement with these filters."""
    return sql.SIGNS + "".join(sql.SIGNS_FILTERS[name] for name in filters) + sql.SIGNS_END


def _wanted(query: SearchQuery) -> list[str]:
    only_messages = any((query.conversation, query.role, query.model))
    return [kind for kind in KINDS if kind in query.kinds and not (kind == "file" and only_messages)]


def _shown(look: Look, rows: list[tuple[int, int, int, float]], limit: int) -> list[Hit]:
    return [hit for hit, _ in zip(_looked(look, rows), range(limit), strict=False)]


def _looked(look: Look, rows: list[tuple[int, int, int, float]]) -> Iterator[Hit]:
    seen: set[tuple[int, int]] = set()
    for kind, source, start, distance in rows:
        if (kind, source) not in seen:
            seen.add((kind, source))
            hit = look(KINDS[kind], source, 1 - distance, start)
            if hit is not None:
                yield hit


# --- vectors ---------------------------------------------------------------------------------------------------------


def signs_of(vector: bytes) -> bytes:
    """A bit for each number of a vector: whether it is above zero. The last byte is filled up."""
    numbers = _numbers(vector)
    bits = sum(1 << place for place, number in enumerate(numbers) if number > 0)
    return bits.to_bytes((len(numbers) + 7) // 8, "little")


def bytes_of(vector: bytes) -> bytes:
    """A vector of whole numbers from -127 to 127 with the same direction."""
    numbers = _numbers(vector)
    scale = 127 / max(map(abs, numbers))
    return struct.pack(f"{len(numbers)}b", *(round(number * scale) for number in numbers))


def _numbers(vector: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(vector) // 4}f", vector)


def load_vectors(connection: Connection) -> None:
    """Let statements of the connection compare vectors."""
    try:
        connection.execute("SELECT vec_version()")
    except apsw.SQLError:
        connection.enable_load_extension(True)
        try:
            connection.load_extension(import_module("sqlite_vec").loadable_path())
        finally:
            connection.enable_load_extension(False)
