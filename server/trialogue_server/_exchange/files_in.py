"""Takes in the files of our own zip, before its conversations: each once, under its own id where that is free."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import trio

from trialogue import Engine, InvalidError, Library, StorageError, TrialogueError, is_id
from trialogue_server._exchange.document import ExportedFile
from trialogue_server._exchange.tree import derived_id, sensible_time


def file_id(owner: str, name: str) -> str:
    """What a file is called here whose own id is somebody else's."""
    return derived_id(owner, "file", name)


class FoundFile:
    """A file of an upload: what is known of it, its content, which must be read before the next piece, its size there."""

    def __init__(self, file: ExportedFile, content: Iterator[bytes], packed: int = 0) -> None:
        self.file = file
        self.content = content
        self.packed = packed

    def __repr__(self) -> str:
        return f"<FoundFile {self.file.id} {self.file.size} bytes>"


class FilesIn:
    """The files of one import. ``other`` says by which id each is named here, where it is another."""

    def __init__(self, engine: Engine, owner: str) -> None:
        self.other: dict[str, str] = {}
        self.added = 0
        self._engine = engine
        self._owner = owner

    async def take(self, found: FoundFile) -> None:
        """Take it in, unless it is here. Raises what an upload raises, and ``InvalidError``."""
        library = self._engine.library
        if library is None:
            raise InvalidError("this server keeps no files: messages name it all the same")
        name = await self._free(found.file.id)
        if name is not None:
            await self._upload(library, name, found)
            self.added += 1

    async def _free(self, name: str) -> str | None:
        """The id to give it; ``None`` when it is here already."""
        if not is_id(name):
            raise InvalidError(f"{name[:64]!r} is not an id of a file")
        files, derived = self._engine.store.files, file_id(self._owner, name)
        for candidate in (derived, name):
            here = await files.file(candidate)
            if here is not None and here.owner == self._owner:
                if candidate != name:
                    self.other[name] = candidate
                return None
        if await files.file(name) is None:
            return name
        self.other[name] = derived
        return derived

    async def _upload(self, library: Library, name: str, found: FoundFile) -> None:
        try:
            async with library.upload(self._owner) as upload:
                at = sensible_time(found.file.created_at, datetime.now(UTC))
                await upload.begin(found.file.name, file=name, created_at=at)
                while (piece := await trio.to_thread.run_sync(next, found.content, None)) is not None:
                    await upload.write(piece)
                await upload.end()
                made = await upload.commit()
        except StorageError:
            raise
        except TrialogueError:
            # It is named by an id that is nobody's: the message shows a file that was removed.
            self.other.pop(name, None)
            raise
        library.added(made)
