"""The port to what is kept of imports: uploads that are taken in bit by bit, and what became of each. A facet of ``Store``:
every method may raise ``StorageError``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

#: ``waiting`` and ``running`` are open: a start takes them up again. ``cut_off`` says that it could not.
ImportState: TypeAlias = Literal["waiting", "running", "done", "failed", "cancelled", "cut_off"]


class Skipped(msgspec.Struct, frozen=True):
    """A piece of an upload that was not taken in, and why. ``place`` counts the conversations
    from 0; a file has none, and -1 stands for it."""

    place: int
    detail: str
    title: str | None = None


class ImportJob(msgspec.Struct, frozen=True):
    """One upload. ``total`` is unknown until all of it was read; ``skipped`` lists the first of the ``failed`` ones."""

    id: str
    owner: str
    created_at: datetime
    updated_at: datetime
    size: int
    state: ImportState = "waiting"
    #: Whose export it is, once that is known: ``trialogue``, ``chatgpt`` or ``claude``; the last kind that was seen.
    source: str | None = None
    #: Conversations that were added, that were here already, and that could not be taken in.
    added: int = 0
    present: int = 0
    failed: int = 0
    total: int | None = None
    #: Of those that were here, how many had grown at their source, and grew here.
    grown: int = 0
    #: Messages that were added, all in all.
    messages: int = 0
    files: int = 0
    skipped: tuple[Skipped, ...] = ()
    #: Why it ended early.
    detail: str | None = None
    #: Name of the node that has the upload, where there are several.
    node: str = ""

    @property
    def open(self) -> bool:
        """Whether something is left to do."""
        return self.state in ("waiting", "running")


class Imports(ABC):
    """The imports of one store."""

    @abstractmethod
    async def put(self, job: ImportJob) -> bool:
        """Store a job, in place of the one with its id. One that was cancelled stays so; returns whether it was stored.

        Of an owner's jobs that are over, only the newest hundred are kept.
        """

    @abstractmethod
    async def get(self, job: str) -> ImportJob | None:
        """A job by id."""

    @abstractmethod
    async def of(self, owner: str, limit: int) -> Sequence[ImportJob]:
        """An owner's jobs, newest first."""

    @abstractmethod
    async def forget(self, owner: str) -> None:
        """Remove all jobs of an owner; again is no error."""

    @abstractmethod
    async def unfinished(self) -> Sequence[ImportJob]:
        """Open jobs, oldest first."""
