"""The facet for files: rows of what was uploaded, room for uploads, and which content is still needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec
import trio

from trialogue import File, FilePage, Files, QuotaError, Space, StorageError
from trialogue_postgres import _files_sql as sql
from trialogue_postgres._connection import TrioConnection
from trialogue_postgres._database import Database, first_row, rows, send
from trialogue_postgres._lists import list_cursor, parse_list_cursor
from trialogue_postgres._reads import decoded
from trialogue_postgres._rows import body_of
from trialogue_postgres._text import lexemes

_decode = msgspec.json.Decoder(File).decode
#: Characters of a text, as many as any has.
_ALL = 2**31 - 1


class PostgresFiles(Files):
    """See ``trialogue.Files``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- room for uploads ----------------------------------------------------------------------------------------

    async def reserve(self, upload: str, owner: str, size: int, *, quota: int, at: datetime, until: datetime) -> None:
        values = {"id": upload, "owner": owner, "size": size, "at": at, "until": until}

        async def work(connection: TrioConnection) -> None:
            async with connection.pipeline(), connection.transaction():
                await send(connection, sql.DROP_EXPIRED_UPLOADS, values)
                await send(connection, sql.LOCK_SPACE, values)
                # A statement of its own: it sees what was committed while the lock was waited for.
                cursor = await send(connection, sql.TAKEN, values)
                used, reserved = (await cursor.fetchall())[0]
                if used + reserved + size > quota:
                    raise QuotaError(
                        f"{size} bytes more than the {used} that are stored and the {reserved} that are being uploaded "
                        f"exceed the {quota} bytes allowed (files_quota_bytes): remove files that are not needed"
                    )
                await send(connection, sql.PUT_UPLOAD, values)

        await self._database.commit(work)

    async def release(self, upload: str) -> None:
        await self._database.execute(sql.DROP_UPLOAD, {"id": upload})

    async def space(self, owner: str, at: datetime) -> Space:
        return Space(*(await self._database.read(sql.SPACE, {"owner": owner, "at": at}))[0])

    # --- rows ----------------------------------------------------------------------------------------------------

    async def add(self, upload: str, files: Sequence[File]) -> None:
        async def work(connection: TrioConnection) -> None:
            async with connection.pipeline(), connection.transaction():
                await put_files(connection, files)
                await send(connection, sql.DROP_UPLOAD, {"id": upload})

        await self._database.commit(work)

    async def file(self, file: str) -> File | None:
        row = await self._database.first(sql.FILE, {"id": file})
        return None if row is None else _decode(row[0])

    async def page(
        self,
        owner: str,
        *,
        limit: int,
        cursor: str | None = None,
        name: str | None = None,
        media_type: str | None = None,
    ) -> FilePage:
        limit = max(limit, 0)
        values: dict[str, object] = {"owner": owner, "limit": limit + 1}
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
            values["created"], values["id"] = parse_list_cursor(cursor)
        found = await self._database.read(page_statement(wanted), values)
        more = list_cursor(*found[limit - 1][:2]) if len(found) > limit > 0 else None
        return FilePage(tuple(await decoded(_decode, [body for _, _, body in found[:limit]])), more)

    async def drop(self, file: str) -> bool:
        return bool(await self._database.execute(sql.DROP_FILE, {"id": file}))

    async def drop_owner(self, owner: str, limit: int) -> int:
        return len(await self._database.execute(sql.DROP_SOME, {"owner": owner, "limit": max(limit, 0)}))

    # --- what is read out of them --------------------------------------------------------------------------------

    async def pending(self, limit: int) -> Sequence[File]:
        found = await self._database.read(sql.PENDING, {"limit": max(limit, 0)})
        return await decoded(_decode, [body for (body,) in found])

    async def learn(self, file: File, text: str | None) -> bool:
        words = "" if text is None else await trio.to_thread.run_sync(lexemes, text, abandon_on_cancel=True)

        async def work(connection: TrioConnection) -> bool:
            about = {"id": file.id, "pending": file.text.state == "pending", "body": body_of(file)}
            if not await rows(connection, sql.SET_FILE, {**about, "lat": file.lat, "lon": file.lon}):
                return False
            async with connection.pipeline():
                await _name_content(connection, [file])
                if text is not None:
                    await put_text(connection, file.id, text, words)
            return True

        return await self._database.write(work)

    async def text(self, file: str, limit: int) -> str | None:
        row = await self._database.first(sql.TEXT, {"id": file, "limit": min(max(limit, 0), _ALL)})
        return None if row is None else str(row[0])

    # --- content -------------------------------------------------------------------------------------------------

    async def keep(self, digests: Sequence[str], until: datetime) -> Sequence[str]:
        values = {"digests": [bytes.fromhex(digest) for digest in {*digests}], "until": until}
        kept = {digest.hex() for (digest,) in await self._database.execute(sql.KEEP_BLOBS, values)}
        return [digest for digest in digests if digest not in kept]

    async def doomed(self, at: datetime, limit: int) -> Sequence[str]:
        found = await self._database.execute(sql.DOOM, {"at": at, "limit": max(limit, 0)})
        return [digest.hex() for (digest,) in found]

    async def forget(self, digests: Sequence[str]) -> None:
        await self._database.execute(sql.FORGET_BLOBS, {"digests": [bytes.fromhex(digest) for digest in digests]})

    async def folder(self, fresh: str) -> tuple[str, bool]:
        async def work(connection: TrioConnection) -> tuple[str, bool]:
            await send(connection, sql.SET_FOLDER, {"fresh": fresh})
            row = await first_row(connection, sql.FOLDER)
            assert row is not None, "it was just written, or was there"
            return str(row[0]), bool(row[1])

        return await self._database.write(work)


def page_statement(wanted: Iterable[str]) -> str:
    """The statement of a page that is filtered as ``wanted`` says, by names of ``PAGE_FILTERS``."""
    return sql.PAGE + "".join(sql.PAGE_FILTERS[name] for name in wanted) + sql.PAGE_END


async def put_files(connection: TrioConnection, files: Sequence[File]) -> None:
    """Rows of new files, and the names of their contents. Raises ``StorageError`` as ``Files.add`` does."""
    await send(connection, sql.ADD_FILES, _columns(files))
    await _name_content(connection, files)


async def put_text(connection: TrioConnection, file: str, text: str, words: str) -> None:
    """What was read out of a file, and its words as ``lexemes`` gives them."""
    await send(connection, sql.PUT_BODY, {"id": file, "text": text, "words": words})


def _columns(files: Sequence[File]) -> dict[str, list[object]]:
    return {
        "ids": [file.id for file in files],
        "owners": [file.owner for file in files],
        "sizes": [file.size for file in files],
        "folded": [file.name.casefold() for file in files],
        "media_types": [file.media_type for file in files],
        "created": [file.created_at for file in files],
        "lats": [file.lat for file in files],
        "lons": [file.lon for file in files],
        "pending": [file.text.state == "pending" for file in files],
        "bodies": [body_of(file) for file in files],
    }


async def _name_content(connection: TrioConnection, files: Sequence[File]) -> None:
    """Have the files name their content. Raises ``StorageError`` when some of it is not there, or is going."""
    names = [(file.id, digest) for file in files for digest in {file.sha256, *(v.sha256 for v in file.variants)}]
    digests = [bytes.fromhex(digest) for _, digest in names]
    cursor = await send(connection, sql.LOCK_BLOBS, {"digests": digests})
    missing = {*digests} - {digest for (digest,) in await cursor.fetchall()}
    if missing:
        raise StorageError(
            f"content {min(missing).hex()} was not kept until its file was stored: try again", retry_after=1.0
        )
    await send(connection, sql.NAME_BLOBS, {"files": [file for file, _ in names], "digests": digests})
