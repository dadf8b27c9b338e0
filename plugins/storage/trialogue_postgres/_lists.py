"""Lists of conversations: which statement a set of filters needs, and where a page goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from trialogue import ConversationPage, moment_cursor, moment_in
from trialogue_postgres import _sql as sql
from trialogue_postgres._connection import text_bytes
from trialogue_postgres._database import Database
from trialogue_postgres._reads import decoded
from trialogue_postgres._rows import decode_header
from trialogue_postgres._text import query_of

_START = datetime(1970, 1, 1, tzinfo=UTC)


def list_statement(wanted: Sequence[str]) -> str:
    """The statement of a list that is filtered as ``wanted`` says, by names of ``LIST_FILTERS``."""
    begin = sql.LIST_TRASHED if "trashed" in wanted else sql.LIST
    if "match" in wanted:
        begin = sql.LIST_MATCHES + begin
    filters = "".join(sql.LIST_FILTERS[name] for name in wanted if name != "trashed")
    return sql.LIST_PAGE.format(begin + filters + sql.LIST_END)


async def read_list(
    database: Database,
    owner: str,
    limit: int,
    cursor: str | None,
    *,
    archived: bool | None,
    pinned: bool | None,
    folder: str | None,
    text: str | None,
    trashed: bool,
    size: int,
) -> ConversationPage:
    """A page of a list, as ``Store.conversations`` says."""
    wanted = ["trashed"] if trashed else []
    values: dict[str, object] = {"owner": owner, "limit": max(limit, 0), "size": size}
    if archived is not None:
        wanted.append("archived")
        values["archived"] = archived
    if pinned is not None:
        wanted.append("pinned" if pinned else "unpinned")
    if folder is not None:
        wanted.append("folder")
        values["folder"] = folder
    if cursor is not None:
        wanted.append("cursor")
        values["updated"], values["id"] = parse_list_cursor(cursor)
    if text is not None:
        match = query_of(text)
        if match is None:
            await database.nothing()
            return ConversationPage((), None)
        wanted.append("match")
        values["match"] = f"({match}) & {owner_lexeme(owner)}"
    found = await database.read(list_statement(wanted), values)
    page = [row for row in found if row[2] is not None]
    more = list_cursor(page[-1][0], page[-1][1]) if page and len(found) > len(page) else None
    return ConversationPage(tuple(await decoded(decode_header, [body for _, _, body in page])), more)


def owner_lexeme(owner: str) -> str:
    """The owner as a ``tsquery``: all that is found has a hash of the owner as a word that no text has."""
    return f"'={hashlib.md5(text_bytes(owner), usedforsecurity=False).hexdigest()}'"


def list_cursor(updated: datetime, name: str) -> str:
    """What continues a list after this row."""
    return moment_cursor((updated - _START) // timedelta(microseconds=1), name)


def parse_list_cursor(cursor: str) -> tuple[datetime, str]:
    """The place that ``list_cursor`` spelled. Raises ``InvalidError``."""
    micros, name = moment_in(cursor)
    return _START + timedelta(microseconds=micros), name
