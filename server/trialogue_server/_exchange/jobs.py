"""Takes uploads in, one conversation after the other, beside the traffic.

An import is a job in the store and a file in the spool. A conversation is taken in whole or not at all, and found again by
its id when it is met a second time, when it may have grown; so a job that a restart interrupted is begun anew at the place
it had reached, and what it had done since is seen to be there. What cannot be taken in is told, and the rest goes on.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

import trio
from msgspec.structs import replace

from trialogue import (
    ClosedError,
    Engine,
    ImportJob,
    ImportState,
    LimitError,
    NotFoundError,
    Principal,
    Skipped,
    StorageError,
    ThrottledError,
    TrialogueError,
    new_id,
)
from trialogue_server._exchange.files_in import FilesIn, FoundFile
from trialogue_server._exchange.ours import SOURCE as OURS
from trialogue_server._exchange.pieces import Bounds, Found, pieces_of
from trialogue_server._exchange.progress import Progress
from trialogue_server._exchange.room import Room
from trialogue_server._exchange.spool import Spool
from trialogue_server._exchange.taking import take
from trialogue_server._http.call import Call
from trialogue_server._http.uploads import Pace

#: Imports at a time: each keeps a thread and the writer busy, and people at their conversations go first.
AT_ONCE = 2
#: Seconds before a store in trouble is tried again.
AGAIN = 2.0
#: How long another node's import may say nothing before it counts as lost with its node.
GONE = timedelta(days=1)

_log = logging.getLogger("trialogue.imports")


class ImportLimits(NamedTuple):
    """What an upload may be; the settings' names stand in the messages."""

    bytes: int
    unpacked: int
    conversation: int
    per_user: int
    failures: int


class Importer:
    """The imports of this process. Made by ``open_importer``."""

    def __init__(self, engine: Engine, folder: Path, limits: ImportLimits, nursery: trio.Nursery) -> None:
        self._engine = engine
        self._imports = engine.store.imports
        self.spool = Spool(folder)
        self._limits = limits
        #: Uploads lie where they came in: each node goes on with its own.
        self._name = "" if engine.cluster is None else engine.cluster.info.name
        #: Open jobs of this process, as they are now; the store has them as they were a moment ago.
        self._open: dict[str, ImportJob] = {}
        self._limiter = trio.CapacityLimiter(AT_ONCE)
        # Where each job is a task.
        self._nursery = nursery

    def __repr__(self) -> str:
        return f"<Importer {self.spool!r} open={len(self._open)}>"

    # --- for the routes ------------------------------------------------------------------------------------------

    async def take(self, principal: Principal, call: Call, pace: Pace) -> ImportJob:
        """Receive the upload in the body of ``call``, and begin to take it in.

        Raises ``ThrottledError`` (the user has too many open), ``QuotaError``, ``ClosedError``, and what receiving raises.
        """
        owner = principal.user.id
        others = sum(job.owner == owner for job in self._open.values())
        if others >= self._limits.per_user:
            raise ThrottledError(f"{others} imports are under way (imports_per_user): wait for one", retry_after=10.0)
        now = datetime.now(UTC)
        job = ImportJob(new_id(), owner, now, now, 0, node=self._name)
        # Counted while it arrives, so that many at once are not more than may be.
        self._open[job.id] = job
        room = self._room(job)
        try:
            size = await self.spool.receive(job.id, call, pace, self._limits.bytes, room)
            await room.settle(size)
            job = replace(job, size=size)
            await self._imports.put(job)
            if job.id not in self._open:
                raise NotFoundError("the account of this import is gone")
            self._open[job.id] = job
        except BaseException:
            self._open.pop(job.id, None)
            await self._let_go(job)
            raise
        self._start(job)
        return job

    async def get(self, job: str) -> ImportJob | None:
        """An import, as it is now."""
        return self._open.get(job) or await self._imports.get(job)

    async def of(self, owner: str) -> list[ImportJob]:
        """An owner's imports, newest first."""
        return [self._open.get(job.id, job) for job in await self._imports.of(owner, 100)]

    async def cancel(self, job: ImportJob) -> None:
        """Take nothing more in; what was taken in stays. One that is over is left as it is."""
        present = self._open.get(job.id, job)
        if present.open:
            await self._imports.put(replace(present, state="cancelled", updated_at=datetime.now(UTC)))
            self._open.pop(job.id, None)
            await self._let_go(job)

    async def forget(self, owner: str) -> None:
        """An account is gone: so are its imports."""
        for job in [job for job in self._open.values() if job.owner == owner]:
            await self.cancel(job)
        await self._imports.forget(owner)

    # --- the work ------------------------------------------------------------------------------------------------

    async def take_up(self, found: Sequence[Path]) -> None:
        """Go on with what an earlier process left, and with what was ``found`` in the spool."""
        left = [job for job in await self._left() if job.id not in self._open]
        for name in await self.spool.sweep(found, [job.id for job in left]):
            await Room(self._engine.library, name, "").give_back()
        for job in left:
            self._open[job.id] = job
            self._start(job)

    async def _left(self) -> list[ImportJob]:
        while True:
            try:
                return [job for job in await self._imports.unfinished() if self._concerns(job)]
            except StorageError as error:
                _log.warning("put off: %s", error)
                await trio.sleep(AGAIN)

    def _concerns(self, job: ImportJob) -> bool:
        # What a node left that never came back is ended by any other one, in the end.
        return job.node in ("", self._name) or datetime.now(UTC) - job.updated_at > GONE

    def _start(self, job: ImportJob) -> None:
        self._nursery.start_soon(self._work, job)

    async def _work(self, job: ImportJob) -> None:
        async with self._limiter:
            while job.id in self._open:
                try:
                    await self._take_in(self._open[job.id])
                except ClosedError:
                    return  # Stopping: the next process goes on.
                except StorageError as error:
                    _log.warning("import %s is put off: %s", job.id, error)
                    await trio.sleep(AGAIN)

    async def _take_in(self, job: ImportJob) -> None:
        path, room = self.spool.path(job.id), self._room(job)
        # First: once it was cancelled, nothing is set aside any more.
        await room.settle(job.size)
        if not await trio.Path(path).exists():
            # Its file was on another machine, or went with a crash.
            await self._end(job, "cut_off", "the upload is not here any more: send it again")
            return
        progress = Progress(self, replace(job, state="running"), FilesIn(self._engine, job.owner))
        bounds = Bounds(self._limits.conversation, self._limits.unpacked)
        pieces = pieces_of(path, job.owner, datetime.now(UTC), bounds)
        try:
            await self._read(pieces, progress, room)
        except (StorageError, ClosedError):
            raise
        except TrialogueError as error:
            await self._end(progress.job, "failed", error.detail)
        except Exception:
            if job.id not in self._open:
                return  # Cancelled, and its upload removed before it was opened.
            _log.exception("import %s failed", job.id)
            await self._end(progress.job, "failed", "this failed on our side: report the import's id, or try again")
        finally:
            pieces.close()
            if job.id not in self._open:
                await self._let_go(job)  # Over, or cancelled, perhaps at another node.

    async def _read(self, pieces: Generator[Found | FoundFile], progress: Progress, room: Room) -> None:
        place = 0
        done = progress.job.added + progress.job.present + progress.job.failed
        following = partial(next, pieces, None)
        while (found := await trio.to_thread.run_sync(following)) is not None:
            if isinstance(found, FoundFile):
                await room.leave(found.packed)
                await self._take_file(found, progress)
            else:
                if place >= done:
                    await self._take_one(found, place, progress)
                place += 1
            if progress.job.id not in self._open:
                return  # Cancelled.
        await self._end(replace(progress.job, total=place), "done", None)

    async def _take_file(self, found: FoundFile, progress: Progress) -> None:
        try:
            await progress.files.take(found)
        except (StorageError, ClosedError):
            raise
        except TrialogueError as error:
            progress.left_out(Skipped(-1, f"a file: {error.detail}"[:300], found.file.name))
        progress.show_files()

    async def _take_one(self, found: Found, place: int, progress: Progress) -> None:
        detail = found.detail
        if found.beginning is not None:
            try:
                taken = await take(self._engine, found.beginning, found.source == OURS, progress.files.other)
                await progress.took(found, taken)
                return
            except (StorageError, ClosedError):
                raise
            except TrialogueError as error:
                detail = error.detail
        await progress.skipped(found, Skipped(place, detail[:300], found.title))
        if progress.job.failed > self._limits.failures:
            raise LimitError(f"more than {self._limits.failures} pieces failed (import_max_failures): it is given up")

    def show(self, job: ImportJob) -> None:
        """How far it is, for whoever asks."""
        if job.id in self._open:
            self._open[job.id] = job

    async def store(self, job: ImportJob) -> None:
        """Keep how far it has come; one that was cancelled is over."""
        if job.id in self._open:
            self._open[job.id] = job
            if not await self._imports.put(job):
                self._open.pop(job.id, None)

    async def _end(self, job: ImportJob, state: ImportState, detail: str | None) -> None:
        ended = replace(job, state=state, detail=detail, updated_at=datetime.now(UTC))
        # Before it is told: whoever hears of it may send the next one.
        await self._room(job).give_back()
        await self.store(ended)
        self._open.pop(job.id, None)
        await self._let_go(job)

    def _room(self, job: ImportJob) -> Room:
        return Room(self._engine.library, job.id, job.owner, job.size)

    async def _let_go(self, job: ImportJob) -> None:
        """Nobody needs the upload any more."""
        await self.spool.remove(job.id)
        await self._room(job).give_back()


@asynccontextmanager
async def open_importer(engine: Engine, folder: Path, limits: ImportLimits) -> AsyncGenerator[Importer]:
    """Take up what was left, and take in what comes, until the block ends; what is open then is for the next start."""
    async with trio.open_nursery() as nursery:
        importer = Importer(engine, folder, limits, nursery)
        engine.clearing.also.append(importer.forget)
        nursery.start_soon(importer.take_up, await importer.spool.found())
        try:
            yield importer
        finally:
            nursery.cancel_scope.cancel()
