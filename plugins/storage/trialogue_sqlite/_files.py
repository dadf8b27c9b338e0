"""The facet for files: rows of what was uploaded, room for uploads, and which content is still needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial

import msgspec

from trialogue import File, FilePage, Files, QuotaError, Space, StorageError, moment_cursor, moment_in, separated
from trialogue_sqlite import _files_sql as sql
from trialogue_sqlite._driver import Connection, Value
from trialogue_sqlite._facts import owner_word
from trialogue_sqlite._readers import Readers
from trialogue_sqlite._rows import body_of, micros
from trialogue_sqlite._writer import Writer

_decode = msgspec.json.Decoder(File).decode


class SQLiteFiles(Files):
    """See ``trialogue.Files``."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    async def reserve(self, upload: str, owner: str, size: int, *, quota: int, at: datetime, until: datetime) -> None:
        values = (upload, owner, size, micros(until))
        await self._writer.run(partial(_reserve, values=values, quota=quota, at=micros(at)))

    async def release(self, upload: str) -> None:
        await self._writer.run(lambda connection: connection.execute(sql.DROP_UPLOAD, (upload,)))

    async def space(self, owner: str, at: datetime) -> Space:
        return await self._readers.near(lambda found: Space(*found.execute(sql.SPACE, (owner, micros(at))).fetchone()))

    async def add(self, upload: str, files: Sequence[File]) -> None:
        await self._writer.run(partial(_add, upload=upload, files=files))

    async def file(self, file: str) -> File | None:
        return await self._readers.near(partial(_read, file=file))

    async def page(
        self,
        owner: str,
        *,
        limit: int,
        cursor: str | None = None,
        name: str | None = None,
        media_type: str | None = None,
    ) -> FilePage:
        read = partial(_read_page, owner=owner, limit=limit, cursor=cursor, name=name, media_type=media_type)
        # Filters may skip any number of rows before a page is full.
        small = limit <= 100 and name is None and media_type is None
        return await (self._readers.near(read) if small else self._readers.far(read))

    async def drop(self, file: str) -> bool:
        return await self._writer.run(lambda connection: connection.execute(sql.DROP_FILE, (file,)).get is not None)

    async def drop_owner(self, owner: str, limit: int) -> int:
        return await self._writer.run(partial(_drop_owner, owner=owner, limit=limit))

    async def pending(self, limit: int) -> Sequence[File]:
        return await self._readers.near(
            lambda found: [_decode(body) for (body,) in found.execute(sql.PENDING, (max(limit, 0),))]
        )

    async def learn(self, file: File, text: str | None) -> bool:
        return await self._writer.run(partial(_learn, file=file, text=text))

    async def text(self, file: str, limit: int) -> str | None:
        found = await self._readers.far(lambda found: found.execute(sql.TEXT, (file, max(limit, 0))).get)
        return None if found is None else str(found)

    async def keep(self, digests: Sequence[str], until: datetime) -> Sequence[str]:
        return await self._writer.run(partial(_keep, digests=digests, until=micros(until)))

    async def doomed(self, at: datetime, limit: int) -> Sequence[str]:
        return await self._writer.run(partial(_doom, at=micros(at), limit=max(limit, 0)))

    async def forget(self, digests: Sequence[str]) -> None:
        rows = [(bytes.fromhex(digest),) for digest in digests]
        await self._writer.run(lambda connection: connection.executemany(sql.FORGET_BLOB, rows))

    async def folder(self, fresh: str) -> tuple[str, bool]:
        return await self._writer.run(partial(_folder, fresh=fresh))


# --- room for uploads ------------------------------------------------------------------------------------------------


def _reserve(connection: Connection, values: tuple[str, str, int, int], quota: int, at: int) -> None:
    upload, owner, size, _ = values
    connection.execute(sql.DROP_EXPIRED_UPLOADS, (at,))
    used, reserved = connection.execute(sql.TAKEN, (owner, upload)).fetchone()
    if used + reserved + size > quota:
        raise QuotaError(
            f"{size} bytes more than the {used} that are stored and the {reserved} that are being uploaded exceed the "
            f"{quota} bytes allowed (files_quota_bytes): remove files that are not needed"
        )
    connection.execute(sql.PUT_UPLOAD, values)


# --- rows ------------------------------------------------------------------------------------------------------------


def _add(connection: Connection, upload: str, files: Sequence[File]) -> None:
    for file in files:
        put_file(connection, file)
    connection.execute(sql.DROP_UPLOAD, (upload,))


def put_file(connection: Connection, file: File) -> int:
    """A new file's row, and the names of its contents; its number. Raises ``ConflictError``."""
    n: int = connection.execute(
        sql.ADD_FILE,
        (
            file.id,
            file.owner,
            bytes.fromhex(file.sha256),
            file.size,
            file.name,
            file.name.casefold(),
            file.media_type,
            micros(file.created_at),
            *_columns(file),
        ),
    ).get
    _name_content(connection, n, file)
    return n


def _columns(file: File) -> tuple[Value, ...]:
    taken = None if file.taken_at is None else micros(file.taken_at)
    return (file.lat, file.lon, taken, file.text.state, body_of(file))


def _name_content(connection: Connection, n: int, file: File) -> None:
    for digest in {file.sha256, *(variant.sha256 for variant in file.variants)}:
        row = bytes.fromhex(digest)
        if connection.execute(sql.IS_DOOMED, (row,)).get != 0:
            raise StorageError(f"content {digest} was not kept until its file was stored: try again", retry_after=1.0)
        connection.execute(sql.NAME_BLOB, (n, row))


def _read(connection: Connection, file: str) -> File | None:
    body = connection.execute(sql.FILE, (file,)).get
    return None if body is None else _decode(body)


def page_statement(wanted: Iterable[str]) -> str:
    """The statement of a page that is filtered as ``wanted`` says, by names of ``PAGE_FILTERS``."""
    return sql.PAGE + "".join(sql.PAGE_FILTERS[name] for name in wanted) + sql.PAGE_END


def _read_page(
    connection: Connection, owner: str, limit: int, cursor: str | None, name: str | None, media_type: str | None
) -> FilePage:
    limit = max(limit, 0)
    values: dict[str, Value] = {"owner": owner, "limit": limit + 1}
    wanted: list[str] = []
    if name is not None:
        wanted.append("name")
        values["name"] = name.casefold()
    if media_type is not None:
        family, _, kind = media_type.partition("/")
        wanted.append("type" if kind else "family")
        values |= {"type": media_type} if kind else {"type": f"{family}/", "beyond": f"{family}0"}
    if cursor is not None:
        wanted.append("cursor")
        values["created"], values["id"] = moment_in(cursor)
    rows = connection.execute(page_statement(wanted), values).fetchall()
    more = moment_cursor(*rows[limit - 1][:2]) if len(rows) > limit > 0 else None
    return FilePage(tuple(_decode(body) for _, _, body in rows[:limit]), more)


def _drop_owner(connection: Connection, owner: str, limit: int) -> int:
    rows = connection.execute(sql.OWNED, (owner, max(limit, 0))).fetchall()
    connection.executemany(sql.DROP_BY_NUMBER, rows)
    return len(rows)


# --- what is read out of them ----------------------------------------------------------------------------------------


def _learn(connection: Connection, file: File, text: str | None) -> bool:
    row = connection.execute(sql.SET_FILE, (*_columns(file), file.id)).fetchone()
    if row is None:
        return False
    n, owner = int(row[0]), str(row[1])
    _name_content(connection, n, file)
    if text is not None:
        put_text(connection, n, owner, text)
    return True


def put_text(connection: Connection, n: int, owner: str, text: str) -> None:
    """What was read out of file ``n``, to be found by its words."""
    connection.execute(sql.DROP_WORDS, (n,))
    connection.execute(sql.ADD_WORDS, (n, owner_word(owner), separated(text)))
    connection.execute(sql.PUT_BODY, (n, text))


# --- content ---------------------------------------------------------------------------------------------------------


def _keep(connection: Connection, digests: Sequence[str], until: int) -> list[str]:
    going: list[str] = []
    for digest in digests:
        row = bytes.fromhex(digest)
        connection.execute(sql.KEEP_BLOB, (row, until))
        if connection.execute(sql.IS_DOOMED, (row,)).get:
            going.append(digest)
    return going


def _doom(connection: Connection, at: int, limit: int) -> list[str]:
    rows = connection.execute(sql.LOOSE, (at, limit)).fetchall()
    connection.executemany(sql.DOOM, rows)
    return [digest.hex() for (digest,) in rows]


def _folder(connection: Connection, fresh: str) -> tuple[str, bool]:
    known = connection.execute(sql.FOLDER).get
    if known is None:
        connection.execute(sql.SET_FOLDER, (fresh,))
    return known or fresh, bool(connection.execute(sql.ANY_BLOB).get)
