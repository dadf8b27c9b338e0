"""Whether the database has gone backwards while nodes are up: looked at now and then, as at every start (I12).

It is looked at on each new connection too, before anything else is done there: what was promoted is another server, to which
no connection of before leads. So whatever is read of the new history is read by who knows that it is one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from trialogue_postgres._connection import TrioConnection
from trialogue_postgres._database import Database, Row, rows

#: The timeline changes when a server is promoted, and with a restored folder; a start that noticed raised the generation.
_LOOK = """
SELECT (SELECT value FROM store WHERE key = 'generation'), (SELECT value FROM store WHERE key = 'whereabouts'),
    CASE WHEN pg_is_in_recovery() THEN '' ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END
"""


class Generation:
    """Looks at it. ``count`` has a start's look at the database done again, and raises it if need be; ``tell`` is told."""

    def __init__(
        self, database: Database, count: Callable[[TrioConnection], Awaitable[int]], tell: Callable[[int], None]
    ) -> None:
        self._database = database
        self._count = count
        self._tell = tell

    async def look(self) -> int:
        """What it is. Raises ``StorageError``."""
        (found,) = await self._database.read(_LOOK)
        return self._learn(await self._database.commit(self._count) if _has_moved(found) else int(found[0]))

    async def look_on(self, connection: TrioConnection) -> int:
        """The same, on a connection that was just opened. Raises ``psycopg.Error``."""
        (found,) = await rows(connection, _LOOK)
        return self._learn(await self._count(connection) if _has_moved(found) else int(found[0]))

    def _learn(self, generation: int) -> int:
        self._tell(generation)
        return generation


def _has_moved(found: Row) -> bool:
    """Whether the server is on another timeline than the one where it was counted last."""
    _, whereabouts, timeline = found
    return bool(timeline) and str(whereabouts).split("/")[1] not in ("?", timeline)
