"""The connections that read. What is small and goes by an index is read in the loop: handing it to a thread costs forty
times more than reading it. What may grow is read in a thread, braked: it ends when its caller is cancelled or time is up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import apsw
import trio

from trialogue import ClosedError, StorageError
from trialogue_sqlite._driver import Connection, connect
from trialogue_sqlite._errors import storage_error
from trialogue_sqlite._relevance import add_relevance

T = TypeVar("T")

#: Scans at a time: more would only take the cores away from the loop.
SCANS = 4
#: Longest scan, in seconds.
LONGEST = 5.0
#: Reads in the loop after which others have their turn.
TURN = 16
#: Steps of SQLite's machine between two looks at the brake: some tenths of a millisecond.
BRAKE = 20_000


class Readers:
    """Read-only connections to the database at ``path``: one for the loop, a few for threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._near = open_reader(path)
        self._limiter = trio.CapacityLimiter(SCANS)
        #: Connections that no thread uses; made when first wanted.
        self._idle: list[Connection] = []
        self._closed = False
        # In the loop, so far.
        self._reads = 0

    def __repr__(self) -> str:
        return f"<Readers {str(self._path)!r} scanning={self._limiter.borrowed_tokens} idle={len(self._idle)}>"

    async def near(self, read: Callable[[Connection], T]) -> T:
        """Read in the loop. Raises ``StorageError``, ``ClosedError``."""
        # Giving way costs as much as the read: who reads once need not, who reads on and on does now and then.
        self._reads += 1
        if self._reads % TURN:
            await trio.lowlevel.checkpoint_if_cancelled()
        else:
            await trio.lowlevel.checkpoint()
        if self._closed:
            raise ClosedError("the store is closed")
        try:
            return read(self._near)
        except apsw.Error as error:
            raise storage_error(error, self._path) from error

    async def far(self, read: Callable[[Connection], T]) -> T:
        """Read in a thread. Raises ``StorageError``, ``ClosedError``."""
        if self._closed:
            await trio.lowlevel.checkpoint()
            raise ClosedError("the store is closed")
        return await trio.to_thread.run_sync(self._scan, read, limiter=self._limiter)

    def _scan(self, read: Callable[[Connection], T]) -> T:
        end = time.monotonic() + LONGEST

        def brake() -> bool:
            trio.from_thread.check_cancelled()
            return time.monotonic() > end

        try:
            connection = self._idle.pop() if self._idle else open_reader(self._path)
            try:
                connection.set_progress_handler(brake, BRAKE)
                return read(connection)
            finally:
                connection.set_progress_handler(None)
                self._put_back(connection)
        except apsw.Error as error:
            raise storage_error(error, self._path) from error

    def _put_back(self, connection: Connection) -> None:
        if self._closed or connection.in_transaction:
            connection.close()  # Forcibly, so that no unfinished read holds the log of changes back.
        else:
            self._idle.append(connection)

    def close(self) -> None:
        """Close what is idle; a connection in use is closed by its thread."""
        self._closed = True
        self._near.close()
        while self._idle:
            self._idle.pop().close()


def open_reader(path: Path) -> Connection:
    """A connection that cannot write."""
    try:
        connection = connect(path, write=False)
        connection.pragma("query_only", True)
        add_relevance(connection)
    except apsw.Error as error:
        raise StorageError(f"the database {str(path)!r} cannot be opened to read: {error}") from error
    return connection
