"""Searches by words and places: windows of the newest candidates, ranked, and what of them may be shown.

A window is the thousand newest rows that match. It is ranked as a whole; when it is used up, the window of the next older
ones follows on later pages. So a word that stands in half of a million messages costs what a rare one costs, and what is
found of a rare one is ranked among all. A page's cursor says in which windows it was and after which hit it ended: a score
(``ts_rank``) depends on nothing but the row, so nothing that is written meanwhile moves what is still to come.

Windows, ranks and rows come from one statement, planned for its very words: whether the newest messages are gone through,
or those with the word are looked up, depends on how common it is.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

import msgspec
import trio

from trialogue import (
    Conversation,
    File,
    Hit,
    HitKind,
    HitPage,
    InvalidError,
    Message,
    SearchQuery,
    box_of,
    file_hit,
    message_hit,
    query_words,
    title_hit,
)
from trialogue_postgres import _search_sql as sql
from trialogue_postgres._database import Database, Row
from trialogue_postgres._lists import owner_lexeme
from trialogue_postgres._text import query_of

#: Rows of a window.
WINDOW = 1_000
#: Characters of a file's text that are looked through for a snippet.
SEEN = 20_000
#: Above every row.
_TOP = 2**62
ORDER: tuple[HitKind, ...] = ("message", "title", "file")

decode_message = msgspec.json.Decoder(Message).decode
decode_header = msgspec.json.Decoder(Conversation).decode
decode_file = msgspec.json.Decoder(File).decode

#: The number of a row, as a cursor may spell it.
_Number: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=_TOP)]


class Place(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a page ended: the windows' newest rows, by kind, and the last hit in them (score, kind, row)."""

    uppers: dict[HitKind, _Number]
    after: tuple[float, Annotated[int, msgspec.Meta(ge=0, le=2)], _Number] | None = None


class Search:
    """One search of one owner's things. ``near`` is how a circle is asked for, see ``_search_sql``."""

    def __init__(self, database: Database, owner: str, query: SearchQuery, near: str) -> None:
        self._database = database
        self._query = query
        self._near = near
        self._words = query_words(query.text)
        self._text = query_of(query.text) if self._words else None
        self._values = values_of(owner, query)
        if self._text is not None:
            self._values |= {"text": self._text, "match": f"({self._text}) & {owner_lexeme(owner)}"}

    async def page(self, limit: int, cursor: str | None) -> HitPage:
        """A page of what matches. Raises ``InvalidError`` for a cursor that is not ours."""
        place = self._start() if cursor is None else self._wanted(parse_place(cursor))
        if not place.uppers:
            await self._database.nothing()
        found: list[tuple[Hit, Place]] = []
        partial, take = cursor is not None, max(limit, 0) + 1
        while place.uppers and len(found) <= limit:
            rows, older = await self._best(place, take)
            partial = partial or bool(older)
            found += [(hit, Place(place.uppers, key)) for hit, key in await self._hits(rows)]
            # As many as were asked for may not be all of these windows.
            place = Place(place.uppers, _key(rows[-1])) if len(rows) == take else Place(older)
            take = min(2 * take, max(WINDOW, take))  # Much of it is in the trash.
        page = found[: max(limit, 0)]
        more = write_place(page[-1][1]) if page and len(found) > limit else None
        return HitPage(tuple(hit for hit, _ in page), more, "newest" if partial else "all")

    def _start(self) -> Place:
        return self._wanted(Place(dict.fromkeys(ORDER, _TOP)))

    def _wanted(self, place: Place) -> Place:
        """A place without the windows that this search has not, whoever wrote it."""
        if self._text is None and (self._words or self._query.near is None):
            return Place({})
        return Place({kind: upper for kind, upper in place.uppers.items() if self._wants(kind)}, place.after)

    def _wants(self, kind: HitKind) -> bool:
        """Whether no filter leaves the kind out."""
        query = self._query
        if kind not in query.kinds:
            return False
        match kind:
            case "message":
                return True
            case "title":
                return self._text is not None and query.near is None and query.role is None and query.model is None
            case "file":
                return query.role is None and query.model is None and query.conversation is None

    async def _best(self, place: Place, take: int) -> tuple[list[Row], dict[HitKind, int]]:
        """The best rows after a place, and the windows below its own."""
        kinds: list[HitKind] = [kind for kind in ORDER if kind in place.uppers]
        score, order, n = place.after or (0.0, 0, 0)
        values = self._values | {
            "window": WINDOW,
            "take": take,
            "seen": SEEN,
            "begins": place.after is None,
            "score": score,
            "place": order,
            "n": n,
            **{f"upper{ORDER.index(kind)}": upper for kind, upper in place.uppers.items()},
        }
        rows = await self._database.read(best_statement(self._query, kinds, self._near), values, planned=False)
        below = rows[0][:3]
        older: dict[HitKind, int] = {kind: upper for kind, upper in zip(ORDER, below, strict=True) if upper is not None}
        return [row for row in rows if row[4] is not None], older

    async def _hits(self, rows: list[Row]) -> list[tuple[Hit, tuple[float, int, int]]]:
        """What may be shown of rows, each with its place."""

        def look() -> list[tuple[Hit, tuple[float, int, int]]]:
            found = [(self._hit(row), _key(row)) for row in rows if row[6] is not None]
            return [(hit, key) for hit, key in found if hit is not None]

        return await trio.to_thread.run_sync(look, abandon_on_cancel=True) if rows else []

    def _hit(self, row: Row) -> Hit | None:
        _, _, _, place, _, score, body, conversation, header, text = row
        query, words = self._query, self._words
        kind = ORDER[int(place)]
        match kind:
            case "message":
                if conversation is None:
                    return None
                title = decode_header(header).title
                return message_hit(decode_message(body), conversation, title, query, words, score)
            case "title":
                return title_hit(decode_header(body), query, words, score)
            case "file":
                return file_hit(decode_file(body), text or "", query, words, score)


def _key(row: Row) -> tuple[float, int, int]:
    return row[5], row[3], row[4]


def values_of(owner: str, query: SearchQuery) -> dict[str, Any]:  # Any: values of a statement, each of its own type.
    """The values of the filters."""
    values: dict[str, Any] = {
        "owner": owner,
        "conversation": query.conversation,
        "role": query.role,
        "model": query.model,
        "since": query.since,
        "until": query.until,
    }
    return values | (box_of(query.near) if query.near is not None else {})


def filters_of(kind: HitKind, query: SearchQuery) -> str:
    """The conditions that the query's filters are for a kind, but for the circle."""
    return "".join(part for name, part in sql.FILTERS[kind].items() if getattr(query, name) is not None)


def best_statement(query: SearchQuery, kinds: Sequence[HitKind], near: str) -> str:
    """The statement for the best of the windows of some kinds."""
    windows = ", ".join(f"{kind}_window AS MATERIALIZED ({_window(kind, query, near)})" for kind in kinds)
    limits = {kind: sql.BELOW.format(f"{kind}_window") if kind in kinds else "NULL::bigint" for kind in ORDER}
    ranked = " UNION ALL ".join(
        sql.RANKED.format(f"{kind}_window", ORDER.index(kind), sql.BELOW.format(f"{kind}_window")) for kind in kinds
    )
    return f"WITH {windows} " + sql.BEST.format(below=", ".join(limits.values()), ranked=ranked)


def _window(kind: HitKind, query: SearchQuery, near: str) -> str:
    alias, has_words = sql.ALIAS[kind], query_of(query.text) is not None
    match = sql.MATCH.get(kind, "") if has_words else "true"
    score = sql.RANK[kind] if has_words else "-" + sql.METRES.format(alias)
    begin = {"message": sql.WINDOW_MESSAGES, "title": sql.WINDOW_TITLES, "file": sql.WINDOW_FILES}[kind]
    place = f" AND {near.format(alias)}" if query.near is not None else ""
    return begin.format(score=score, match=match) + filters_of(kind, query) + place + sql.WINDOW_END.format(alias)


def write_place(place: Place) -> str:
    """A place as a cursor."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode()


def parse_place(cursor: str) -> Place:
    """The place that a cursor spells. Raises ``InvalidError``."""
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor.encode()), type=Place)
    except (ValueError, binascii.Error, msgspec.MsgspecError) as error:
        raise InvalidError(f"{cursor[:64]!r} is not a cursor of this search: leave it out to start over") from error
