"""Searches by words and places: windows of the newest candidates, ranked, and what of them may be shown.

A window is the thousand newest rows that match. It is ranked as a whole; when it is used up, the window of the next older
ones follows on later pages. So a word that stands in half of a million messages costs what a rare one costs, and what is
found of a rare one is ranked among all. A page's cursor says in which windows it was and after which hit it ended: a score
depends on nothing but the row, so nothing that is written meanwhile moves what is still to come.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from datetime import datetime

import msgspec

from trialogue import Hit, HitKind, HitPage, InvalidError, SearchQuery, box_of, query_words
from trialogue_sqlite import _search_sql as sql
from trialogue_sqlite._driver import Connection, Value
from trialogue_sqlite._facts import message_match, owner_match
from trialogue_sqlite._looking import Look
from trialogue_sqlite._text import text_match

#: Rows of a window.
WINDOW = 1_000
#: Above every row.
_TOP = 2**62
_ORDER: tuple[HitKind, ...] = ("message", "title", "file")


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where a page ended: the windows' newest rows, by kind, and the last hit in them."""

    uppers: dict[HitKind, int]
    after: tuple[float, int, int] | None = None


def read_hits(
    connection: Connection, owner: str, query: SearchQuery, limit: int, cursor: str | None, now: datetime
) -> HitPage:
    """A page of what matches. Raises ``InvalidError`` for a cursor that is not ours."""
    search = _Search(connection, owner, query, now)
    place = search.start() if cursor is None else parse_place(cursor)
    found: list[tuple[Hit, Place]] = []
    for hit, after in search.hits(place):
        found.append((hit, after))
        if len(found) > limit:
            break
    shown = found[: max(limit, 0)]
    more = write_place(shown[-1][1]) if shown and len(found) > limit else None
    return HitPage(tuple(hit for hit, _ in shown), more, "newest" if search.partial or cursor else "all")


class _Search:
    def __init__(self, connection: Connection, owner: str, query: SearchQuery, now: datetime) -> None:
        self._connection = connection
        self._query = query
        self._words = query_words(query.text)
        self._look = Look(connection, owner, query, self._words)
        #: Whether older matches than those that were ranked together are left.
        self.partial = False
        self._values: dict[str, Value] = {"owner": owner, "limit": WINDOW + 1, "words": len(self._words)}
        if query.near is not None:
            self._values |= box_of(query.near)
        text = text_match(self._words) + " AND " if self._words else ""
        self._matches = {
            "message": text + message_match(owner, query, now.date()),
            "title": text + owner_match(owner),
            "file": text + owner_match(owner),
        }

    def start(self) -> Place:
        wanted = self._words or self._query.near is not None
        return Place({kind: _TOP for kind in _ORDER if wanted and kind in self._query.kinds and self._statement(kind)})

    def hits(self, place: Place) -> Iterator[tuple[Hit, Place]]:
        """What may be shown from a place on, each with the place after it."""
        while place.uppers:
            keys, older = self._ranked(place)
            self.partial = self.partial or bool(older)
            for key in keys:
                score, order, n = key
                hit = self._look(_ORDER[order], n, -score)
                if hit is not None:
                    yield hit, Place(place.uppers, key)
            place = Place(older)

    def _ranked(self, place: Place) -> tuple[list[tuple[float, int, int]], dict[HitKind, int]]:
        """The rows of the windows after ``place``, best first, and the windows below them."""
        keys: list[tuple[float, int, int]] = []
        older: dict[HitKind, int] = {}
        for kind, upper in place.uppers.items():
            rows = self._window(kind, upper)
            if len(rows) > WINDOW:
                older[kind] = rows.pop()[0]
            # A negated score goes before, and of equal ones the newer row.
            keys += [(-score, _ORDER.index(kind), n) for n, score in rows]
        keys.sort(key=_rank)
        after = place.after
        return (keys if after is None else [key for key in keys if _rank(key) > _rank(after)]), older

    def _window(self, kind: HitKind, upper: int) -> list[tuple[int, float]]:
        values = self._values | {"match": self._matches[kind], "upper": upper}
        statement = self._statement(kind)
        return [] if statement is None else self._connection.execute(statement, values).fetchall()

    def _statement(self, kind: HitKind) -> str | None:
        """What reads a window; ``None`` when a filter leaves the kind out."""
        query, words, near = self._query, bool(self._words), self._query.near is not None
        spoken = query.role is not None or query.model is not None
        match kind:
            case "message":
                return (sql.MESSAGES_NEAR if near else sql.MESSAGES) if words else sql.PLACED_MESSAGES
            case "title":
                return sql.TITLES if words and not near and not spoken else None
            case "file":
                if spoken or query.conversation is not None:
                    return None
                return (sql.FILES_NEAR if near else sql.FILES) if words else sql.PLACED_FILES


def _rank(key: tuple[float, int, int]) -> tuple[float, int, int]:
    score, order, n = key
    return score, order, -n


def write_place(place: Place) -> str:
    """A place as a cursor."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode()


def parse_place(cursor: str) -> Place:
    """The place that a cursor spells. Raises ``InvalidError``."""
    try:
        place = msgspec.json.decode(base64.urlsafe_b64decode(cursor.encode()), type=Place)
    except (ValueError, binascii.Error, msgspec.MsgspecError) as error:
        raise InvalidError(f"{cursor[:64]!r} is not a cursor of this search: leave it out to start over") from error
    numbers = [*place.uppers.values(), *(place.after[1:] if place.after else ())]
    if any(not 0 <= number <= _TOP for number in numbers) or (place.after and place.after[1] >= len(_ORDER)):
        raise InvalidError(f"{cursor[:64]!r} is not a cursor of this search: leave it out to start over")
    return place
