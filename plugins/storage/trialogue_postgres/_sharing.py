"""The facets for public links and for imports."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from trialogue import ImportJob, Imports, NotFoundError, Share, Shares
from trialogue_postgres import _sharing_sql as sql
from trialogue_postgres._connection import TrioConnection
from trialogue_postgres._database import Database, send
from trialogue_postgres._rows import body_of

_decode_share = msgspec.json.Decoder(Share).decode
_decode_job = msgspec.json.Decoder(ImportJob).decode


class PostgresShares(Shares):
    """See ``trialogue.Shares``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, share: Share) -> Share:
        values = {
            "id": share.id,
            "token": share.token,
            "conversation": share.conversation,
            "body": body_of(share),
        }

        async def work(connection: TrioConnection) -> Share:
            async with connection.pipeline(), connection.transaction():
                await send(connection, sql.ADD_SHARE, values)
                row = await (await send(connection, sql.SHARE, values)).fetchone()
            if row is None:
                raise NotFoundError(f"there is no conversation {share.conversation!r}")
            return _decode_share(row[0])

        return await self._database.commit(work)

    async def of(self, conversation: str) -> Sequence[Share]:
        found = await self._database.read(sql.SHARES, {"conversation": conversation})
        return [_decode_share(body) for (body,) in found]

    async def find(self, token: str) -> Share | None:
        row = await self._database.first(sql.SHARE_BY_TOKEN, {"token": token})
        return None if row is None else _decode_share(row[0])

    async def drop(self, conversation: str, share: str) -> bool:
        return bool(await self._database.execute(sql.DROP_SHARE, {"conversation": conversation, "id": share}))


class PostgresImports(Imports):
    """See ``trialogue.Imports``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, job: ImportJob) -> bool:
        values = {
            "id": job.id,
            "owner": job.owner,
            "open": job.open,
            "cancelled": job.state == "cancelled",
            "body": body_of(job),
        }

        async def work(connection: TrioConnection) -> bool:
            async with connection.pipeline(), connection.transaction():
                stored = await send(connection, sql.PUT_IMPORT, values)
                await send(connection, sql.DROP_OLD_IMPORTS, {"owner": job.owner})
                return await stored.fetchone() is not None

        return await self._database.commit(work)

    async def get(self, job: str) -> ImportJob | None:
        row = await self._database.first(sql.IMPORT, {"id": job})
        return None if row is None else _decode_job(row[0])

    async def of(self, owner: str, limit: int) -> Sequence[ImportJob]:
        found = await self._database.read(sql.IMPORTS, {"owner": owner, "limit": max(limit, 0)})
        return [_decode_job(body) for (body,) in found]

    async def forget(self, owner: str) -> None:
        await self._database.execute(sql.FORGET_IMPORTS, {"owner": owner})

    async def unfinished(self) -> Sequence[ImportJob]:
        return [_decode_job(body) for (body,) in await self._database.read(sql.OPEN_IMPORTS)]
