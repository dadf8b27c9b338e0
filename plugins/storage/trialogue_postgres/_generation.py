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
    """The generation as it is now. ``count`` has a start's look at the database done again, and raises it if need be."""

    def __init__(self, database: Database, generation: int, count: Callable[[], Awaitable[int]]) -> None:
        self.value: int = generation
        self._database = database
        self._count = count

    async def look(self) -> int:
        """What it is. Raises ``StorageError``."""
        row = await self._database.first(_LOOK)
        if row is not None:
            stored, whereabouts, timeline = row
            if timeline and str(whereabouts).split("/")[1] not in ("?", timeline):
                self.value = await self._count()
            elif stored is not None:
                self.value = int(stored)
        return self.value
