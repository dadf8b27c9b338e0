"""Reading what was uploaded, in the background: text for search and models, and of images their place, time and pictures.

What is still to be read stands in the store, so that a restart goes on where it was; each file is read in a child process
(``inspection``), a few at a time. What could not be read is told on the file, in words, and not tried again.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import trio

from trialogue._facts.errors import NotFoundError, StorageError, TrialogueError
from trialogue._files.blob_streams import DamagedError
from trialogue._files.blobs import Blobs
from trialogue._files.extractor import Extractor
from trialogue._files.files import File, Files, FileText, Variant
from trialogue._files.inspection import Bounds, Inspection, MadeVariant, inspect
from trialogue._supervision.child import Child

#: Children at a time, and files looked up at once.
CHILDREN, BATCH = 2, 16
#: Seconds after which is looked without being woken: another node may have left something.
LOOK = 30.0
#: How long a picture is kept before a row names it.
KEPT = timedelta(minutes=3)

_log = logging.getLogger("trialogue.files")


class Reading:
    """The service, and who waits for it. ``tell`` is called with what was learnt."""

    def __init__(
        self,
        files: Files,
        blobs: Blobs,
        extractors: Sequence[Extractor],
        bounds: Bounds,
        now: Callable[[], datetime],
    ) -> None:
        self.tell: Callable[[str, str, File | None], None] = lambda owner, file, value: None
        self._files, self._blobs = files, blobs
        self._bounds = bounds
        self._now = now
        #: The first that declares a media type reads it.
        self._functions: dict[str, str] = {}
        for extractor in reversed(extractors):
            self._functions.update(dict.fromkeys(extractor.media_types, extractor.function))
        self._wanted = trio.Event()
        #: Set, and replaced, whenever something was learnt.
        self._learnt = trio.Event()
        self._children = trio.CapacityLimiter(CHILDREN)

    def __repr__(self) -> str:
        return f"<Reading types={len(self._functions)} children={self._children.borrowed_tokens}>"

    def reads(self, media_type: str) -> bool:
        """Whether there is something to be read out of such files."""
        return media_type in self._functions

    def wake(self) -> None:
        """There is something new to be read."""
        self._wanted.set()

    async def settled(self, file: str, seconds: float) -> File | None:
        """The file once it is read, or as it is after ``seconds``; ``None`` when it is gone. Raises ``StorageError``."""
        end = trio.current_time() + seconds
        while True:
            learnt = self._learnt
            found = await self._files.file(file)
            if found is None or found.text.state != "pending" or trio.current_time() >= end:
                return found
            with trio.move_on_at(min(end, trio.current_time() + 1)):
                await learnt.wait()

    async def run(self, child: Child) -> None:
        """Read what is pending, and then whatever comes."""
        child.started()
        while True:
            self._wanted = trio.Event()
            if not await self._read_some():
                with trio.move_on_after(LOOK):
                    await self._wanted.wait()

    async def _read_some(self) -> bool:
        """Whether there is more to be read at once."""
        put_off: list[File] = []
        try:
            found = await self._files.pending(BATCH)
        except StorageError as error:
            _log.warning("files are read later: %s", error)
            return False
        async with trio.open_nursery() as nursery:
            for file in found:
                nursery.start_soon(self._try, file, put_off)
        return len(found) == BATCH and len(put_off) < len(found)

    async def _try(self, file: File, put_off: list[File]) -> None:
        try:
            await self._read(file)
        except (TrialogueError, OSError) as error:
            # The store, the disk, or a machine on which no process can be started. Others may be read all the same.
            _log.warning("file %s is read later: %s", file.id, error)
            put_off.append(file)

    async def _read(self, file: File) -> None:
        async with self._children:
            inspection = await self._inspect(file)
            if inspection is None:
                return
            variants = [await self._place(made) for made in inspection.variants]
            learnt = _learnt(file, inspection, tuple(variants))
            there = await self._files.learn(learnt, inspection.text)
        waiting, self._learnt = self._learnt, trio.Event()
        waiting.set()
        if there:
            self.tell(file.owner, file.id, learnt)

    async def _inspect(self, file: File) -> Inspection | None:
        function = self._functions.get(file.media_type)
        if function is None:
            return Inspection(detail="nothing here reads such files")
        try:
            async with self._blobs.open(file.sha256, file.size) as reader:
                source = await reader.duplicate()
                try:
                    return await inspect(function, source, self._bounds)
                finally:
                    os.close(source)
        except NotFoundError:
            if await self._files.file(file.id) is None:
                return None  # Removed meanwhile.
            return Inspection(failed="its content is missing: restore it from a backup")
        except DamagedError:
            return Inspection(failed="its content is damaged: restore it from a backup")
        except (TrialogueError, OSError):
            raise
        except Exception:
            # One file must not keep the others from being read, again and again.
            _log.exception("file %s cannot be read for a reason that is ours", file.id)
            return Inspection(failed="it cannot be read, for a reason that is ours and not the file's")

    async def _place(self, made: MadeVariant) -> Variant:
        async with self._blobs.create() as writer:
            await writer.write(made.data)
            await writer.finish()
            while await self._files.keep([writer.digest], self._now() + KEPT):  # noqa: ASYNC110 - the store tells nobody
                await trio.sleep(0.05)
            await writer.place()
            return Variant(made.kind, writer.digest, writer.size, made.media_type, made.width, made.height)


def _learnt(file: File, found: Inspection, variants: tuple[Variant, ...]) -> File:
    if found.failed is not None:
        return msgspec.structs.replace(file, text=FileText("failed", 0, found.failed))
    text = FileText("none" if found.text is None else "done", len(found.text or ""), found.detail)
    located = found.lat is not None and found.lon is not None
    return msgspec.structs.replace(
        file,
        text=text,
        width=found.width,
        height=found.height,
        lat=found.lat if located else None,
        lon=found.lon if located else None,
        taken_at=_aware(found.taken_at),
        variants=variants,
    )


def _aware(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
