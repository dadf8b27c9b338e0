"""Whether the database has gone backwards while nodes are up: looked at now and then, as at every start (I12)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from trialogue_postgres._database import Database

#: The timeline changes when a server is promoted, and with a restored folder; a start that noticed raised the generation.
_LOOK = """
SELECT (SELECT value FROM store WHERE key = 'generation'), (SELECT value FROM store WHERE key = 'whereabouts'),
    CASE WHEN pg_is_in_recovery() THEN '' ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END
"""


class Generation:
    """Looks at it. ``count`` has a start's look at the database done again, and raises it if need be; ``tell`` is told."""

    def __init__(self, database: Database, count: Callable[[], Awaitable[int]], tell: Callable[[int], None]) -> None:
        self._database = database
        self._count = count
        self._tell = tell

    async def look(self) -> int:
        """What it is. Raises ``StorageError``."""
        ((stored, whereabouts, timeline),) = await self._database.read(_LOOK)
        elsewhere = timeline and str(whereabouts).split("/")[1] not in ("?", timeline)
        generation = await self._count() if elsewhere else int(stored)
        self._tell(generation)
        return generation
