"""The one thread that writes. Jobs that arrive while it commits go together with the next commit.

A job is a function of the connection. It runs inside a transaction, under a savepoint of its own when there are several, so
that one that fails takes nothing of the others with it. The loop is woken once per commit, not once per job. A job that was
queued is not cancelled: its caller waits and learns what became of it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

import apsw
import trio

from trialogue import ClosedError
from trialogue_sqlite._driver import Connection
from trialogue_sqlite._errors import TROUBLE, storage_error

T = TypeVar("T")

#: Jobs in one commit: enough to share the disk's time among all that wait, few enough to keep each wait short.
MOST = 512


class Job(Generic[T]):
    """A write that waits, and what became of it."""

    __slots__ = ("alone", "error", "run", "task", "value")

    value: T

    def __init__(self, run: Callable[[Connection], T], alone: Callable[[Connection], T] | None) -> None:
        self.run = run
        #: How to do it when there is no other: without a transaction around it, having its own.
        self.alone = alone
        self.task = trio.lowlevel.current_task()
        self.error: BaseException | None = None


class Writer:
    """See the module. ``close`` ends it, and closes the connection, when all that is queued is done."""

    def __init__(self, connection: Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._token = trio.lowlevel.current_trio_token()
        # Any: jobs of every type; None is the end.
        self._queue: SimpleQueue[Job[Any] | None] = SimpleQueue()
        self._ended = trio.Event()
        self._closed = False
        self.commits = self.jobs = 0
        self._thread = threading.Thread(target=self._main, name="trialogue-sqlite-writer", daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        return f"<Writer {str(self._path)!r} waiting={self.waiting} commits={self.commits}>"

    @property
    def waiting(self) -> int:
        """Jobs that no commit has taken up."""
        return self._queue.qsize()

    async def run(self, work: Callable[[Connection], T], alone: Callable[[Connection], T] | None = None) -> T:
        """Have ``work`` done and committed; returns or raises what it did. Raises ``StorageError``, ``ClosedError``."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._closed:
            raise ClosedError("the store is closed")
        job = Job(work, alone)
        self._queue.put(job)
        await trio.lowlevel.wait_task_rescheduled(_not_now)
        if job.error is not None:
            raise job.error
        return job.value

    async def close(self) -> None:
        """Do what is queued, take nothing more, end the thread."""
        self._closed = True
        self._queue.put(None)
        await self._ended.wait()

    # --- in the thread -------------------------------------------------------------------------------------------

    def _main(self) -> None:
        going = True
        while going:
            batch, going = self._take()
            if batch:
                self._commit(batch)
                self._tell(_wake, batch)
        # The last connection copies the log into the database as it closes: not in the loop.
        with contextlib.suppress(apsw.Error):
            self._connection.close()
        self._tell(lambda _: self._ended.set(), [])

    def _tell(self, function: Callable[[list[Job[Any]]], None], batch: list[Job[Any]]) -> None:
        with contextlib.suppress(trio.RunFinishedError):  # Nobody is left to be told.
            self._token.run_sync_soon(function, batch)

    def _take(self) -> tuple[list[Job[Any]], bool]:
        batch: list[Job[Any]] = []
        job = self._queue.get()
        while job is not None:
            batch.append(job)
            if len(batch) == MOST:
                return batch, True
            try:
                job = self._queue.get_nowait()
            except Empty:
                return batch, True
        return batch, False

    def _commit(self, batch: list[Job[Any]]) -> None:
        self.commits += 1
        self.jobs += len(batch)
        try:
            if len(batch) == 1 and batch[0].alone is not None:
                batch[0].value = batch[0].alone(self._connection)
            else:
                self._transact(batch)
        except Exception as error:
            if self._connection.in_transaction:
                with contextlib.suppress(apsw.Error):
                    self._connection.execute("ROLLBACK")
            for job in batch:
                job.error = self._told(error)

    def _transact(self, batch: list[Job[Any]]) -> None:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        for job in batch:
            execute("SAVEPOINT job")
            try:
                job.value = job.run(self._connection)
            except TROUBLE:
                raise  # Of the storage, hence of all of them; SQLite may have rolled back already.
            except Exception as error:
                job.error = self._told(error)
                execute("ROLLBACK TO job")
            execute("RELEASE job")
        execute("COMMIT")

    def _told(self, error: Exception) -> Exception:
        return storage_error(error, self._path) if isinstance(error, apsw.Error) else error


def _not_now(_: object) -> trio.lowlevel.Abort:
    return trio.lowlevel.Abort.FAILED


def _wake(batch: list[Job[Any]]) -> None:
    for job in batch:
        trio.lowlevel.reschedule(job.task)
