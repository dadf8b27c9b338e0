"""Where uploads wait until they are taken in: a folder of files, each named by its import, whole or not there."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path

import trio

from trialogue import InvalidError, LimitError, StorageError
from trialogue_server._exchange.room import Room
from trialogue_server._http.call import Call
from trialogue_server._http.uploads import Pace

#: Bytes that are written together.
PIECE = 262_144


class Spool:
    """The folder; made when it is first written to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __repr__(self) -> str:
        return f"<Spool {str(self._folder)!r}>"

    def path(self, job: str) -> Path:
        """Where the upload of an import is."""
        return self._folder / f"{job}.upload"

    async def receive(self, job: str, call: Call, pace: Pace, most: int, room: Room) -> int:
        """Write the body of ``call`` to the disk while it arrives; returns its size once it is there for good.

        Raises ``LimitError``, ``QuotaError`` of its ``room``, ``SlowBodyError``, ``InvalidError`` (cut off, or nothing),
        ``StorageError``.
        """
        length = call.header("content-length")
        if length.isdecimal() and int(length) > most:
            raise _too_large(most)
        if length.isdecimal():
            await room.expect(int(length))
        part = self.path(job).with_suffix(".part")
        try:
            size = await self._write(part, call, pace, most, room)
            await trio.to_thread.run_sync(_publish, part, self.path(job))
        except OSError as error:
            await self._drop(part)
            raise StorageError(
                f"the upload cannot be written ({error.strerror}): make room in {self._folder}"
            ) from error
        except BaseException:
            await self._drop(part)
            raise
        return size

    async def _write(self, part: Path, call: Call, pace: Pace, most: int, room: Room) -> int:
        await trio.Path(self._folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        size, more = 0, True
        async with await trio.open_file(part, "wb", opener=_private) as file:
            while more:
                pieces: list[bytes] = []
                held = 0
                while more and held < PIECE:
                    piece, more = await pace.next(call.receive)
                    pieces.append(piece)
                    held += len(piece)
                size += held
                if size > most:
                    raise _too_large(most)
                await room.grow(size)
                await file.write(b"".join(pieces))
            await file.flush()
            await trio.to_thread.run_sync(os.fsync, file.fileno())
        if size == 0:
            raise InvalidError("the body is empty: send an export, as JSON or as the zip it came in")
        return size

    async def _drop(self, path: Path) -> None:
        with trio.CancelScope(deadline=trio.current_time() + 5, shield=True):
            await trio.Path(path).unlink(missing_ok=True)

    async def remove(self, job: str) -> None:
        """The upload is no longer needed."""
        await self._drop(self.path(job))

    async def found(self) -> list[Path]:
        """What is there; asked before anything can arrive."""
        return await trio.to_thread.run_sync(self._found)

    def _found(self) -> list[Path]:
        entries = self._folder.iterdir() if self._folder.is_dir() else ()
        return [entry for entry in entries if entry.suffix in (".upload", ".part")]

    async def sweep(self, found: Sequence[Path], wanted: Collection[str]) -> list[str]:
        """Of what was found, remove what no import is waiting for; returns which imports that was of."""
        kept = {self.path(job) for job in wanted}
        swept = [path for path in found if path not in kept]
        for path in swept:
            await self._drop(path)
        return [path.stem for path in swept]


def _private(path: str, flags: int) -> int:
    # Nobody else's to read, whatever the process's mask says.
    return os.open(path, flags, 0o600)


def _publish(part: Path, path: Path) -> None:
    part.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _too_large(most: int) -> LimitError:
    return LimitError(f"the upload is larger than {most} bytes (import_max_bytes): send it in parts")
