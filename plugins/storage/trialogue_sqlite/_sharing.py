"""Public links and imports in SQLite."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from trialogue import ImportJob, Imports, NotFoundError, Share, Shares
from trialogue_sqlite import _sharing_sql as sql
from trialogue_sqlite._driver import Connection
from trialogue_sqlite._readers import Readers
from trialogue_sqlite._rows import body_of
from trialogue_sqlite._writer import Writer

_decode_share = msgspec.json.Decoder(Share).decode
_decode_job = msgspec.json.Decoder(ImportJob).decode


class SQLiteShares(Shares):
    """See ``trialogue.Shares``."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    async def add(self, share: Share) -> Share:
        def write(connection: Connection) -> Share:
            connection.execute(sql.ADD_SHARE, (share.id, share.token, body_of(share), share.conversation))
            body = connection.execute(sql.SHARE, (share.id, share.conversation)).get
            if body is None:
                raise NotFoundError(f"there is no conversation {share.conversation!r}")
            return _decode_share(body)

        return await self._writer.run(write)

    async def of(self, conversation: str) -> Sequence[Share]:
        return await self._readers.near(
            lambda connection: [_decode_share(body) for (body,) in connection.execute(sql.SHARES, (conversation,))]
        )

    async def find(self, token: str) -> Share | None:
        def read(connection: Connection) -> Share | None:
            body = connection.execute(sql.SHARE_BY_TOKEN, (token,)).get
            return None if body is None else _decode_share(body)

        return await self._readers.near(read)

    async def drop(self, conversation: str, share: str) -> bool:
        return await self._writer.run(
            lambda connection: connection.execute(sql.DROP_SHARE, (share, conversation)).get is not None
        )


class SQLiteImports(Imports):
    """See ``trialogue.Imports``."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    async def put(self, job: ImportJob) -> bool:
        def write(connection: Connection) -> bool:
            stored = connection.execute(sql.PUT_IMPORT, (job.id, job.owner, job.open, body_of(job))).get is not None
            connection.execute(sql.DROP_OLD_IMPORTS, (job.owner,))
            return stored

        return await self._writer.run(write)

    async def get(self, job: str) -> ImportJob | None:
        def read(connection: Connection) -> ImportJob | None:
            body = connection.execute(sql.IMPORT, (job,)).get
            return None if body is None else _decode_job(body)

        return await self._readers.near(read)

    async def of(self, owner: str, limit: int) -> Sequence[ImportJob]:
        return await self._read(sql.IMPORTS, (owner, max(limit, 0)))

    async def forget(self, owner: str) -> None:
        await self._writer.run(lambda connection: connection.execute(sql.FORGET_IMPORTS, (owner,)))

    async def unfinished(self) -> Sequence[ImportJob]:
        return await self._read(sql.OPEN_IMPORTS, ())

    async def _read(self, statement: str, values: tuple[str | int, ...]) -> Sequence[ImportJob]:
        return await self._readers.far(
            lambda connection: [_decode_job(body) for (body,) in connection.execute(statement, values)]
        )
