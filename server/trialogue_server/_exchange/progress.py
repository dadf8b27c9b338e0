"""How far an import is: counted at once, shown at once, stored now and then."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol

import trio
from msgspec.structs import replace

from trialogue import ImportJob, Skipped
from trialogue_server._exchange.files_in import FilesIn
from trialogue_server._exchange.pieces import Found
from trialogue_server._exchange.taking import Taken

#: Conversations, and seconds, after which progress is stored.
OFTEN, SECONDS = 50, 1.0
#: Failures that are told one by one.
TOLD = 100


class Watching(Protocol):
    """Who wants to know."""

    def show(self, job: ImportJob) -> None: ...
    async def store(self, job: ImportJob) -> None: ...


class Progress:
    """Counts, and stores the count now and then."""

    def __init__(self, importer: Watching, job: ImportJob, files: FilesIn) -> None:
        self.job = job
        self.files = files
        self._importer = importer
        self._unstored = 0
        self._stored_at = trio.current_time()

    def left_out(self, skipped: Skipped) -> None:
        """Something other than a conversation could not be taken in."""
        self.job = replace(self.job, skipped=(*self.job.skipped, skipped)[:TOLD])

    def show_files(self) -> None:
        self.job = replace(self.job, files=self.files.added, updated_at=datetime.now(UTC))
        self._importer.show(self.job)

    async def took(self, found: Found, taken: Taken) -> None:
        job = self.job
        await self._count(
            replace(
                job,
                source=found.source,
                added=job.added + taken.added,
                present=job.present + (not taken.added),
                grown=job.grown + (not taken.added and taken.messages > 0),
                messages=job.messages + taken.messages,
            )
        )

    async def skipped(self, found: Found, skipped: Skipped) -> None:
        told = (*self.job.skipped, skipped)[:TOLD]
        source = found.source or self.job.source
        await self._count(replace(self.job, source=source, failed=self.job.failed + 1, skipped=told))

    async def _count(self, job: ImportJob) -> None:
        self.job = replace(job, updated_at=datetime.now(UTC))
        self._unstored += 1
        self._importer.show(self.job)
        if self._unstored >= OFTEN or trio.current_time() - self._stored_at >= SECONDS:
            await self._importer.store(self.job)
            self._unstored, self._stored_at = 0, trio.current_time()
